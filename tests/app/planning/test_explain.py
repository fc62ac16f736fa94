"""A way explained in full: its limits with both ends, and what a careful reader should know."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.planning.plan import Candidate
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources

ONE = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge")
TIGHT = "It is tight: the interval of the memory estimate reaches above the limit"


def explained(scenario: Scenario) -> Candidate:
    chosen = plan(scenario, shared_sources()).chosen
    assert chosen is not None
    return chosen


@pytest.mark.parametrize("key", ["ttft", "tpot", "e2e"])
def test_an_objective_is_held_against_the_percentile_and_both_ends_of_its_interval(key: str) -> None:
    free = explained(ONE).latency
    assert free is not None
    mean, late = free.of(key)
    low, high = late * mean.low / mean.value, late * mean.high / mean.value
    (limit,) = explained(replace(ONE, **{key: 0.99 * high})).objectives
    assert (limit.low, limit.value, limit.high) == pytest.approx((low, late, high))
    assert limit.met
    assert limit.may_miss
    assert not explained(replace(ONE, **{key: 1.01 * high})).objectives[0].may_miss


def test_a_plan_is_called_tight_where_it_fits_and_the_high_end_of_its_memory_does_not() -> None:
    memory = explained(ONE).memory
    assert memory is not None
    whole = memory.memory_budget_bytes_per_gpu / 0.92  # of an L4, as software sees it
    between = 0.5 * (memory.memory_bytes_per_gpu + memory.memory_bytes_per_gpu_high) / whole
    above = 1.01 * memory.memory_bytes_per_gpu_high / whole
    assert any(note.startswith(TIGHT) for note in explained(replace(ONE, util=round(between, 5))).notes)
    assert not any(note.startswith(TIGHT) for note in explained(replace(ONE, util=round(above, 5))).notes)
