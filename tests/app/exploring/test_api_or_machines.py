"""Hosted APIs beside the planner's machines, at a person's own volume."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.api_or_machines import EVERY, Volume, rent_finding, rent_or_run, rent_sentence
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.provenance import Refusal
from pricing.api_prices import OWN

SOURCES = shared_sources()
EIGHT = Scenario(model="meta-llama/Llama-3.1-8B-Instruct")
OURS = "ours, 0.20, 0.20"  # 1,600 million in and 200 out are $360, $1.80 a million out


def test_the_machines_are_the_planners_for_the_rate_of_the_volume() -> None:
    """200 million at 128 out are 1,562,500 requests in 730 hours, 0.594555 a second; twice that at the peak."""
    found = rent_or_run(EIGHT, Volume(), SOURCES)
    assert found.plan.asked.rate == pytest.approx(1.18911, abs=1e-5)
    alone = plan(replace(EIGHT, rate=found.plan.asked.rate), SOURCES).chosen
    assert alone is not None
    assert found.machines_usd == alone.usd_per_month


def test_the_apis_month_by_new_cached_and_written_tokens() -> None:
    half = rent_or_run(replace(EIGHT, prefix=0.5), Volume(own="ours, 0.20, 0.60, 0.10"), SOURCES)
    ours = next(month for month in half.months if month.tier.tier == OWN)
    assert (ours.input_usd, ours.cached_usd, ours.output_usd) == (160, 80, 120)  # 800 new, 800 cached, 200 out
    assert ours.usd == 360


def test_where_machines_pay_they_do_and_below_they_do_not() -> None:
    found = rent_or_run(EIGHT, Volume(own=OURS), SOURCES)
    ours = next(month for month in found.months if month.tier.tier == OWN)
    assert ours.usd == 360
    assert ours.pays_from is not None
    assert ours.utilisation is not None
    assert 0 < ours.utilisation < 1
    at, below = (
        rent_or_run(EIGHT, Volume(millions=ours.pays_from * share, own=OURS), SOURCES) for share in (1.001, 0.95)
    )
    for month in at.months:
        if month.tier.tier == OWN:
            assert at.machines_usd <= month.usd
    for month in below.months:
        if month.tier.tier == OWN:
            assert below.machines_usd > month.usd


def test_one_machine_pays_from_its_month_over_the_price() -> None:
    """$587.65 for one L4 against $8 + $1 = $9 a million output with its input: 65.3 million."""
    found = rent_or_run(EIGHT, Volume(millions=10, own="dear, 1, 1"), SOURCES)
    dear = next(month for month in found.months if month.tier.tier == OWN)
    cheapest = min(cost for _, cost in found.curve)
    assert dear.pays_from == pytest.approx(cheapest / 9, rel=0.02)


def test_the_break_even_says_input_and_output_apart() -> None:
    """1,024 in and 128 out: eight tokens in for each out."""
    found = rent_or_run(EIGHT, Volume(own="dear, 1, 1"), SOURCES)
    dear = next(row for row in rent_finding(found).rows if row[0] == "dear")
    assert dear[-1].startswith("65.3 million out with 522 in; ")


def test_a_cheap_api_is_never_beaten_and_a_dear_one_at_once() -> None:
    cheap = rent_or_run(EIGHT, Volume(own="cheap, 0.0001, 0.0001"), SOURCES)
    assert cheap.best is not None
    assert cheap.best.pays_from is None
    assert "rent tokens" in rent_sentence(cheap)
    assert "tokens stay cheaper at every volume looked at, and machines are the cheaper first beside" in rent_sentence(
        cheap
    )


def test_batch_is_shown_and_is_no_verdict_for_who_waits_for_an_answer() -> None:
    found = rent_or_run(replace(EIGHT, model="openai/gpt-oss-20b"), Volume(models=EVERY), SOURCES)
    assert {"standard", "batch"} <= {month.tier.tier for month in found.months}
    assert found.best is not None
    assert found.best.tier.tier != "batch"
    assert [month.usd for month in found.months] == sorted(month.usd for month in found.months)


def test_the_same_open_model_comes_alone_and_every_model_on_request() -> None:
    same = rent_or_run(EIGHT, Volume(), SOURCES)
    assert {month.tier.hub_id for month in same.months} == {"meta-llama/Llama-3.1-8B-Instruct"}
    every = rent_or_run(EIGHT, Volume(models=EVERY), SOURCES)
    assert len(every.months) == 40
    assert {month.tier.name for month in same.months} <= {month.tier.name for month in every.months}


def test_fewer_hours_need_faster_machines_for_the_same_tokens() -> None:
    day, office = (rent_or_run(replace(EIGHT, hours=Decimal(hours)), Volume(), SOURCES) for hours in (730, 217))
    assert office.plan.asked.rate is not None
    assert day.plan.asked.rate is not None
    assert office.plan.asked.rate == pytest.approx(day.plan.asked.rate * 730 / 217, rel=1e-4)


def test_machines_never_cost_less_for_more_tokens() -> None:
    costs = [cost for _, cost in rent_or_run(EIGHT, Volume(), SOURCES).curve]
    assert costs == sorted(costs)


def test_one_price_a_million_with_the_bridge_to_the_first_screens() -> None:
    found = rent_or_run(EIGHT, Volume(), SOURCES)
    notes = " ".join(rent_finding(found).notes)
    assert "on these machines: $2.94, or $0.33 for a million of any kind" in notes  # 587.65 / 200, and by 9
    assert "were the peak's load there in all hours, $1.47: the figure of the first screen" in notes
    cost = plan(replace(EIGHT, rate=found.plan.asked.rate), SOURCES).chosen
    assert cost is not None
    assert cost.cost is not None
    assert cost.cost.usd_per_million_output_tokens == pytest.approx(Decimal("1.469"), abs=Decimal("0.001"))


@pytest.mark.parametrize(
    ("scenario", "volume", "field"),
    [
        (EIGHT, Volume(millions=1e9), "api_tokens"),
        (EIGHT, Volume(millions=1e-6), "api_tokens"),
        (replace(EIGHT, hours=Decimal(0)), Volume(), "hours"),
        (EIGHT, Volume(own="nonsense"), "api_own"),
    ],
)
def test_what_is_out_of_range_is_refused_with_its_field(scenario: Scenario, volume: Volume, field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        rent_or_run(scenario, volume, SOURCES)
    assert refusal.value.field == field
