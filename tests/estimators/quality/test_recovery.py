"""What a scheme keeps, whose evidence it is, and when there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from estimators.quality.evidence import interval_width, recovery_rows
from estimators.quality.recovery import Level, recovery
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task

LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def test_own_rows_come_first():
    found = recovery(LLAMA_8B, "int4", task=Task.INSTRUCTION_FOLLOWING)
    assert found.level is Level.EXACT
    assert found.median == pytest.approx(76.3 / 77.9)
    assert found.n == 1
    assert found.sources == ("HF model card RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16",)


def test_one_comparison_carries_its_own_noise():
    found = recovery(LLAMA_8B, "int4", task=Task.INSTRUCTION_FOLLOWING)
    (row,) = found.rows
    assert (found.low, found.high) == pytest.approx((row.recovery - row.noise, row.recovery + row.noise))


def test_the_article_in_one_call():
    found = recovery("ibm-granite/granite-3.1-8b-instruct", "int4")
    assert (found.level, found.task) == (Level.EXACT, Task.GENERAL)
    assert found.median == pytest.approx(0.9929, abs=5e-5)


def test_a_sibling_of_its_size_stands_in_with_a_wider_range():
    # Llama 3.3 70B has no INT8 row on IFEval; Llama 3.1 70B kept 86.6 / 86.4
    found = recovery("meta-llama/Llama-3.3-70B-Instruct", "int8", task=Task.INSTRUCTION_FOLLOWING)
    assert found.level is Level.FAMILY
    assert found.median == pytest.approx(86.6 / 86.4)
    assert found.median - found.low == pytest.approx(interval_width("family", "8-bit"))
    assert LLAMA_70B in found.label


def test_a_sibling_of_another_size_does_not():
    # Llama 3.1 70B at INT4 on IFEval: its kin with rows are 8B and 405B, both more than three times off
    found = recovery(LLAMA_70B, "int4", task=Task.INSTRUCTION_FOLLOWING)
    assert found.level is Level.SIZE_CLASS
    assert {row.model for row in found.rows} == {"Qwen/Qwen2-72B-Instruct"}
    assert "50B to 150B" in found.label


def test_missing_stays_missing():
    assert recovery(LLAMA_8B, "nf4", task=Task.CODE) is None
    assert recovery("someone/model-of-no-known-size", "int4", task=Task.CODE) is None
    assert recovery(LLAMA_8B, "fp8", task=Task.TOOL_USE) is None


def test_only_a_worst_case_is_published_for_four_bits_on_long_inputs():
    found = recovery(LLAMA_70B, "int4", task=Task.LONG_CONTEXT)
    assert found.level is Level.POOLED
    assert found.median is None
    assert found.low <= 0.41
    assert "only a worst case" in found.label


def test_eight_bits_on_long_inputs_lose_about_a_percent():
    found = recovery(LLAMA_70B, "fp8", task=Task.LONG_CONTEXT)
    assert found.median == pytest.approx(0.992)


@pytest.mark.parametrize("scheme", ["bf16", "fp16", "fp32", "as-published"])
def test_nothing_changed_keeps_everything(scheme):
    found = recovery("any/model", scheme, task=Task.MATHS)
    assert (found.level, found.median, found.low, found.high, found.n) == (Level.REFERENCE, 1.0, 1.0, 1.0, 0)


def test_a_model_published_in_the_scheme_is_unchanged():
    assert recovery("openai/gpt-oss-20b", "mxfp4").level is Level.REFERENCE
    assert recovery("openai/gpt-oss-120b", "int8", task=Task.KNOWLEDGE).level is Level.SIZE_CLASS


def test_a_quantized_repository_is_its_base_model_in_that_scheme():
    found = recovery("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "as-published", task=Task.CODE)
    assert (found.model, found.scheme, found.level) == (LLAMA_8B, Scheme.INT4, Level.EXACT)


def test_retraining_answers_only_by_name():
    plain = recovery("Qwen/Qwen3-8B", "nvfp4", task=Task.MATHS)
    trained = recovery("Qwen/Qwen3-8B", "nvfp4", "qat", task=Task.MATHS)
    assert {row.method for row in trained.rows} == {"qat"}
    assert "qat" not in {row.method for row in plain.rows}


def test_a_method_narrows_and_a_container_does_not():
    either = recovery(LLAMA_8B, "int4", task=Task.CODE)
    awq = recovery(LLAMA_8B, "int4", "awq", task=Task.CODE)
    assert awq.median == pytest.approx(63.0 / 67.3)
    assert recovery(LLAMA_8B, "int4", "ct", task=Task.CODE).n == either.n > awq.n


def test_averages_hide_what_a_task_loses():
    # Qwen3-8B in NVFP4: 98.4 % of OpenLLM v1, 79.4 % of MMLU-Pro
    average = recovery("Qwen/Qwen3-8B", "nvfp4")
    mmlu_pro = recovery("Qwen/Qwen3-8B", "nvfp4", benchmark="mmlu-pro", task=Task.KNOWLEDGE)
    assert average.median > 0.96
    assert mmlu_pro.median == pytest.approx(27.49 / 34.64)


def test_size_decides_at_int4():
    # the same mean of MMLU, C-Eval and IFEval: 86 to 90 % at 0.5B, 99 to 100 % at 72B
    small = recovery("Qwen/Qwen2-0.5B-Instruct", "int4")
    large = recovery("Qwen/Qwen2-72B-Instruct", "int4")
    assert small.median == pytest.approx((29.7 / 34.4 + 31.1 / 34.4) / 2)
    assert large.median == pytest.approx((81.2 / 81.3 + 80.4 / 81.3) / 2)


def test_two_to_four_sparsity_and_the_kv_cache_have_rows_too():
    assert recovery("meta-llama/Llama-3.1-8B", "sparse-2:4").median == pytest.approx(
        (62.16 / 63.19 + 53.85 / 55.34) / 2
    )
    cache = recovery("meta-llama/Llama-3.3-70B-Instruct", "kv-fp8", task=Task.LONG_CONTEXT)
    assert (cache.median, cache.low, cache.high) == pytest.approx((0.975, 0.97, 0.98))


def test_an_unknown_scheme_is_refused():
    with pytest.raises(Refusal) as refusal:
        recovery(LLAMA_8B, "int3")
    assert refusal.value.field == "weights"


MODELS = [*sorted({row.model for row in recovery_rows() if row.model}), "someone/new-8b", "someone/new-70b"]


@given(st.sampled_from(MODELS), st.sampled_from(list(Scheme)), st.sampled_from(list(Task)))
def test_the_middle_lies_in_the_range_and_every_row_serves_the_task(model, scheme, task):
    found = recovery(model, scheme, task=task)
    if found is None:
        return
    assert 0 <= found.low <= found.high
    if found.median is not None:
        assert found.low <= found.median <= found.high
    assert found.n == len(found.rows)
    assert all(not row.excluded for row in found.rows)
    assert (found.n == 0) == (found.level is Level.REFERENCE)
