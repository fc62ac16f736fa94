"""What a task of several calls costs, and a router, against one large model."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.pipeline import Router, TaskLoad, price_pipeline, price_router, router_steps
from app.exploring.pipeline_steps import parse_steps
from app.exploring.pipeline_words import pipeline_finding, pipeline_sentence, routing_finding, routing_sentence
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.architecture import catalogue
from estimators.provenance import Refusal

SOURCES = shared_sources()
KNOWN = [entry.id for entry in catalogue.entries()]
EIGHT, SEVENTY = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
BASE = Scenario()
DAY = TaskLoad(tasks=86_400, peak=1)  # one task a second


def month(scenario: Scenario) -> Decimal:
    chosen = plan(scenario, SOURCES).chosen
    assert chosen is not None
    assert chosen.usd_per_month is not None
    return chosen.usd_per_month


def test_a_pipeline_of_one_step_is_the_plan_of_that_step() -> None:
    found = price_pipeline(parse_steps(f"only, {EIGHT}, 1, 1024, 128"), DAY, BASE, SOURCES, KNOWN)
    alone = plan(Scenario(model=EIGHT, rate=1.0), SOURCES).chosen
    assert alone is not None
    assert found.mixed.usd_per_month == alone.usd_per_month
    assert found.mixed.late_s == alone.e2e_p95_s
    assert alone.latency is not None
    assert found.mixed.mean_s == alone.latency.e2e_s.value


def test_dollars_for_a_thousand_tasks() -> None:
    """One task a second is 2,628,000 in 730 hours."""
    found = price_pipeline(parse_steps(f"only, {EIGHT}, 1, 1024, 128"), DAY, BASE, SOURCES, KNOWN)
    assert found.mixed.tasks_per_month == pytest.approx(2_628_000)
    assert float(found.mixed.usd_per_thousand) == pytest.approx(float(found.mixed.usd_per_month) / 2_628)


def test_calls_in_a_row_take_their_time_each_and_calls_at_once_that_of_one() -> None:
    row, at_once = (
        price_pipeline(parse_steps(f"only, {EIGHT}, {calls}, 1024, 128"), DAY, BASE, SOURCES, KNOWN).mixed
        for calls in ("4", "4 at once")
    )
    assert row.usd_per_month == at_once.usd_per_month == month(Scenario(model=EIGHT, rate=4.0))
    assert row.mean_s == pytest.approx(4 * at_once.mean_s)


def test_steps_of_one_model_share_its_machines() -> None:
    steps = parse_steps(f"a, {EIGHT}, 1, 1024, 128; b, llama 3.1 8b, 1, 1024, 128")
    found = price_pipeline(steps, DAY, BASE, SOURCES, KNOWN)
    assert len(found.mixed.pools) == 1
    assert [len(pool.steps) for pool in found.apart] == [1, 1]
    assert found.mixed.usd_per_month <= sum(pool.usd_per_month for pool in found.apart)
    assert any("shared by a and b; apart they would cost" in note for note in pipeline_finding(found).notes)


def test_five_small_and_one_large_against_all_large() -> None:
    steps = parse_steps(f"classify, {EIGHT}, 5, 1024, 128, 0.5; synthesis, {SEVENTY}, 1, 4096, 512")
    few = price_pipeline(steps, TaskLoad(tasks=2_000), BASE, SOURCES, KNOWN)
    assert few.all_large is not None
    assert few.mixed.usd_per_month > few.all_large.usd_per_month  # one large machine has room for the small calls
    assert few.pays_from is not None
    many = price_pipeline(steps, TaskLoad(tasks=few.pays_from), BASE, SOURCES, KNOWN)
    assert many.all_large is not None
    assert many.mixed.usd_per_month < many.all_large.usd_per_month
    assert many.pays_from is None
    assert "less than the" in pipeline_sentence(many)
    assert many.mixed.quality is not None
    assert many.mixed.quality < 1
    assert many.mixed.known == 1


def test_more_tasks_never_cost_less() -> None:
    steps = parse_steps(f"a, {EIGHT}, 3, 1024, 128")
    costs = [
        price_pipeline(steps, TaskLoad(tasks=tasks), BASE, SOURCES, KNOWN).mixed.usd_per_month
        for tasks in (1_000, 100_000, 1_000_000)
    ]
    assert costs == sorted(costs)


def test_what_nobody_has_scored_is_said() -> None:
    found = price_pipeline(parse_steps("a, 8B, 1, 1024, 128"), DAY, BASE, SOURCES, KNOWN)
    assert found.mixed.quality is None
    assert found.mixed.gaps == ("a: a size has no published quality",)
    assert any(note.startswith("Without a published score: a:") for note in pipeline_finding(found).notes)


def test_any_model_that_is_good_enough_is_at_least_that_good() -> None:
    found = price_pipeline(parse_steps("classify, any, 1, 1024, 16"), DAY, BASE, SOURCES, KNOWN)
    (pool,) = found.mixed.pools
    assert pool.steps[0].ratio is not None
    assert pool.steps[0].ratio >= 0.95
    assert pool.usd_per_month < month(Scenario(model=SEVENTY, rate=1.0, output=16))


ROUTER = Router(small=EIGHT, by="none", share=70, fail=10)
MANY = TaskLoad(tasks=500_000, peak=1)


def test_a_routers_calls() -> None:
    """70 % small of which a tenth fail: 0.7 small, 0.3 + 0.07 large; 0.63 of the answers are the small one's."""
    small, large = router_steps(ROUTER, MANY, BASE, 70)
    assert (small.calls, small.weight) == (0.7, pytest.approx(0.63))
    assert large.calls == pytest.approx(0.37)
    assert large.after == ("small",)


def test_a_router_at_its_ends_is_the_one_model_or_the_other() -> None:
    rate = 500_000 / 86_400
    none = price_router(replace(ROUTER, share=0), MANY, BASE, SOURCES, KNOWN)
    assert (
        none.mixed.usd_per_month == none.all_large.usd_per_month == month(Scenario(model=SEVENTY, rate=round(rate, 6)))
    )
    everything = price_router(replace(ROUTER, share=100, fail=0), MANY, BASE, SOURCES, KNOWN)
    assert everything.mixed.usd_per_month == month(Scenario(model=EIGHT, rate=round(rate, 6)))
    assert everything.curve[0][1] == none.all_large.usd_per_month
    assert everything.curve[-1][1] == everything.mixed.usd_per_month


def test_the_share_it_pays_from_pays_and_one_percent_less_does_not() -> None:
    found = price_router(ROUTER, MANY, BASE, SOURCES, KNOWN)
    assert found.pays_from is not None
    assert 0 < found.pays_from < 100
    at, below = (
        price_router(replace(ROUTER, share=share), MANY, BASE, SOURCES, KNOWN).mixed.usd_per_month
        for share in (found.pays_from, found.pays_from - 1)
    )
    assert at < found.all_large.usd_per_month <= below
    assert f"it pays from {found.pays_from:g} % on" in routing_sentence(found)
    assert len(routing_finding(found).rows) == 11


def test_a_router_of_its_own_costs_its_machines() -> None:
    plain, routed = (
        price_router(replace(ROUTER, by=by), MANY, BASE, SOURCES, KNOWN).mixed for by in ("none", "Llama 3.2 1B")
    )
    assert routed.usd_per_month > plain.usd_per_month
    assert routed.path[0] == "router"
    assert routed.mean_s > plain.mean_s


def test_where_no_share_pays_the_volume_is_said() -> None:
    found = price_router(ROUTER, TaskLoad(tasks=10_000), BASE, SOURCES, KNOWN)
    assert found.pays_from is None
    assert "at this volume no share pays" in routing_sentence(found)
    assert found.tasks_from is not None
    more = price_router(ROUTER, TaskLoad(tasks=found.tasks_from), BASE, SOURCES, KNOWN)
    assert more.mixed.usd_per_month < more.all_large.usd_per_month


@pytest.mark.parametrize(
    ("steps", "asked", "field"),
    [
        ("a, nobody knows this, 1, 1024, 128", TaskLoad(), "pipe_steps"),
        ("a, 8B, 1, 1024, 128", TaskLoad(large="nobody knows this"), "pipe_large"),
        ("a, any, 1, 1024, 128", TaskLoad(large="70B"), "pipe_large"),
        ("a, 8B, 1, 1024, 128", TaskLoad(tasks=0.001), "pipe_tasks"),
        ("a, 8B, 0.001, 1024, 128", TaskLoad(tasks=0.1, peak=1), "pipe_tasks"),
    ],
)
def test_what_cannot_be_priced_is_refused_with_its_field(steps: str, asked: TaskLoad, field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        price_pipeline(parse_steps(steps), asked, BASE, SOURCES, KNOWN)
    assert refusal.value.field == field
