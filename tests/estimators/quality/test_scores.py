"""Scores are compared inside one benchmark, suite and setting, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.quality.schemes import Scheme
from estimators.quality.scores import Score, paired_scores, published_scores, ruler_of, scores, scores_by
from estimators.quality.tasks import Task, benchmarks

LLAMA_8B, LLAMA_70B = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def own(model, score, scheme=Scheme.AS_PUBLISHED, setting="0-shot"):
    return Score(
        model=model,
        benchmark="ifeval",
        suite="mine",
        setting=setting,
        score=score,
        scheme=scheme,
        source="results.json",
        as_of="2026-11-21",
    )


def test_the_8b_against_the_70b_on_the_suite_that_measured_most_models():
    pair = paired_scores(LLAMA_8B, LLAMA_70B, Task.INSTRUCTION_FOLLOWING)[0]
    assert pair.candidate.suite == "Qwen2.5 report, instruct models"
    assert (pair.candidate.score, pair.reference.score) == (75.9, 83.6)
    assert pair.ratio == pytest.approx(0.9079, abs=5e-5)


def test_the_other_suites_are_shown_beside_it():
    pairs = paired_scores(LLAMA_8B, LLAMA_70B, Task.INSTRUCTION_FOLLOWING)
    ratios = {pair.candidate.suite: pair.ratio for pair in pairs if pair.candidate.benchmark == "ifeval"}
    assert ratios["Meta Llama 3.x instruct cards"] == pytest.approx(80.4 / 87.5)
    assert ratios["Red Hat Llama 3.1 FP8 cards, BF16 column"] == pytest.approx(77.9 / 86.4)


def test_versions_of_a_suite_are_different_rulers():
    # BFCL of the 3.1 and 3.3 cards gives the same 8B other scores
    keys = {row.key for row in scores(LLAMA_8B, benchmark="bfcl")}
    assert len(keys) == 3


def test_the_relative_error_of_a_pair():
    pair = paired_scores(LLAMA_8B, LLAMA_70B, Task.INSTRUCTION_FOLLOWING)[0]
    # 541 prompts: 1.839 of 75.9 and 1.592 of 83.6, so 0.9079 sqrt(0.02423^2 + 0.01904^2)
    assert pair.relative_error == pytest.approx(0.0280, abs=5e-5)


def test_a_reasoning_model_counts_in_the_mode_that_spends_least():
    pair = paired_scores("openai/gpt-oss-20b", LLAMA_70B, Task.INSTRUCTION_FOLLOWING)[0]
    assert pair.candidate.mode == "reasoning low"


def test_models_are_ranked_by_the_one_ruler_that_measured_most_of_them():
    # IFEval of the Llama cards has the 8B beside the 3.3 70B, but no Qwen; IFBench has all three
    reference, qwen = "meta-llama/Llama-3.3-70B-Instruct", "Qwen/Qwen3-14B"
    assert ruler_of(reference, Task.INSTRUCTION_FOLLOWING, [LLAMA_8B])[0] == "ifeval"
    ruler = ruler_of(reference, Task.INSTRUCTION_FOLLOWING, [LLAMA_8B, qwen])
    assert ruler[:2] == ("ifbench", "Artificial Analysis")
    found = {row.model: row.score for row in scores_by(ruler)}
    assert (found[reference], found[LLAMA_8B], found[qwen]) == (47.1, 28.6, 23.9)
    (pair,) = paired_scores(LLAMA_8B, reference, Task.INSTRUCTION_FOLLOWING, ruler=ruler)
    assert pair.ratio == pytest.approx(0.607, abs=5e-4)


def test_no_ruler_where_nobody_measured_the_reference():
    assert ruler_of("meta-llama/Llama-3.3-70B-Instruct", Task.CHAT, [LLAMA_8B]) is None


def test_a_model_that_only_reasons_is_scored_as_reasoning():
    thinking = [row for row in published_scores() if "Thinking" in row.model or "DeepSeek-R1" in row.model]
    assert len(thinking) > 40
    assert all(row.reasons for row in thinking)


def test_no_common_suite_no_pair():
    assert paired_scores("HuggingFaceTB/SmolLM-360M-Instruct", LLAMA_70B, Task.CODE) == ()


def test_own_runs_come_first():
    mine = (own(LLAMA_8B, 70.0), own(LLAMA_70B, 80.0))
    assert paired_scores(LLAMA_8B, LLAMA_70B, Task.INSTRUCTION_FOLLOWING, own=mine)[0].ratio == 0.875


def test_own_runs_of_unlike_settings_do_not_pair():
    mine = (own(LLAMA_8B, 70.0, setting="5-shot"), own(LLAMA_70B, 80.0, setting="0-shot"))
    assert paired_scores(LLAMA_8B, LLAMA_70B, Task.INSTRUCTION_FOLLOWING, own=mine)[0].candidate.suite != "mine"


def test_the_table_has_one_score_per_model_ruler_and_mode():
    keys = [(row.model, row.key, row.mode) for row in published_scores()]
    assert len(keys) == len(set(keys)) > 600
    for row in published_scores():
        assert row.benchmark in benchmarks()
        assert -1 < row.score <= 100


def test_artificial_analysis_is_named_with_its_address():
    rows = [row for row in published_scores() if row.suite == "Artificial Analysis"]
    assert rows
    assert all("https://artificialanalysis.ai/" in row.source for row in rows)


MODELS = sorted({row.model for row in published_scores()})


@given(st.sampled_from(MODELS), st.sampled_from(MODELS), st.sampled_from(list(Task)))
def test_a_pair_shares_its_ruler_and_turns_round(left, right, task):
    forward = {pair.candidate.key: pair for pair in paired_scores(left, right, task)}
    for pair in forward.values():
        assert pair.candidate.key == pair.reference.key
        assert pair.benchmark.task is task
    for pair in paired_scores(right, left, task):
        if pair.candidate.key in forward:
            assert pair.ratio * forward[pair.candidate.key].ratio == pytest.approx(1.0)
