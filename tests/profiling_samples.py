"""Measurements that tests start from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from estimators.measuring.measurement import DeviceFacts, Measurement, RepeatedReadings, Way
from estimators.precision import Weights
from estimators.workload import Engine


def spread(median: float, cv: float = 0.01, n: int = 5) -> RepeatedReadings:
    return RepeatedReadings(median=median, low=median * (1 - cv), high=median * (1 + cv), cv=cv, n=n)


def measurement(**changes: object) -> Measurement:
    """Llama-3.1-8B in bf16 on an A10G by plain transformers, figures made up."""
    made = Measurement(
        id="0123456789abcdef0123456789abcdef",
        way=Way.ATTACHED,
        model="meta-llama/Llama-3.1-8B-Instruct",
        config_digest="00112233aabbccdd",
        engine=Engine.TRANSFORMERS,
        engine_version="5.23.0",
        accelerator="A10G",
        device=DeviceFacts(name="NVIDIA A10G", kind="cuda", driver="570.1", memory_bytes=24 << 30),
        weights=Weights.BF16,
        prompt_tokens=128,
        output_tokens=64,
        batch=1,
        ttft_s=spread(0.060),
        itl_s=spread(0.040),
        e2e_s=spread(2.58),
        output_tok_per_s=spread(24.8),
        peak_memory_bytes=17_000_000_000,
        layers_measured=32,
        layers_total=32,
        measured_at=datetime(2026, 11, 21, 3, 0, tzinfo=UTC),
        provenance="transformers 5.23.0, torch 2.13.0",
        notes=("Random weights.",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
