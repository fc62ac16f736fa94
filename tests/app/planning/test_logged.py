"""Start-up logs that somebody kept, under what the planner weighs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.measuring.kept_log import measurement_of
from app.planning.logged import _ESTIMATED
from app.planning.plan import Plan
from app.planning.planner import plan
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.remembered import remembered_plan
from app.scenario import decode
from app.sources import MeasuredSources, shared_sources
from estimators.measuring.measurement import Measurement

GIB = 2**30
# One request of 20,128 tokens is 2.46 GiB of cache beside 14.96 of weights; an L4 is estimated to leave 4.99
LINK = {"model": "meta-llama/Llama-3.1-8B-Instruct", "prompt": "20000", "util": "0.95", "region": "us-east-1"}


def logged(gib: str, **changes: str) -> Measurement:
    before = plan(decode({**LINK, "gpu": "L4", "gpus": "1", **changes}).scenario, shared_sources())
    return measurement_of(f"Available KV cache memory: {gib} GiB", before, datetime(2026, 11, 28, tzinfo=UTC))


def planned(*logs: Measurement, **changes: str) -> Plan:
    return plan(decode({**LINK, **changes}).scenario, MeasuredSources(shared_sources(), logs))


def test_a_log_changes_which_machine_is_chosen() -> None:
    """With 2.00 GiB logged for the cache an L4 holds no request, so another machine comes first; its own memory stands
    as estimated."""
    before, after = planned(), planned(logged("2.00"))
    assert before.chosen is not None
    assert after.chosen is not None
    assert (before.chosen.machine.accelerator.name, before.chosen.placement.gpus) == ("L4", 1)
    assert (after.chosen.machine.accelerator.name, after.chosen.placement.gpus) != ("L4", 1)
    assert after.chosen.fits
    assert after.chosen.memory is not None
    assert after.chosen.memory.measured == ""
    assert after.chosen.usd_per_month > before.chosen.usd_per_month


def test_what_is_weighed_is_what_is_explained() -> None:
    """4.50 GiB logged: the L4 stays, and weigher and estimate have the same bytes of it."""
    made = logged("4.50")
    after = planned(made)
    assert after.chosen is not None
    assert after.chosen.memory is not None
    weighed = recommend(Question.of(after.asked), MeasuredSources(shared_sources(), [made]), shown=1).plans[0].candidate
    assert after.chosen.machine.accelerator.name == weighed.machine.accelerator.name == "L4"
    assert after.chosen.memory.pool_bytes_per_gpu == pytest.approx(4.50 * GIB, rel=0.01)
    assert weighed.holding is not None
    assert weighed.holding.max_concurrency == after.chosen.memory.max_concurrency == 1
    assert weighed.holding.memory_bytes == pytest.approx(after.chosen.memory.memory_bytes_per_gpu, abs=2)
    assert "Memory measured here: narrowed by 1 start-up log of this server, vllm on L4." in after.chosen.notes


@pytest.mark.parametrize("changes", [{"engine": "sglang"}, {"gpu": "A10G", "gpus": "1"}])
def test_another_engine_or_machine_is_planned_as_without_it(changes: dict[str, str]) -> None:
    made = logged("2.00")
    before, after = planned(**changes), planned(made, **changes)
    assert before.chosen is not None
    assert after.chosen is not None
    assert before.chosen.memory == after.chosen.memory


def test_a_plan_is_remembered_with_its_logs_and_not_given_to_anybody_else() -> None:
    scenario, made = decode(LINK).scenario, logged("2.00")
    mine = remembered_plan(scenario, MeasuredSources(shared_sources(), [made]))
    other = remembered_plan(scenario, shared_sources())
    assert mine.chosen is not None
    assert other.chosen is not None
    assert mine.chosen.label != other.chosen.label


def test_a_log_of_the_same_chip_in_other_letters_counts_in_what_is_weighed_too() -> None:
    made = logged("2.00")
    lower = planned(replace(made, accelerator="l4"))
    assert lower.chosen is not None
    assert lower.chosen.fits
    assert lower.chosen.label == planned(made).chosen.label  # type: ignore[union-attr]


def test_what_one_visitor_asked_before_changes_nothing_for_another() -> None:
    """The same log of an INT4 server under two ways to make INT4, in either order."""
    made = logged("14.40", weights="int4")
    asked = [{"weights": "int4", "method": method, "gpu": "L4", "gpus": "1"} for method in ("ct", "awq")]

    def needed(order: list[dict[str, str]]) -> dict[str, float]:
        _ESTIMATED.clear()
        found = {}
        for changes in order:
            chosen = planned(made, **changes).chosen
            assert chosen is not None
            assert chosen.memory is not None
            found[changes["method"]] = chosen.memory.memory_bytes_per_gpu
        return found

    assert needed(asked) == needed(asked[::-1])
