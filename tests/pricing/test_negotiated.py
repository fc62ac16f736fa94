"""What is paid in place of list prices: exact shares, rates that are final, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from pricing.negotiated import AgreedPrice, AgreedPrices, NegotiatedBook, bridge
from pricing.offers import Offer, PriceQuery, PriceSource, PurchaseOption
from pricing.table import OfferTable

ON_DEMAND, SPOT = PurchaseOption.ON_DEMAND, PurchaseOption.SPOT
YEAR = PurchaseOption.RESERVED_1YR_PARTIAL_UPFRONT
L4 = Offer(
    instance_type="g6.xlarge",
    region="us-east-1",
    option=ON_DEMAND,
    usd_per_hour=Decimal("0.8048"),
    source=PriceSource.SNAPSHOT,
    as_of=date(2026, 7, 20),
    origin="list",
)
SIGNED = replace(L4, option=YEAR, usd_per_hour=Decimal("0.5"), upfront_usd=Decimal(2190))
L40S = replace(L4, instance_type="g6e.xlarge", usd_per_hour=Decimal("1.861"))
OWN = replace(L4, option=PurchaseOption.OWNED, usd_per_hour=Decimal("0.3"), source=PriceSource.OWNED)
HERE = PriceQuery(region="us-east-1")


def book(
    percent: str = "0", *rates: AgreedPrice, offers: tuple[Offer, ...] = (L4, SIGNED, L40S, OWN)
) -> NegotiatedBook:
    return NegotiatedBook(OfferTable(offers), Decimal(percent), AgreedPrices(rates) if rates else None)


def test_twenty_percent_off_is_exactly_four_fifths_of_every_aws_price() -> None:
    """0.8 x 0.8048 = 0.64384; a year at $0.50 with $2,190 paid at once is $0.40 with $1,752: discounts multiply."""
    found = {(o.instance_type, o.option): o for o in book("20").find(HERE)}
    assert found["g6.xlarge", ON_DEMAND].usd_per_hour == Decimal("0.64384")
    signed = found["g6.xlarge", YEAR]
    assert (signed.usd_per_hour, signed.upfront_usd) == (Decimal("0.4"), Decimal(1752))
    assert found["g6e.xlarge", ON_DEMAND].usd_per_hour == Decimal("1.4888")


def test_the_list_price_stays_beside_what_is_paid() -> None:
    paid = book("20").get("g6.xlarge", "us-east-1", ON_DEMAND)
    assert paid is not None
    assert paid.list_usd_per_hour == Decimal("0.8048")
    assert bridge(paid) == "$0.8048 list less 20 % entered"
    assert paid.origin == "$0.8048 list less 20 % entered; list: list"
    assert (paid.source, paid.as_of) == (PriceSource.SNAPSHOT, date(2026, 7, 20))
    assert bridge(L4) == ""


def test_what_one_owns_keeps_its_price() -> None:
    assert book("90").get("g6.xlarge", "us-east-1", PurchaseOption.OWNED) == OWN


def test_a_rate_is_final_and_of_one_way_to_pay() -> None:
    """$0.60 agreed for the machine on demand; its year keeps the list, less the discount: $0.40."""
    agreed = book("20", AgreedPrice("g6.xlarge", Decimal("0.6")))
    paid = agreed.get("g6.xlarge", "us-east-1", ON_DEMAND)
    assert paid is not None
    assert (paid.usd_per_hour, paid.source) == (Decimal("0.6"), PriceSource.ENTERED)
    assert bridge(paid) == "entered in place of $0.8048 list"
    signed = agreed.get("g6.xlarge", "us-east-1", YEAR)
    assert signed is not None
    assert signed.usd_per_hour == Decimal("0.4")


def test_a_rate_of_a_commitment_scales_what_is_paid_at_once() -> None:
    paid = book("0", AgreedPrice("g6.xlarge", Decimal("0.25"), YEAR)).get("g6.xlarge", "us-east-1", YEAR)
    assert paid is not None
    assert (paid.usd_per_hour, paid.upfront_usd) == (Decimal("0.25"), Decimal(1095))


def test_the_cheapest_comes_first_at_what_is_paid() -> None:
    """$1.861 list is the dearer machine; agreed at $0.70 it is the cheaper."""
    demand = replace(HERE, option=ON_DEMAND)
    assert [o.instance_type for o in book().find(demand)] == ["g6.xlarge", "g6e.xlarge"]
    agreed = book("0", AgreedPrice("g6e.xlarge", Decimal("0.7")))
    assert [o.instance_type for o in agreed.find(demand)] == ["g6e.xlarge", "g6.xlarge"]


def test_a_rate_stands_alone_where_no_list_prices_the_machine() -> None:
    """EC2 lists g6.xlarge in us-west-2 and not in mx-central-1."""
    agreed = book("20", AgreedPrice("g6.xlarge", Decimal("0.6")))
    alone = agreed.get("g6.xlarge", "us-west-2", ON_DEMAND)
    assert alone is not None
    assert (alone.usd_per_hour, alone.list_usd_per_hour, alone.source) == (Decimal("0.6"), None, PriceSource.ENTERED)
    assert agreed.get("g6.xlarge", "us-west-2", SPOT) is None
    assert agreed.get("g6.xlarge", "mx-central-1", ON_DEMAND) is None


def test_absurd_terms_are_refused_by_name() -> None:
    with pytest.raises(Refusal, match="A discount is 0 to 90 %, not 95") as discount:
        book("95")
    assert discount.value.field == "discount"
    with pytest.raises(Refusal, match=r"Did you mean g6\.xlarge") as unknown:
        book("0", AgreedPrice("g6.xlrge", Decimal(1)))
    assert unknown.value.field == "negotiated"
    slip = book("0", AgreedPrice("g6.xlarge", Decimal("0.08")))
    with pytest.raises(Refusal, match=r"\$0\.08 an hour for g6\.xlarge is more than 90 % under its list price") as low:
        slip.find(HERE)
    assert low.value.field == "negotiated"
    assert book("0", AgreedPrice("g6.xlarge", Decimal("0.08048"))).find(HERE)  # exactly 90 % under


@given(st.integers(0, 90), st.integers(0, 90))
def test_more_off_is_never_dearer(one: int, other: int) -> None:
    less, more = (book(str(percent)).find(HERE) for percent in sorted((one, other)))
    least = {(o.instance_type, o.option): o.usd_per_hour for o in less}
    assert all(offer.usd_per_hour <= least[offer.instance_type, offer.option] for offer in more)
