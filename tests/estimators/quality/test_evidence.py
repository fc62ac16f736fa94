"""The recovery table: ratios recomputed, inconsistencies flagged, near-chance scores kept out."""

import pytest

from estimators.quality.evidence import Statistic, recovery_rows
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import benchmarks


def rows(model, scheme, benchmark, setting=None):
    return [
        row
        for row in recovery_rows()
        if row.model == model
        and row.scheme is scheme
        and row.benchmark == benchmark
        and (setting is None or row.setting == setting)
    ]


LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def test_the_articles_row():
    (row,) = rows("ibm-granite/granite-3.1-8b-instruct", Scheme.INT4, "openllm-v1")
    assert (row.baseline, row.quantized) == (70.3, 69.8)
    assert row.recovery == pytest.approx(0.993, abs=0.0005)
    assert "article" in row.source


def test_ratios_are_recomputed_from_the_two_scores():
    for row in recovery_rows():
        if row.baseline and row.quantized:
            assert row.recovery == pytest.approx(row.quantized / row.baseline)
        else:
            assert row.printed is not None or row.statistic is Statistic.WORST_OF_SEVERAL


def test_a_printed_recovery_that_disagrees_is_flagged():
    for row in recovery_rows():
        if row.baseline and row.quantized and row.printed is not None and abs(row.recovery - row.printed) > 0.006:
            assert {"printed-differs"} & set(row.flags), (row.model, row.setting)


@pytest.mark.parametrize(
    ("model", "scheme", "benchmark", "flag"),
    [
        (LLAMA_70B, Scheme.INT8, "openllm-v2", "contradicts-headline"),  # headline 100.0 %, table 97.3 %
        ("meta-llama/Llama-3.1-405B-Instruct", Scheme.INT8, "mmlu", "mislabelled-card"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", Scheme.INT8_WEIGHT_ONLY, "mmlu", "prose-swapped"),
        ("Qwen/Qwen2.5-0.5B", Scheme.INT4, "arc-c", "printed-differs"),  # prints 98.8 % for 34.90 to 32.68
        (LLAMA_70B, Scheme.NVFP4, "hellaswag", "printed-differs"),  # prints 98.26 % for 78.82 to 78.60
    ],
)
def test_inconsistent_cards_are_flagged(model, scheme, benchmark, flag):
    assert any(flag in row.flags for row in rows(model, scheme, benchmark))


def test_scores_near_guessing_count_for_nothing():
    # 3.7 to 5.7 points above chance would print as 154 %
    (row,) = rows(LLAMA_8B, Scheme.FP8, "gpqa-normalised")
    assert "within 10 points of guessing: +2.0 points" in row.excluded
    # the same suite at 70B (15.4) tells something
    assert rows(LLAMA_70B, Scheme.FP8, "gpqa-normalised")[0].excluded == ""


def test_a_gain_no_precision_can_explain_counts_for_nothing():
    (row,) = rows("meta-llama/Llama-3.3-70B-Instruct", Scheme.NVFP4, "hellaswag")
    assert (row.baseline, row.quantized) == (70.23, 75.40)
    assert "differ in more than precision" in row.excluded


def test_a_run_told_twice_counts_once():
    told = rows(LLAMA_8B, Scheme.INT4, "humaneval", "HumanEval pass@1")
    gptq = [row for row in told if row.method == "gptq"]
    assert len(gptq) == 2
    assert sum(not row.excluded for row in gptq) == 1


def test_every_row_names_a_known_benchmark_and_lies_in_a_sane_range():
    assert len(recovery_rows()) > 450
    for row in recovery_rows():
        assert row.benchmark in benchmarks()
        if not row.excluded:
            assert 0.1 < row.recovery < 1.2, (row.model, row.setting)


def test_noise_of_one_ifeval_comparison():
    (row,) = rows(LLAMA_8B, Scheme.INT4, "ifeval")
    # 77.9 and 76.3 on 541 prompts: errors 1.784 and 1.828 points, 2.29 % and 2.40 % of the scores; 0.587 of their
    # root sum of squares (3.31 %), times the ratio 0.979
    assert row.noise == pytest.approx(0.587 * 0.03314 * 0.9795, rel=0.005)
