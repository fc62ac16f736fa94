"""Estimates to put beside a measurement on an attached device: from its micro-benchmark, like with like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.hardware.catalogue import find_accelerator
from estimators.latency.estimate import Interval
from estimators.measuring.comparison import around_device_estimate
from estimators.measuring.device.device_estimate import estimate_from_device
from estimators.measuring.measurement import Measurement, Way
from estimators.measuring.narrowing import roofline
from estimators.precision import DTYPE_OF, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import Placement

if TYPE_CHECKING:
    from estimators.measuring.jobs.store import MeasurementStore


class Estimates(TypedDict):
    """The keyword arguments of `estimators.measuring.comparison.compare`."""

    ttft_s: Interval
    itl_s: Interval
    output_tok_per_s: Interval
    memory_bytes: Interval


def device_estimates(store: MeasurementStore, made: Measurement, config: Mapping[str, object]) -> Estimates:
    """What plain transformers should need for this case on this device. Raises `Refusal` where nothing says."""
    if made.weights not in DTYPE_OF:
        raise Refusal(
            "The micro-benchmark times 16- and 32-bit products only, so there is no estimate for quantized weights.",
            field="weights",
        )
    profile = store.profile(made.device.name, DTYPE_OF[Weights(made.weights)], made.device.threads or 1)
    if profile is None:
        raise Refusal("This device's micro-benchmark is not in the store.", field="device", remedy="Measure again.")
    spec = parse_config(config, model_id=made.model, source=SpecSource.FILE, source_note="config of the measured model")
    made_for = {"prompt_tokens": made.prompt_tokens, "output_tokens": made.output_tokens, "batch": made.batch}
    found = estimate_from_device(profile, spec, **made_for)
    precision = resolve_precision(spec, made.weights)
    tokens = made.batch * (made.prompt_tokens + made.output_tokens)
    cached = sum(g.count * g.attention.cached_elements_per_token for g in spec.groups if g.attention is not None)
    # Weights and cache; activations of a prompt come on top and are not estimated for the CPU.
    held = precision.weights_bytes + tokens * cached * profile.element_bytes
    return Estimates(
        ttft_s=around_device_estimate(found.ttft_s),
        itl_s=around_device_estimate(found.itl_s),
        output_tok_per_s=around_device_estimate(found.output_tok_per_s),
        memory_bytes=around_device_estimate(float(held)),
    )


def measured_roofline(spec: ModelSpec, made: Measurement, metric: str) -> float | None:
    """Roofline of a measured case in seconds, for carrying it over to a sibling; None off the accelerator table.

    `metric` is "ttft_s", "itl_s" or "e2e_s".
    """
    try:
        found = roofline(
            resolve_precision(spec, made.weights),
            find_accelerator(made.accelerator),
            Placement(tp=made.gpus),
            prompt_tokens=made.prompt_tokens,
            output_tokens=made.output_tokens,
            batch=made.batch,
            prompts_together=made.way is Way.ATTACHED,
        )
    except Refusal:
        return None
    return {"ttft_s": found.ttft_s, "itl_s": found.itl_s, "e2e_s": found.e2e_s}.get(metric)
