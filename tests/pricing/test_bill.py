"""A month's bill and the price of tokens, worked by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.bill import Extras, monthly_bill, token_prices
from pricing.hours import Scaling, always, business_hours
from pricing.offers import PurchaseOption
from tests.pricing.test_cost import offer


def test_business_hours_with_a_spare_replica() -> None:
    bill = monthly_bill(
        offer=offer("1.006"),
        instances_per_replica=1,
        profile=business_hours(),
        scaling=Scaling(peak_replicas=2, spare_replicas=1),
    )
    assert round(bill.instance_hours, 2) == Decimal("651.79")  # 3 x 50 x 730 / 168
    assert round(bill.usd_per_month, 2) == Decimal("655.70")
    assert round(bill.always_on_usd_per_month, 2) == Decimal("2203.14")  # 3 x 730 x 1.006
    assert bill.mean_instances == pytest.approx(3 * 50 / 168)
    assert bill.not_included == ("storage, transfer, load balancers, NAT, monitoring, support plans and tax")


def test_a_reservation_bills_the_peak_all_month_and_shows_what_is_due_at_once() -> None:
    reserved = offer("0.6", PurchaseOption.RESERVED_1YR_ALL_UPFRONT)
    bill = monthly_bill(
        offer=reserved, instances_per_replica=2, profile=business_hours(), scaling=Scaling(peak_replicas=2)
    )
    assert bill.instance_hours == 4 * 730
    assert bill.usd_per_month == Decimal("1752.0")  # 0.6 x 2920
    assert "a commitment bills every hour" in bill.terms[0].formula


def test_storage_and_egress_are_lines_of_their_own() -> None:
    extras = Extras(
        storage_gb=Decimal(200),
        storage_usd_per_gb_month=Decimal("0.08"),
        egress_gb_per_month=Decimal(1000),
        egress_usd_per_gb=Decimal("0.09"),
    )
    bill = monthly_bill(
        offer=offer("1"), instances_per_replica=1, profile=always(), scaling=Scaling(peak_replicas=2), extras=extras
    )
    assert bill.usd_per_month == Decimal("1582.00")  # 1460 + 2 x 200 x 0.08 + 1000 x 0.09
    assert [(term.label, term.value) for term in bill.terms[1:]] == [("Storage", 32.0), ("Egress", 90.0)]
    assert bill.not_included == "load balancers, NAT, monitoring, support plans and tax"


def test_an_amount_without_a_price_is_refused_and_not_free() -> None:
    with pytest.raises(Refusal, match="Storage needs an amount and a price"):
        Extras(storage_gb=Decimal(200))


def test_tokens_at_a_stated_utilisation() -> None:
    prices = token_prices(
        usd_per_hour=Decimal("1.006"),
        input_tokens_per_second=1000,
        output_tokens_per_second=100,
        output_weight=10,
        utilisation=0.5,
    )
    assert round(prices.usd_per_million_input, 4) == Decimal("0.2794")  # 1.006 / (3.6e-3 x 0.5 x 2000)
    assert round(prices.usd_per_million_output, 4) == Decimal("2.7944")
    assert round(prices.usd_per_million_blended, 4) == Decimal("0.5081")  # 1.006 / (3.6e-3 x 0.5 x 1100)


rates = st.floats(0.01, 1e5)


@given(st.decimals("0.1", "200", places=3), rates, rates, st.floats(0.1, 100), st.floats(0.01, 1))
def test_tokens_at_their_prices_pay_exactly_for_the_machines(
    usd: Decimal, into: float, out: float, weight: float, share: float
) -> None:
    prices = token_prices(
        usd_per_hour=usd,
        input_tokens_per_second=into,
        output_tokens_per_second=out,
        output_weight=weight,
        utilisation=share,
    )
    hour = 3600 * share / 1e6
    paid = hour * (into * float(prices.usd_per_million_input) + out * float(prices.usd_per_million_output))
    assert paid == pytest.approx(float(usd))
    assert hour * (into + out) * float(prices.usd_per_million_blended) == pytest.approx(float(usd))


@pytest.mark.parametrize(
    ("into", "out", "weight", "share"), [(0, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (1, 1, 1, 1.1), (-1, 2, 1, 1)]
)
def test_without_tokens_weight_or_use_there_is_no_price(into: float, out: float, weight: float, share: float) -> None:
    with pytest.raises(Refusal):
        token_prices(
            usd_per_hour=Decimal(1),
            input_tokens_per_second=into,
            output_tokens_per_second=out,
            output_weight=weight,
            utilisation=share,
        )
