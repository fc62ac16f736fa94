"""Loads as people say them, worked by hand into the planner's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.exploring.load_units import (
    PeopleLoad,
    Unit,
    load_of,
    percentile,
    serve_load,
)
from app.exploring.load_words import load_finding, load_sentence
from app.exploring.traffic_log import LoggedRequest, TrafficLog
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.provenance import Refusal

SOURCES = shared_sources()
EIGHT = Scenario(model="meta-llama/Llama-3.1-8B-Instruct")


def test_people_by_requests_an_hour_and_a_peak() -> None:
    load = load_of(PeopleLoad(amount=500, each=12, peak=2))
    assert load.keys == {"rate": "3.333333", "prompt": "1024", "output": "128", "prefix": "0"}
    assert load.terms[0].formula == "people x requests an hour / 3600 = 500 x 12 / 3600"


def test_tasks_a_day_are_done_in_the_hours_of_the_week() -> None:
    """10,000 tasks of 6 calls on 5 days of 10 hours: 10000 x 6 x 5 / (50 x 3600) = 1.667 a second."""
    load = load_of(PeopleLoad(unit=Unit.TASKS, amount=10_000, each=6, peak=1, week="8-18x5"))
    assert load.rate == pytest.approx(1.6667, rel=1e-4)
    assert load.mean_rate == pytest.approx(10_000 * 6 * 5 / (168 * 3600))
    every = load_of(PeopleLoad(unit=Unit.TASKS, amount=86_400, each=1, peak=1))
    assert every.rate == pytest.approx(1.0)


def test_tokens_a_month_are_requests_of_their_length() -> None:
    """200 million tokens out at 128 each: 1,562,500 requests in 730 x 3600 seconds, three times that at the peak."""
    load = load_of(PeopleLoad(unit=Unit.TOKENS, amount=200, peak=3))
    assert load.rate == pytest.approx(3 * 1_562_500 / (730 * 3600))


def test_a_conversation_carries_what_was_said_before() -> None:
    """100 new tokens and 300 out, five turns: 100, 500, 900, 1300, 1700 in; 4,000 of 4,500 cached."""
    load = load_of(PeopleLoad(prompt="100", output="300", turns=5))
    assert [(one.prompt, one.cached) for one in load.lengths] == [
        (100, 0), (500, 400), (900, 800), (1300, 1200), (1700, 1600),
    ]  # fmt: skip
    assert (load.prompt, load.output, load.longest) == (900, 300, 2000)
    assert load.prefix == 0.8889


def test_a_system_prompt_is_cached_before_every_request() -> None:
    load = load_of(PeopleLoad(prompt="100", output="10", system=900))
    assert (load.prompt, load.prefix) == (1000, 0.9)


def test_short_typical_and_long() -> None:
    load = load_of(PeopleLoad(prompt="200/1000/8000", output="100"))
    assert [(one.share, one.prompt) for one in load.lengths] == [(0.25, 200), (0.5, 1000), (0.25, 8000)]
    assert load.prompt == 2550  # 50 + 500 + 2000
    assert load.longest == 8100


def test_a_log_is_classes_of_equal_share() -> None:
    exchanges = tuple(LoggedRequest(100 * n, 10) for n in range(1, 101))
    load = load_of(PeopleLoad(), TrafficLog(exchanges=exchanges, requests=100, unread=0))
    assert len(load.lengths) == 20
    assert (load.prompt, load.longest) == (5050, 10_010)
    assert load.lengths[-1].prompt == 9_800  # mean of 9,600 to 10,000


def test_the_95th_percentile_over_lengths() -> None:
    assert percentile([(9.0, 0.04), (1.0, 0.96)]) == 1
    assert percentile([(9.0, 0.06), (1.0, 0.94)]) == 9
    assert percentile([(2.0, 1.0)]) == 2


def test_one_length_is_the_plan_of_that_length() -> None:
    served = serve_load(EIGHT, load_of(PeopleLoad(amount=300, each=12, peak=1)), SOURCES)
    alone = plan(replace(EIGHT, rate=1.0), SOURCES)
    assert served.plan.chosen is not None
    assert alone.chosen is not None
    assert served.plan.chosen.cost == alone.chosen.cost
    assert served.late["ttft"] == alone.chosen.ttft_p95_s


def test_long_requests_take_their_own_prefill_and_keep_the_limit() -> None:
    asked = replace(EIGHT, ttft=0.4)
    even = serve_load(asked, load_of(PeopleLoad(prompt="2067")), SOURCES)
    wide = serve_load(asked, load_of(PeopleLoad(prompt="67/100/8000")), SOURCES)
    assert wide.load.prompt == even.load.prompt
    assert wide.times[2]["ttft"] > wide.times[0]["ttft"]
    assert wide.late["ttft"] == wide.times[2]["ttft"] <= 0.4
    assert wide.plan.chosen is not None
    assert even.plan.chosen is not None
    assert wide.plan.chosen.usd_per_month is not None
    assert even.plan.chosen.usd_per_month is not None
    assert wide.plan.chosen.usd_per_month >= even.plan.chosen.usd_per_month
    assert wide.tightened["ttft"] < 0.4
    assert any("kept over all of them" in note for note in load_finding(wide).notes)


def test_a_limit_no_machine_keeps_over_these_lengths_is_said() -> None:
    served = serve_load(replace(EIGHT, ttft=0.3), load_of(PeopleLoad(prompt="10/20/120000")), SOURCES)
    said = load_sentence(served)
    assert "missed over these lengths" in said or "No machine meets every limit" in said


def test_more_people_never_cost_less() -> None:
    costs = []
    for people in (100, 1_000, 10_000):
        chosen = serve_load(EIGHT, load_of(PeopleLoad(amount=people)), SOURCES).plan.chosen
        assert chosen is not None
        costs.append(chosen.usd_per_month or 0)
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("load", "field", "said"),
    [
        (PeopleLoad(amount=1e9, each=1e5), "load_amount", "0.000001 to 1,000,000"),
        (PeopleLoad(amount=1e-6, each=0.001), "load_amount", "0.000001 to 1,000,000"),
        (PeopleLoad(prompt="9/8/7"), "load_in", "short/typical/long"),
        (PeopleLoad(prompt="10000000", turns=100), "load_in", "Up to 16,777,216"),
        (PeopleLoad(week="18-8x5"), "week", "earlier to a later hour"),
    ],
)
def test_what_is_out_of_range_is_named(load: PeopleLoad, field: str, said: str) -> None:
    with pytest.raises(Refusal, match=said) as refusal:
        load_of(load)
    assert refusal.value.field == field
