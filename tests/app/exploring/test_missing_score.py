"""Measured, inferred or missing: what is known of a plan's quality on a task, and the runs that are left."""

from __future__ import annotations

import shlex

import pytest

from app.exploring.missing_score import Known, ScoreEvidence, evidence_of, score_finding
from app.planning.planner import plan
from app.scenario import decode
from app.sources import shared_sources
from estimators.quality.kept_scores import read_for, scores_in
from estimators.quality.scores import Score
from estimators.quality.tasks import Task
from tests.estimators.quality.test_kept_scores import LLAMA, NOW, results

QWEN = "Qwen/Qwen2.5-7B-Instruct"
LARGE = "meta-llama/Llama-3.1-70B-Instruct"
FOLLOWING, KNOWLEDGE = Task.INSTRUCTION_FOLLOWING, Task.KNOWLEDGE


def known(task: Task = FOLLOWING, reference: str = LLAMA, own: tuple[Score, ...] = (), **link: str) -> ScoreEvidence:
    scenario = decode({"model": LLAMA, **link}).scenario
    found = evidence_of(plan(scenario, shared_sources()), task, reference, shared_sources(), own=own)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("link", "task", "reference", "state"),
    [
        ({}, FOLLOWING, LLAMA, Known.NOTHING_LOST),
        ({"weights": "bf16"}, FOLLOWING, LLAMA, Known.NOTHING_LOST),
        ({}, KNOWLEDGE, LARGE, Known.PUBLISHED),  # both by one suite
        ({"weights": "int4"}, FOLLOWING, LLAMA, Known.PUBLISHED),  # on the card of the checkpoint
        ({"weights": "int4"}, KNOWLEDGE, LARGE, Known.INFERRED),  # a product of two published ratios
        ({"weights": "nvfp4", "model": QWEN}, FOLLOWING, QWEN, Known.INFERRED),  # from its kin
        ({"weights": "nf4"}, FOLLOWING, LLAMA, Known.MISSING),
        ({"weights": "int4"}, Task.TOOL_USE, LLAMA, Known.MISSING),
    ],
)  # fmt: skip
def test_where_the_quality_comes_from(link: dict[str, str], task: Task, reference: str, state: Known) -> None:
    assert known(task, reference, **link).known is state


def test_what_is_inferred_has_two_runs_ready() -> None:
    found = known(KNOWLEDGE, LARGE, weights="int4")
    assert found.sentence.startswith(
        "Quality on knowledge against Llama 3.1 70B is inferred, not measured: 47.6 against 67.6 on MMLU-Pro"
    )
    ours, theirs = found.runs
    assert ours.what == "this plan as it would be served"
    assert shlex.split(ours.command)[:7] == [
        "lm_eval", "--model", "vllm", "--model_args",
        "pretrained=RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16,tensor_parallel_size=1,"
        "gpu_memory_utilization=0.92,max_model_len=8192",
        "--tasks", "mmlu_pro",
    ]  # fmt: skip
    assert theirs.what == "Llama 3.1 70B as published, to compare with"
    assert "pretrained=meta-llama/Llama-3.1-70B-Instruct,tensor_parallel_size=8," in theirs.command  # of 24 GB L4


def test_what_is_published_needs_no_run() -> None:
    found = known(weights="int4")
    assert (found.runs, found.harness) == ((), None)
    first = found.scores[0]
    assert (first.scheme, first.benchmark, first.score) == ("int4", "IFEval", 76.3)


def test_a_task_the_harness_has_not_says_so() -> None:
    found = known(Task.TOOL_USE, weights="int4")
    assert found.sentence.endswith("LM Evaluation Harness has no task for tool use.")
    assert found.runs == ()


def test_a_run_that_cannot_be_made_says_why() -> None:
    ours, theirs = known(weights="nf4").runs
    assert ours.command == ""
    assert "no recipe" in ours.why
    assert theirs.command


def mine(score: float, weights: str, **changes: object) -> tuple[Score, ...]:
    return scores_in(read_for(results(score, **changes), LLAMA, weights, NOW))


def test_a_run_that_is_there_is_not_asked_for_again() -> None:
    (left,) = known(own=mine(0.76, "mxfp4"), weights="mxfp4").runs
    assert left.what == "Llama 3.1 8B as published, to compare with"
    (left,) = known(own=mine(0.78, "as-published"), weights="mxfp4").runs
    assert left.what == "this plan as it would be served"


def test_both_runs_settle_it() -> None:
    found = known(own=(*mine(0.741, "mxfp4"), *mine(0.779, "as-published")), weights="mxfp4")
    assert found.known is Known.OWN
    assert found.runs == ()
    assert [(row.scheme, row.score) for row in found.scores[:2]] == [("mxfp4", 74.1), ("as-published", 77.9)]


def test_runs_that_were_not_taken_alike_are_both_taken_again() -> None:
    five = mine(0.779, "as-published", **{"n-shot": {"ifeval": 5}})
    found = known(own=(*mine(0.741, "mxfp4"), *five), weights="mxfp4")
    assert found.known is not Known.OWN
    assert len(found.runs) == 2


def test_for_a_terminal() -> None:
    finding = score_finding(known(KNOWLEDGE, LARGE, weights="int4"))
    assert finding.notes[0].startswith("Run this plan as it would be served: lm_eval --model vllm ")
    assert finding.notes[2].startswith('pip install "lm_eval[vllm]"; task and shots: lm_eval 0.4.13 wheel')
    assert all(len(row) == len(finding.heads) for row in finding.rows)
