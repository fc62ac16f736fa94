"""Scores of one's own runs, as they are kept: what a file says, and what comes back from a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from estimators.provenance import Refusal
from estimators.quality.kept_scores import as_dict, from_dict, read_for, scores_in
from estimators.quality.tasks import Task
from estimators.quality.verdict import Meets, compare_quality, meets_bar

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def results(score: float = 0.763, **changes: object) -> str:
    body = {
        "results": {"ifeval": {"prompt_level_strict_acc,none": score, "prompt_level_strict_acc_stderr,none": 0.0183}},
        "versions": {"ifeval": 4.0},
        "n-shot": {"ifeval": 0},
        "config": {"model_args": {"pretrained": "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16"}},
        "lm_eval_version": "0.4.13",
    }
    return json.dumps({**body, **changes})


def test_a_file_is_filed_under_the_model_and_says_where_it_is_from() -> None:
    (kept,) = read_for(results(), "meta-llama/Meta-Llama-3.1-8B-Instruct", "int4", NOW)
    assert kept.name == (
        f"{LLAMA} in int4: IFEval 76.3, 0-shot, prompt_level_strict_acc, filter none, no chat template, kept 2026-11-28"
    )
    assert kept.score.source == (
        "your results file of LM Evaluation Harness 0.4.13, run on RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16"
    )
    assert (kept.score.score, kept.score.standard_error) == pytest.approx((76.3, 1.83))


def test_what_is_written_is_read_back_whole() -> None:
    kept = read_for(results(), LLAMA, "int4", NOW)
    assert tuple(from_dict(json.loads(json.dumps(as_dict(one)))) for one in kept) == kept


def test_the_same_result_has_one_id_and_another_another() -> None:
    (first,) = read_for(results(), LLAMA, "int4", NOW)
    (later,) = read_for(results(), LLAMA, "int4", datetime(2026, 12, 1, tzinfo=UTC))
    (other,) = read_for(results(0.77), LLAMA, "int4", NOW)
    (wide,) = read_for(results(), LLAMA, "as-published", NOW)
    assert first.id == later.id
    assert len({first.id, other.id, wide.id}) == 3


def test_kept_scores_of_both_decide_a_bar_that_published_ones_left_open() -> None:
    """76.3 against 77.9 of one's own runs is 97.9 % as deployed; one standard error of the ratio is 3.3 %."""
    kept = [*read_for(results(0.763), LLAMA, "nf4", NOW), *read_for(results(0.779), LLAMA, "as-published", NOW)]
    asked = (LLAMA, "nf4", LLAMA, Task.INSTRUCTION_FOLLOWING)
    assert meets_bar(compare_quality(*asked), 0.95).meets is not Meets.YES
    known = compare_quality(*asked, own_scores=scores_in(kept))
    assert known.ratio == pytest.approx(0.9795, abs=1e-4)
    assert meets_bar(known, 0.93).meets is Meets.YES
    assert known.sources == (kept[0].score.source,)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"score": 101}, "results.score"),
        ({"score": "76"}, "results.score"),
        ({"score": float("nan")}, "results.score"),
        ({"standard_error": -1}, "results.standard_error"),
        ({"benchmark": "<b>"}, "results.benchmark"),
        ({"suite": "x" * 301}, "results.suite"),
        ({"note": 5}, "results.note"),
    ],
)
def test_a_row_that_can_be_none_is_refused_by_its_field(changes: dict[str, object], field: str) -> None:
    (kept,) = read_for(results(), LLAMA, "int4", NOW)
    with pytest.raises(Refusal) as refusal:
        from_dict(as_dict(kept) | changes)
    assert refusal.value.field == field


def test_a_file_without_a_benchmark_that_is_known_here_is_refused() -> None:
    with pytest.raises(Refusal, match="No task of this file is one of the benchmarks known here"):
        read_for(results(results={"toy": {"acc,none": 0.5}}), LLAMA, "int4", NOW)
    with pytest.raises(Refusal, match="There is no scheme"):
        read_for(results(), LLAMA, "int5", NOW)
