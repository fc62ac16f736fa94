"""Hours times offers, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.cost import billed_hours, monthly_cost, usd_per_million_tokens
from pricing.offers import Offer, PriceSource, PurchaseOption


def offer(price: str, option: PurchaseOption = PurchaseOption.ON_DEMAND) -> Offer:
    return Offer(
        instance_type="g5.xlarge",
        region="us-east-1",
        option=option,
        usd_per_hour=Decimal(price),
        source=PriceSource.SNAPSHOT,
        as_of=date(2026, 7, 20),
        origin="price list",
    )


@pytest.mark.parametrize(
    ("price", "month"),
    [("1.006", "734.38"), ("0.8048", "587.504"), ("21.957642", "16029.07866"), ("55.04", "40179.20")],
)
def test_a_month_is_730_hours(price: str, month: str) -> None:
    assert monthly_cost(offer=offer(price), instances=1, hours=Decimal(730)).usd_per_month == Decimal(month)


def test_a_price_of_no_known_day_says_so() -> None:
    (machines, *_) = monthly_cost(offer=replace(offer("1.006"), as_of=date.min), instances=1, hours=Decimal(730)).terms
    assert machines.source == "price list, an unknown day"


def test_instances_multiply() -> None:
    cost = monthly_cost(offer=offer("1.006"), instances=3, hours=Decimal(100))
    assert (cost.usd_per_hour, cost.usd_per_month) == (Decimal("3.018"), Decimal("301.8"))


@pytest.mark.parametrize(
    ("option", "hours"),
    [
        (PurchaseOption.ON_DEMAND, 217),
        (PurchaseOption.SPOT, 217),
        (PurchaseOption.CAPACITY_BLOCK, 217),
        (PurchaseOption.RESERVED_1YR_NO_UPFRONT, 730),
        (PurchaseOption.SAVINGS_COMPUTE_3YR_NO_UPFRONT, 730),
        (PurchaseOption.OWNED, 730),
    ],
)
def test_a_commitment_bills_every_hour_whatever_is_used(option: PurchaseOption, hours: int) -> None:
    assert billed_hours(offer("1", option), Decimal(217)) == hours
    assert monthly_cost(offer=offer("1", option), instances=1, hours=Decimal(217)).usd_per_month == hours


def test_a_million_output_tokens() -> None:
    # 50 tokens/s are 180,000 an hour: 1.006 / 0.18.
    cost = monthly_cost(offer=offer("1.006"), instances=1, hours=Decimal(730), output_tokens_per_second=50.0)
    assert cost.usd_per_million_output_tokens is not None
    assert round(cost.usd_per_million_output_tokens, 4) == Decimal("5.5889")


def test_fast_is_cheap_and_slow_is_dear() -> None:
    """50 tokens/s, 40 at the slowest and 62.5 at the fastest: $1.006 over 0.18, 0.144 and 0.225 million an hour."""
    cost = monthly_cost(
        offer=offer("1.006"),
        instances=1,
        hours=Decimal(730),
        output_tokens_per_second=50.0,
        slowest=40.0,
        fastest=62.5,
    )
    range_ = (cost.usd_per_million_low, cost.usd_per_million_output_tokens, cost.usd_per_million_high)
    assert [round(usd, 4) for usd in range_ if usd is not None] == [
        Decimal("4.4711"),
        Decimal("5.5889"),
        Decimal("6.9861"),
    ]


@pytest.mark.parametrize("rate", [None, 0.0])
def test_without_a_throughput_there_is_no_price_for_a_token(rate: float | None) -> None:
    cost = monthly_cost(offer=offer("1"), instances=1, hours=Decimal(730), output_tokens_per_second=rate)
    assert cost.usd_per_million_output_tokens is None


def test_each_figure_explains_itself() -> None:
    cost = monthly_cost(offer=offer("1.006"), instances=2, hours=Decimal(730), output_tokens_per_second=100.0)
    machines, tokens = cost.terms
    assert machines.formula == "C = n p h = 2 x $1.006 x 730 h"
    assert machines.source == "price list, 2026-07-20"
    assert machines.value == pytest.approx(1468.76)
    assert tokens.unit == "USD"


@pytest.mark.parametrize(("instances", "hours"), [(0, "730"), (1, "-1"), (1, "745")])
def test_impossible_inputs_are_refused(instances: int, hours: str) -> None:
    with pytest.raises(Refusal):
        monthly_cost(offer=offer("1"), instances=instances, hours=Decimal(hours))


@given(st.decimals("0.01", "200", places=4), st.floats(0.1, 1e6))
def test_twice_the_throughput_halves_the_price_of_a_token(price: Decimal, rate: float) -> None:
    once, twice = usd_per_million_tokens(price, rate), usd_per_million_tokens(price, 2 * rate)
    assert float(once / twice) == pytest.approx(2)
