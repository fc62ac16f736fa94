"""Estimates and floors put beside measurements."""

from __future__ import annotations

import pytest

from app.profile_estimates import measured_floor
from estimators.architecture.catalogue import load_spec
from tests.profiling_samples import measurement

LLAMA = load_spec("meta-llama/Llama-3.1-8B-Instruct")


def test_the_floor_of_a_measured_case_is_the_data_sheets() -> None:
    """Llama-3.1-8B in bf16 on an H100: 15.01 GB / 3.35 TB/s = 4.48 ms a token."""
    made = measurement(accelerator="H100-SXM5")
    assert measured_floor(LLAMA, made, "itl_s") == pytest.approx(4.48e-3, rel=0.01)


def test_a_prompts_floor_grows_with_the_batch() -> None:
    one = measured_floor(LLAMA, measurement(accelerator="H100-SXM5", prompt_tokens=4096), "ttft_s")
    four = measured_floor(LLAMA, measurement(accelerator="H100-SXM5", prompt_tokens=4096, batch=4), "ttft_s")
    assert one is not None
    assert four == pytest.approx(4 * one, rel=0.01)


def test_a_machine_off_the_table_has_no_floor() -> None:
    assert measured_floor(LLAMA, measurement(accelerator="AMD EPYC"), "itl_s") is None
