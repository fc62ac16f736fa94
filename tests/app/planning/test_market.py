"""What machines cost here: the cheapest way to pay, prices too old to choose by, and how many machines it takes."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from app.kinds import NEGOTIATED
from app.planning.market import Purchase, chips_of, instances_needed, machine_of, market_of
from app.planning.question import Question
from app.scenario import Scenario
from estimators.workload import Placement
from pricing.instances import find_instance
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.table import OfferTable

NEWEST = date(2026, 11, 20)
SPOT, ON_DEMAND = PurchaseOption.SPOT, PurchaseOption.ON_DEMAND
COMMITTED = PurchaseOption.RESERVED_1YR_NO_UPFRONT


def offer(price: str, option: PurchaseOption, *, days_old: int = 0, machine: str = "g6.xlarge") -> Offer:
    return Offer(
        instance_type=machine,
        region="us-east-1",
        option=option,
        usd_per_hour=Decimal(price),
        source=PriceSource.SNAPSHOT,
        as_of=NEWEST - timedelta(days=days_old),
        origin="test",
    )


def bought(*offers: Offer, hours: int = 730) -> dict[str, Purchase]:
    """Of each machine, how it is bought where every way to pay that is offered may be used."""
    options = tuple(dict.fromkeys(one.option for one in offers))
    scenario = Scenario(model="8B", hours=Decimal(hours))
    question = Question(scenario=scenario, models=("8B",), options=options)
    market = market_of(question, chips_of(question), OfferTable(offers))
    return {purchase.machine.name: purchase for sold in market.sold for purchase in sold}


@pytest.mark.parametrize(("hours", "option", "usd"), [(730, COMMITTED, 365.0), (300, ON_DEMAND, 300.0)])
def test_the_cheapest_way_to_pay_is_that_of_the_month(hours: int, option: PurchaseOption, usd: float) -> None:
    """$1.00 an hour on demand, or $0.50 committed to for all 730: $365 however few of them are used."""
    found = bought(offer("1.00", ON_DEMAND), offer("0.50", COMMITTED), hours=hours)["g6.xlarge"]
    assert found.offer is not None
    assert (found.offer.option, found.usd_per_month, found.offers) == (option, usd, 2)


@pytest.mark.parametrize(("days", "gone"), [(0, False), (90, False), (91, True)])
def test_a_spot_price_more_than_ninety_days_older_than_the_newest_is_none_to_choose_by(days: int, gone: bool) -> None:
    found = bought(offer("0.30", SPOT, days_old=days), offer("0.40", SPOT, machine="g6e.xlarge"))
    assert found["g6.xlarge"].gone is gone
    assert not found["g6e.xlarge"].gone


def test_a_negotiated_spot_price_is_one_to_choose_by_however_old_the_listed_one() -> None:
    offers = (offer("0.30", SPOT, days_old=91), offer("0.40", SPOT, machine="g6e.xlarge"))
    scenario = Scenario(model="8B", negotiated=NEGOTIATED("g6.xlarge@spot:0.2"))
    question = Question(scenario=scenario, models=("8B",), options=(SPOT,))
    market = market_of(question, chips_of(question), OfferTable(offers))
    found = next(bought for sold in market.sold for bought in sold if bought.machine.name == "g6.xlarge")
    assert not found.gone
    assert found.usd_per_month == 146.0  # 0.2 x 730


def test_a_price_list_does_not_age_as_spot_does() -> None:
    found = bought(offer("0.80", ON_DEMAND, days_old=400), offer("1.80", ON_DEMAND, machine="g6e.xlarge"))
    assert not found["g6.xlarge"].gone


def test_a_machine_nobody_sells_costs_without_end() -> None:
    found = bought(offer("0.80", ON_DEMAND))["p5.48xlarge"]
    assert (found.offer, found.usd_per_month, found.offers) == (None, float("inf"), 0)


@pytest.mark.parametrize(
    ("gpus", "replicas", "machines"),
    [(1, 4, 1), (1, 5, 2), (2, 3, 2), (3, 2, 2), (4, 2, 2), (8, 2, 4), (6, 1, 2)],
)
def test_machines_of_four_that_hold_the_replicas(gpus: int, replicas: int, machines: int) -> None:
    """Two of two share one; of three, one to a machine; of six or eight, each takes two."""
    machine = machine_of(find_instance("g5.12xlarge"))
    assert machine is not None
    assert instances_needed(machine, Placement(tp=gpus), replicas) == machines
