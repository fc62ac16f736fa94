"""What the purchase options mean, and the table offers are looked up in."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.offers import Listing, Offer, PriceQuery, PriceSource, PurchaseOption, is_stale
from pricing.table import OfferTable

TODAY = date(2026, 11, 21)
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
TYPES = ("g5.xlarge", "g6.xlarge", "p5.48xlarge")
OPTIONS = (PurchaseOption.ON_DEMAND, PurchaseOption.SPOT, PurchaseOption.RESERVED_1YR_NO_UPFRONT)


def make(instance_type: str, region: str, option: PurchaseOption, price: str) -> Offer:
    return Offer(
        instance_type=instance_type,
        region=region,
        option=option,
        usd_per_hour=Decimal(price),
        source=PriceSource.SNAPSHOT,
        as_of=TODAY,
        origin="a test",
    )


@pytest.mark.parametrize(
    ("option", "listing", "years", "committed"),
    [
        (PurchaseOption.ON_DEMAND, Listing.PRICE_LIST, 0, False),
        (PurchaseOption.SPOT, Listing.SPOT, 0, False),
        (PurchaseOption.CAPACITY_BLOCK, Listing.CAPACITY_BLOCKS, 0, False),
        (PurchaseOption.OWNED, Listing.OWNED, 0, True),
        (PurchaseOption.RESERVED_1YR_NO_UPFRONT, Listing.PRICE_LIST, 1, True),
        (PurchaseOption.RESERVED_3YR_ALL_UPFRONT_CONVERTIBLE, Listing.PRICE_LIST, 3, True),
        (PurchaseOption.SAVINGS_COMPUTE_1YR_NO_UPFRONT, Listing.SAVINGS_PLANS, 1, True),
        (PurchaseOption.SAVINGS_EC2_3YR_ALL_UPFRONT, Listing.SAVINGS_PLANS, 3, True),
    ],
)
def test_each_option_knows_its_source_its_length_and_whether_it_binds(
    option: PurchaseOption, listing: Listing, years: int, committed: bool
) -> None:
    assert (option.listing, option.years, option.committed) == (listing, years, committed)


def test_there_are_four_ways_without_and_twenty_four_with_a_commitment() -> None:
    assert len(PurchaseOption) == 28
    assert sum(1 for option in PurchaseOption if option.years) == 24


@pytest.mark.parametrize("option", PurchaseOption)
def test_the_term_in_a_name_is_the_length_of_the_commitment(option: PurchaseOption) -> None:
    term = re.search(r"_(\d+)yr_", option.value)
    assert option.years == (int(term[1]) if term else 0)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(TYPES), st.sampled_from(REGIONS), st.sampled_from(OPTIONS)),
        st.integers(1, 50),
    ),
    st.sampled_from((None, *REGIONS)),
    st.sampled_from((None, *OPTIONS)),
    st.sampled_from((None, frozenset(), frozenset(TYPES[:1]), frozenset(TYPES))),
)
def test_a_search_gives_exactly_what_matches_cheapest_first(
    priced: dict[tuple[str, str, PurchaseOption], int],
    region: str | None,
    option: PurchaseOption | None,
    types: frozenset[str] | None,
) -> None:
    table = OfferTable(make(*key, str(price)) for key, price in priced.items())
    found = table.find(PriceQuery(region=region, option=option, instance_types=types))
    prices = [offer.usd_per_hour for offer in found]
    assert prices == sorted(prices)
    assert {(offer.instance_type, offer.region, offer.option) for offer in found} == {
        key
        for key in priced
        if region in (None, key[1]) and option in (None, key[2]) and (types is None or key[0] in types)
    }
    assert table.regions == tuple(sorted({key[1] for key in priced}))


def test_one_offer_is_got_or_none_where_it_is_not_sold() -> None:
    table = OfferTable([make("g5.xlarge", "us-east-1", PurchaseOption.ON_DEMAND, "1.006")])
    found = table.get("g5.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
    assert found is not None
    assert found.usd_per_hour == Decimal("1.006")
    assert table.get("g5.xlarge", "us-east-1", PurchaseOption.SPOT) is None
    assert table.get("g5.xlarge", "eu-west-1", PurchaseOption.ON_DEMAND) is None


@pytest.mark.parametrize(
    ("option", "days", "stale"),
    [
        (PurchaseOption.ON_DEMAND, 180, False),
        (PurchaseOption.ON_DEMAND, 181, True),
        (PurchaseOption.RESERVED_3YR_NO_UPFRONT, 181, True),
        (PurchaseOption.SPOT, 1, False),
        (PurchaseOption.SPOT, 2, True),
        (PurchaseOption.CAPACITY_BLOCK, 61, True),
        (PurchaseOption.OWNED, 5000, False),
    ],
)
def test_a_price_grows_stale_at_the_age_set_for_its_kind(option: PurchaseOption, days: int, stale: bool) -> None:
    assert is_stale(option, TODAY - timedelta(days=days), TODAY) is stale
