"""A month's bill and the price of tokens, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.bill import CONTROL_PLANES, OWN_RATES, Bill, Extras, monthly_bill, token_prices
from pricing.bill_rates import USUAL_REGION, bands_of
from pricing.hours import Scaling, always, business_hours
from pricing.offers import Offer, PurchaseOption
from tests.pricing.test_cost import offer

ONE = Scaling(peak_replicas=1)


def billed(extras: Extras | None = None, *, price: Offer | None = None, machines: int = 1) -> Bill:
    return monthly_bill(
        offer=price or offer("1"),
        instances_per_replica=1,
        profile=always(),
        scaling=Scaling(peak_replicas=machines),
        extras=extras,
    )


def lines_of(bill: Bill) -> dict[str, Decimal]:
    return {line.label: line.usd for line in bill.lines}


def test_business_hours_with_a_spare_replica() -> None:
    """Two of three replicas serve: 2 x 50 h x 730 / 168 x $1.006 = $437.13, and the spare one is half of that again."""
    bill = monthly_bill(
        offer=offer("1.006"),
        instances_per_replica=1,
        profile=business_hours(),
        scaling=Scaling(peak_replicas=2, spare_replicas=1),
    )
    assert round(bill.instance_hours, 2) == Decimal("651.79")  # 3 x 50 x 730 / 168
    assert round(bill.usd_per_month, 2) == Decimal("655.70")
    assert {label: round(usd, 2) for label, usd in lines_of(bill).items()} == {
        "Machines": Decimal("437.13"),
        "Spare capacity": Decimal("218.57"),
    }
    assert round(bill.always_on_usd_per_month, 2) == Decimal("2203.14")  # 3 x 730 x 1.006
    assert bill.mean_instances == pytest.approx(3 * 50 / 168)


def test_nothing_is_counted_beside_the_machines_until_it_is_asked_for() -> None:
    bill = billed()
    assert lines_of(bill) == {"Machines": Decimal(730)}
    assert bill.not_included == (
        "a control plane, load balancers, logs, storage, transfer, support, people, NAT, metrics and traces, snapshots "
        "and tax"
    )


def test_fewer_hours_a_month_bill_less_on_demand_and_not_of_a_commitment() -> None:
    signed = offer("0.6", PurchaseOption.RESERVED_1YR_NO_UPFRONT)
    for price, usd in ((offer("1"), 200), (signed, 438)):  # 0.6 x 730
        bill = monthly_bill(offer=price, instances_per_replica=1, profile=always(), scaling=ONE, hours=Decimal(200))
        assert bill.usd_per_month == usd


def test_a_reservation_bills_the_peak_all_month_and_shows_what_is_due_at_once() -> None:
    reserved = replace(offer("0.6", PurchaseOption.RESERVED_1YR_ALL_UPFRONT), upfront_usd=Decimal(5256))
    bill = monthly_bill(
        offer=reserved, instances_per_replica=2, profile=business_hours(), scaling=Scaling(peak_replicas=2)
    )
    assert bill.instance_hours == 4 * 730
    assert bill.usd_per_month == Decimal("1752.0")  # 0.6 x 2920
    assert bill.upfront_usd == 4 * 5256
    assert "a commitment bills every hour" in bill.terms[0].formula


def test_every_line_at_its_published_rate() -> None:
    """Two machines, one cluster of EKS and one balancer of two capacity units for all 730 hours."""
    extras = Extras(
        control_plane="eks",
        balancers=1,
        lcus=Decimal(2),
        logs_gb=Decimal(100),
        storage_gb=Decimal(200),
        transfer_gb=Decimal(1000),
        people=Decimal("0.25"),
        person_usd_per_year=Decimal(240_000),
    )
    bill = billed(extras, machines=2)
    assert lines_of(bill) == {
        "Machines": Decimal(1460),
        "Control plane": Decimal(73),  # 730 x 0.10
        "Load balancers": Decimal("16.425"),  # 730 x 0.0225
        "Load balancer capacity": Decimal("11.68"),  # 730 x 2 x 0.008
        "Logs taken in": Decimal(50),  # 100 x 0.50
        "Logs kept": Decimal(3),
        "Storage": Decimal(32),  # 2 x 200 x 0.08
        "Transfer out": Decimal(90),
        "People": Decimal(5000),  # a quarter of 20,000
    }
    assert bill.machines_usd == 1460
    assert bill.usd_per_month == Decimal("6736.105")
    assert bill.not_included == "support, NAT, metrics and traces, snapshots and tax"
    assert all(line.source for line in bill.lines)


def test_a_discount_is_taken_off_what_aws_lists_and_not_off_people_or_own_rates() -> None:
    """The machine's offer comes negotiated already: $1 list, $0.80 paid."""
    price = replace(offer("0.8"), list_usd_per_hour=Decimal(1))
    extras = Extras(
        control_plane="eks",
        storage_gb=Decimal(100),
        own_rates={"storage": Decimal("0.1")},
        people=Decimal("0.1"),
        person_usd_per_year=Decimal(120_000),
        percent_off=Decimal(20),
    )
    bill = billed(extras, price=price)
    assert lines_of(bill) == {
        "Machines": Decimal(584),
        "Control plane": Decimal("58.4"),  # 73 x 0.8
        "Storage": Decimal(10),
        "People": Decimal(1000),
    }
    assert bill.list_usd == 730


def test_support_is_the_plans_share_of_the_accounts_fee_on_list_prices() -> None:
    """$730 at list and $73 of EKS are $803 of an account of $10,000: 9 % of it is $900, the plan's share $72.27."""
    price = replace(offer("0.8"), list_usd_per_hour=Decimal(1))
    extras = Extras(control_plane="eks", support="business-plus", other_aws_usd=Decimal(9197), percent_off=Decimal(20))
    assert lines_of(billed(extras, price=price))["Support"] == Decimal("72.27")
    alone = Extras(support="enterprise")
    assert lines_of(billed(alone, price=price))["Support"] == 5000  # its minimum


def test_owned_machines_are_no_part_of_what_support_is_charged_on() -> None:
    owned = offer("1", PurchaseOption.OWNED)
    extras = Extras(control_plane="eks", support="business-plus")
    assert lines_of(billed(extras, price=owned))["Support"] == 29  # the minimum; 9 % of $73 is less


def test_where_no_rate_is_known_one_is_asked_for_and_the_known_regions_is_named() -> None:
    abroad = replace(offer("1"), region="ap-south-1")
    with pytest.raises(Refusal) as refused:
        billed(Extras(storage_gb=Decimal(200)), price=abroad)
    assert str(refused.value) == (
        "No rate of storage is known for ap-south-1: us-east-1's is $0.08 a GB-month. "
        "Enter ap-south-1's as your own, such as storage:0.08."
    )
    with pytest.raises(Refusal, match=r"us-east-1's is \$0\.09 a GB for the first 10,240\. Enter"):
        billed(Extras(transfer_gb=Decimal(200)), price=abroad)
    with_rate = Extras(storage_gb=Decimal(200), own_rates={"storage": Decimal("0.1")})
    assert lines_of(billed(with_rate, price=abroad))["Storage"] == 20


@pytest.mark.parametrize("line", [*CONTROL_PLANES, *OWN_RATES])
def test_every_line_of_aws_has_a_rate_to_go_by(line: str) -> None:
    """Which is named where the region's own is not known."""
    assert bands_of(line, USUAL_REGION)


@pytest.mark.parametrize(
    ("entered", "field"), [({"people": Decimal(1)}, "bill_salary"), ({"logs_gb": Decimal(-1)}, "bill_rates")]
)
def test_people_without_a_salary_and_amounts_below_nothing_are_refused(entered: dict[str, Decimal], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        Extras(**entered)  # type: ignore[arg-type]
    assert refused.value.field == field


@given(st.integers(0, 90), st.integers(0, 90))
def test_a_larger_discount_never_makes_a_dearer_bill(one: int, other: int) -> None:
    def whole(percent: int) -> Decimal:
        price = replace(offer("1"), usd_per_hour=1 - Decimal(percent) / 100, list_usd_per_hour=Decimal(1))
        extras = Extras(control_plane="eks", support="business-plus", percent_off=Decimal(percent))
        return billed(extras, price=price).usd_per_month

    assert whole(max(one, other)) <= whole(min(one, other))


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
