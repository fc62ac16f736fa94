"""Sign or not, of plans whose prices are those of the bundled table."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.commit import Commitment, WaysToPay, compare, machines_at
from app.exploring.commit_words import finding_of, mix_sentence, verdict_of, week_words
from app.kinds import NEGOTIATED
from app.planning.planner import plan
from app.scenario import LoadMode, Scenario
from app.sources import shared_sources
from estimators.provenance import Refusal
from pricing.offers import PurchaseOption

SOURCES = shared_sources()
EIGHT = "meta-llama/Llama-3.1-8B-Instruct"
TEN = Scenario(model=EIGHT, instance="g6.xlarge", rate=10)


def compared(scenario: Scenario, asked: Commitment | None = None) -> WaysToPay:
    return compare(plan(scenario, SOURCES), asked or Commitment(), SOURCES)


def test_every_way_to_pay_of_one_machine() -> None:
    found = compared(replace(TEN, rate=1))
    ways = {way.option: way for way in found.ways}
    assert found.now == 1
    assert ways[PurchaseOption.ON_DEMAND].usd_per_month == Decimal("0.8048") * 730
    year = ways[PurchaseOption.RESERVED_1YR_NO_UPFRONT]
    assert year.break_even == pytest.approx(Decimal("0.65"), abs=Decimal("0.001"))
    assert found.best is year
    assert ways[PurchaseOption.SPOT].after_fall is None


def test_a_discount_is_taken_off_every_way_to_pay_so_that_break_evens_stay() -> None:
    """$0.52392 of $0.8048 a year is 65.1 %, and 20 % off both leaves it."""
    listed, less = compared(replace(TEN, rate=1)), compared(replace(TEN, rate=1, discount=Decimal(20)))
    for before, after in zip(listed.ways, less.ways, strict=True):
        assert after.usd_per_month == Decimal("0.8") * before.usd_per_month
        assert after.break_even == before.break_even
    agreed = compared(replace(TEN, rate=1, negotiated=NEGOTIATED("g6.xlarge:0.5")))
    assert agreed.best is not None
    assert agreed.best.break_even is None  # a year at $0.52392 never beats $0.50 on demand


def test_hours_decide_whether_to_sign() -> None:
    assert verdict_of(compared(replace(TEN, rate=1))).startswith("Sign for 1 year: $382 a month")  # 0.52314 x 730
    few = verdict_of(compared(replace(TEN, rate=1, hours=Decimal(365))))
    assert few.startswith("Do not sign for 1 year: $382 a month")
    assert "against $294 on demand; it pays from 65 % of the hours, and you use 50 %." in few


def test_machines_after_a_fall_are_the_planners() -> None:
    full = plan(TEN, SOURCES)
    fallen = plan(replace(TEN, rate=7.0), SOURCES)
    assert full.chosen is not None
    assert fallen.chosen is not None
    assert fallen.chosen.instances < full.chosen.instances
    found = compared(TEN)
    assert (found.now, found.fallen) == (full.chosen.instances, fallen.chosen.instances)
    assert found.best is not None
    risk = found.best.after_fall
    assert risk is not None
    idle = full.chosen.instances - fallen.chosen.instances
    assert risk.idle_usd_of_term == idle * found.best.offer.usd_per_hour * 730 * 12
    assert f"{idle} of {found.now} machines would idle" in verdict_of(found)


def test_people_at_once_are_scaled_to_the_fewest_replicas_that_serve_them() -> None:
    many = plan(Scenario(model=EIGHT, concurrency=300, ttft=1.0), SOURCES)
    assert many.chosen is not None
    half = machines_at(many, 0.5, SOURCES)
    assert half < many.chosen.instances
    least = replace(many.chosen.scenario, concurrency=150, replicas=half - 1, price=None, price_as_of=None)
    if half > 1:
        fewer = plan(least, SOURCES).chosen
        assert fewer is not None
        assert not fewer.eligible
    assert machines_at(many, 0.0, SOURCES) == 0
    assert machines_at(many, 1.0, SOURCES) == many.chosen.instances


def test_machines_never_grow_when_traffic_falls() -> None:
    full = plan(TEN, SOURCES)
    counts = [machines_at(full, share / 10, SOURCES) for share in range(14)]
    assert counts == sorted(counts)


def test_the_engines_most_keeps_its_proportion() -> None:
    most = plan(Scenario(model=EIGHT, instance="g6.xlarge", load=LoadMode.MAX, replicas=10), SOURCES)
    assert machines_at(most, 0.71, SOURCES) == 8


def test_a_machine_without_reservations_stands_beside_its_nearest_kin() -> None:
    found = compared(Scenario(model="meta-llama/Llama-3.1-70B-Instruct", instance="p5en.48xlarge"))
    kin = {item.kind: item.kin.instance_type for item in found.not_sold if item.kin is not None}
    assert kin == {"reserved 1 year": "p4de.24xlarge", "reserved 3 years": "p5.48xlarge"}
    finding = finding_of(plan(found.chosen.scenario, SOURCES), found)
    assert ("reserved 3 years", "not sold") in [row[:2] for row in finding.rows]
    assert (
        "Not sold as reserved 3 years, as far as known prices go; the nearest that is, p5.48xlarge (8 x H100-SXM5), "
        "takes $17,357 a month for this load (snapshot of 2026-06-15)."  # 23.7773 x 730
    ) in finding.notes
    said = verdict_of(found)
    assert said.startswith("Nothing to sign: eight H200-SXM (p5en.48xlarge) is not sold with a commitment")
    assert "the nearest that is, p4de.24xlarge (8 x A100-80GB-SXM4), takes $12,703 a month for this load" in said


def test_without_keys_savings_plans_are_one_line() -> None:
    found = compared(TEN)
    assert found.savings_missing
    assert "Savings Plan" not in {item.kind for item in found.not_sold}
    notes = [note for note in finding_of(plan(TEN, SOURCES), found).notes if "Savings Plans" in note]
    assert len(notes) == 1
    assert "AWS credentials" in notes[0]


def test_office_hours_commit_the_nights_and_rent_the_days() -> None:
    found = compared(TEN, Commitment(week="8-18x5@20"))
    assert found.mix is not None
    assert 0 < found.mix.baseline < found.mix.peak == found.now
    assert mix_sentence(found).startswith(f"Commit {found.mix.baseline} of {found.mix.peak} machines")


def test_what_can_wait_is_priced_on_spot() -> None:
    found = compared(TEN, Commitment(wait=20, redo=10))
    hours = found.now * 730 * Decimal("0.2")
    assert found.waiting_usd == hours * Decimal("0.8048")
    spot = next(way.offer.usd_per_hour for way in found.ways if way.option is PurchaseOption.SPOT)
    assert found.spot_usd == hours * spot * Decimal("1.1")


def test_dearer_hours_never_make_signing_worse() -> None:
    shares = [compared(replace(TEN, hours=Decimal(h))).share_used for h in (100, 300, 700)]
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("scenario", "field"),
    [
        (Scenario(model=EIGHT, gpu="H100", buy=PurchaseOption.OWNED, price=Decimal(2)), "instance"),
        (Scenario(model="meta-llama/Llama-3.1-405B", instance="g6.xlarge"), "model"),
    ],
)
def test_what_cannot_be_signed_for_is_refused(scenario: Scenario, field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        compared(scenario)
    assert refusal.value.field == field


def test_a_week_is_said_in_words() -> None:
    assert week_words("8-18x5@20") == "8 to 18 o'clock on 5 days, 20 % of the load otherwise"
