"""What one click measures, by what is attached."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.measuring.models import SAMPLE, SAMPLE_CONFIG, first, measurable, seconds_on_cpu
from estimators.architecture import catalogue
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.measuring.device.machine import Attached
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.precision import Weights
from estimators.provenance import Refusal

CPU = Attached(device="cpu", name="a CPU", memory_bytes=24 * 2**30, free_bytes=20 * 2**30, cores=2)
L4 = Attached(device="cuda:0", name="NVIDIA L4", accelerator="L4", memory_bytes=24 * 10**9, free_bytes=23 * 10**9)
SHAPE = DeviceJob(model="", config={}, weights=Weights.BF16, prompt_tokens=512, output_tokens=64)


def chosen(asked: str, where: Attached, shape: DeviceJob = SHAPE) -> tuple[str, list[str]]:
    found = measurable(asked, replace(shape, device=where.device), where, catalogue.load_config, None)
    return first(found).model, [made.model for made in found]


def test_on_a_gpu_that_holds_it_the_plans_own_model_is_measured() -> None:
    """16.06 GB of weights on 23 GB free."""
    assert chosen("meta-llama/Llama-3.1-8B-Instruct", L4)[0] == "meta-llama/Llama-3.1-8B-Instruct"


def test_on_a_gpu_that_does_not_the_largest_of_its_family_that_fits() -> None:
    best, listed = chosen("meta-llama/Llama-3.1-70B-Instruct", L4)
    assert best.startswith("meta-llama/")
    assert "8B" in best
    assert listed[0] == "meta-llama/Llama-3.1-70B-Instruct"  # it may run with fewer layers


def test_on_the_cpu_what_takes_a_minute_at_most() -> None:
    """0.5B: 7 x (2 x 0.49e9 x 512 / 50e9 + 24 x 0.99e9 / 4e9) and 8 = 120 s; 135M: 39 s."""
    assert chosen("Qwen/Qwen2.5-7B-Instruct", CPU)[0] == SAMPLE
    assert chosen("HuggingFaceTB/SmolLM2-1.7B-Instruct", CPU)[0] == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_count_of_parameters_and_a_model_nobody_has_leave_the_sample() -> None:
    assert chosen("", CPU) == (SAMPLE, [SAMPLE])

    def none_has(model: str) -> dict[str, object]:
        raise Refusal("Unknown.", field="model")

    assert [made.model for made in measurable("acme/unknown", SHAPE, CPU, none_has, None)] == [SAMPLE]


def test_the_sample_is_of_the_50m_class() -> None:
    """32,000 x 512 twice, and 8 layers of 512 x (512 + 2 x 256 + 512) + 3 x 512 x 1,408 and norms: 56.4M."""
    spec = parse_config(SAMPLE_CONFIG, model_id=SAMPLE, source=SpecSource.FILE, source_note="sample")
    assert spec.resident_params == 2 * 32000 * 512 + 8 * (512 * 1536 + 3 * 512 * 1408 + 2 * 512) + 512


def test_about_how_long_it_takes() -> None:
    job = replace(SHAPE, threads=1)
    assert seconds_on_cpu(job, 270_000_000, None) == pytest.approx(38.7, abs=0.05)
