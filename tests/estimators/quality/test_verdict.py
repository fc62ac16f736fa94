"""Good enough, against a reference: worked by hand, and honest where evidence is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.quality.recovery import Level, recovery
from estimators.quality.schemes import Scheme
from estimators.quality.scores import Score
from estimators.quality.tasks import Task
from estimators.quality.verdict import Meets, compare_quality, meets_bar, recovery_from_scores

LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
FOLLOWING = Task.INSTRUCTION_FOLLOWING


def mine(model, score, scheme=Scheme.AS_PUBLISHED, error=None):
    return Score(
        model=model,
        benchmark="ifeval",
        suite="mine",
        setting="0-shot",
        score=score,
        scheme=scheme,
        standard_error=error,
        source="results.json",
        as_of="2026-11-21",
    )


def test_the_article_s_8b_at_int4_is_not_within_a_percent_of_the_70b():
    verdict = compare_quality(LLAMA_8B, "int4", LLAMA_70B, FOLLOWING)
    # 75.9 / 83.6 on one ruler, times 76.3 / 77.9 kept
    assert verdict.ratio == pytest.approx(0.9079 * 0.97946, abs=1e-4)
    bar = meets_bar(verdict, 0.99)
    assert bar.meets is Meets.NO
    assert not bar.passes
    assert bar.reason == "88.9 % of the reference against a bar of 99.0 %: short by 10.1 points."


def test_a_70b_at_int8_is():
    verdict = compare_quality("meta-llama/Llama-3.3-70B-Instruct", "int8", LLAMA_70B, FOLLOWING)
    # 92.1 / 87.5, times 86.6 / 86.4 of its sibling
    assert verdict.ratio == pytest.approx(92.1 / 87.5 * 86.6 / 86.4)
    assert verdict.level is Level.FAMILY
    assert meets_bar(verdict, 0.99).meets is Meets.YES


def test_the_same_model_compressed_needs_no_score():
    verdict = compare_quality(LLAMA_70B, "fp8", LLAMA_70B, FOLLOWING)
    assert verdict.scores is None
    assert verdict.ratio == pytest.approx(87.6 / 86.4)


def test_the_model_itself_is_as_good_as_itself():
    verdict = compare_quality(LLAMA_70B, "bf16", LLAMA_70B, FOLLOWING)
    assert (verdict.ratio, verdict.low, verdict.high) == (1.0, 1.0, 1.0)
    assert meets_bar(verdict, 1.0).meets is Meets.YES


def test_likely_when_the_range_reaches_below_the_bar():
    # one IFEval comparison at 97.9 % cannot settle a bar of 97 %
    bar = meets_bar(compare_quality(LLAMA_8B, "int4", LLAMA_8B, FOLLOWING), 0.97)
    assert bar.meets is Meets.LIKELY
    assert bar.passes
    assert "reaches down to 96.0 %" in bar.reason


def test_no_common_suite_is_no_evidence():
    verdict = compare_quality("HuggingFaceTB/SmolLM-360M-Instruct", "bf16", LLAMA_70B, Task.CODE)
    bar = meets_bar(verdict, 0.5)
    assert verdict.ratio is None
    assert bar.meets is Meets.UNKNOWN
    assert not bar.passes
    assert "no suite has measured both" in bar.reason


def test_no_recovery_is_no_evidence():
    verdict = compare_quality(LLAMA_8B, "nf4", LLAMA_70B, Task.CODE)
    assert verdict.ratio is None
    assert "no published recovery of nf4 on code" in verdict.reason
    assert verdict.scores is not None  # what is known is still shown


def test_a_worst_case_alone_decides_nothing():
    verdict = compare_quality(LLAMA_70B, "int4", LLAMA_70B, Task.LONG_CONTEXT)
    assert verdict.ratio is None
    assert verdict.low < 0.42
    assert meets_bar(verdict, 0.9).meets is Meets.UNKNOWN
    assert any("worst case" in caveat for caveat in verdict.caveats)


def test_the_weakest_row_is_named():
    verdict = compare_quality("Qwen/Qwen3-8B", "nvfp4", "Qwen/Qwen3-8B", Task.KNOWLEDGE)
    assert any("MMLU-Pro (5-shot): 79.4 %" in caveat for caveat in verdict.caveats)


def test_a_product_of_two_runs_is_called_an_estimate():
    verdict = compare_quality(LLAMA_8B, "int4", LLAMA_70B, FOLLOWING)
    assert any("their product is an estimate" in caveat for caveat in verdict.caveats)


def test_own_runs_of_both_as_deployed_replace_the_evidence():
    runs = (mine(LLAMA_8B, 72.0, Scheme.INT4, error=2.0), mine(LLAMA_70B, 80.0, error=1.6))
    verdict = compare_quality(LLAMA_8B, "int4", LLAMA_70B, FOLLOWING, own_scores=runs)
    assert verdict.ratio == 0.9
    # 0.9 sqrt((2/72)^2 + (1.6/80)^2)
    assert verdict.high - verdict.ratio == pytest.approx(0.9 * 0.03423, abs=1e-4)
    assert verdict.ratio - verdict.low == pytest.approx(0.9 * 0.03423, abs=1e-4)
    assert verdict.sources == ("results.json",)


def test_own_runs_before_and_after_are_a_recovery():
    runs = (mine("me/tuned-8b", 80.0), mine("me/tuned-8b", 78.0, Scheme.INT8))
    assert [row.recovery for row in recovery_from_scores(runs)] == [0.975]
    verdict = compare_quality("me/tuned-8b", "int8", "me/tuned-8b", FOLLOWING, own_scores=runs)
    assert verdict.ratio == 0.975
    assert verdict.level is Level.EXACT


def test_levers_combine_and_each_needs_evidence():
    # INT8 weights and an FP8 cache, over suite averages of Llama 3 70B: 79.18 / 79.18 and 79.00 / 79.16
    model = "meta-llama/Meta-Llama-3-70B-Instruct"
    verdict = compare_quality(model, "int8", model, Task.GENERAL, also=("kv-fp8",))
    assert verdict.ratio == pytest.approx(79.00 / 79.16)
    assert [part.scheme for part in verdict.also_recoveries] == [Scheme.KV_FP8]
    assert len(verdict.sources) == 2
    missing = compare_quality(model, "int8", model, FOLLOWING, also=("kv-fp8",))
    assert missing.ratio is None
    assert "no published recovery of kv-fp8" in missing.reason


def test_a_quantized_reference_divides_out():
    verdict = compare_quality(LLAMA_70B, "fp8", LLAMA_70B, FOLLOWING, reference_scheme="fp8")
    assert verdict.ratio == pytest.approx(1.0)


def test_a_product_of_ratios_is_least_where_its_reference_kept_most():
    # Llama 3.1 70B kept 86.6 / 86.4 in INT8 and 87.6 / 86.4 in FP8, each within its noise
    verdict = compare_quality(LLAMA_70B, "int8", LLAMA_70B, FOLLOWING, reference_scheme="fp8")
    ours, theirs = (recovery(LLAMA_70B, scheme, task=FOLLOWING) for scheme in ("int8", "fp8"))
    assert theirs.low < theirs.median < theirs.high
    assert verdict.ratio == pytest.approx(86.6 / 87.6)
    assert verdict.low == pytest.approx(ours.low / theirs.high)
    assert verdict.high == pytest.approx(ours.high / theirs.low)


@given(
    st.sampled_from([LLAMA_8B, LLAMA_70B, "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-32B", "someone/x-8b"]),
    st.sampled_from(["bf16", "int8", "fp8", "int4", "nvfp4", "kv-fp8"]),
    st.sampled_from(list(Task)),
    st.floats(0.5, 1.1),
    st.floats(0, 0.4),
)
def test_a_lower_bar_never_turns_a_pass_into_a_fail(model, scheme, task, bar, relief):
    verdict = compare_quality(model, scheme, LLAMA_70B, task)
    if verdict.ratio is not None:
        assert verdict.low <= verdict.ratio
        assert verdict.high is None or verdict.ratio <= verdict.high
        assert verdict.sources or verdict.level is Level.REFERENCE
    order = [Meets.UNKNOWN, Meets.NO, Meets.LIKELY, Meets.YES]
    assert order.index(meets_bar(verdict, bar - relief).meets) >= order.index(meets_bar(verdict, bar).meets)
