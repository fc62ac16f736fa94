"""Rooflines of measured cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.measuring.estimates import measured_roofline
from estimators.architecture.catalogue import load_spec
from estimators.measuring.measurement import Way
from tests.profiling_samples import measurement

LLAMA = load_spec("meta-llama/Llama-3.1-8B-Instruct")
ON_H100 = measurement(accelerator="H100-SXM5")


def test_a_step_reads_the_weights_and_the_cache() -> None:
    """Llama-3.1-8B in bf16 on an H100, 160 tokens on average: (15.01 GB + 160 x 131,072 B) / 3.35 TB/s = 4.49 ms."""
    assert measured_roofline(LLAMA, ON_H100, "itl_s") == pytest.approx(4.487e-3, rel=0.002)
    # 64 at 1,024 + 64: 15.01 GB + 64 x 1,088 x 131,072 B = 24.14 GB, 7.2 ms.
    many = replace(ON_H100, batch=64, prompt_tokens=1024, output_tokens=128)
    assert measured_roofline(LLAMA, many, "itl_s") == pytest.approx(7.20e-3, rel=0.005)


def test_prompts_that_start_together_are_one_prefill() -> None:
    one = measured_roofline(LLAMA, replace(ON_H100, prompt_tokens=4096), "ttft_s")
    four = replace(ON_H100, prompt_tokens=4096, batch=4)
    assert one is not None
    assert measured_roofline(LLAMA, four, "ttft_s") == pytest.approx(4 * one, rel=0.01)
    assert measured_roofline(LLAMA, replace(four, way=Way.ENDPOINT), "ttft_s") == pytest.approx(one, rel=0.01)


def test_a_request_is_its_first_token_and_its_steps() -> None:
    first, step = (measured_roofline(LLAMA, ON_H100, metric) for metric in ("ttft_s", "itl_s"))
    assert first is not None
    assert step is not None
    assert measured_roofline(LLAMA, ON_H100, "e2e_s") == pytest.approx(first + 63 * step)


def test_a_machine_off_the_table_has_no_roofline() -> None:
    assert measured_roofline(LLAMA, measurement(accelerator="AMD EPYC"), "itl_s") is None
