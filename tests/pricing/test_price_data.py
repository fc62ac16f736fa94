"""Invariants of the bundled tables: a row that breaks one is an error in the data, not in the code."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from pricing.api_prices import api_prices
from pricing.instances import instances
from pricing.offers import Offer, PriceQuery, PurchaseOption
from pricing.regions import regions
from pricing.snapshot import MOST_REGIONS, load_snapshot, parse_date, read_rows
from tests.conftest import ROOT

DATA = ROOT / "pricing" / "data"
TODAY = date(2026, 11, 21)
JUNE_2025_CUT = "2025-06-05"
CUT_FAMILIES = ("p4d.", "p4de.", "p5.", "p5en.")


@pytest.fixture(scope="module")
def offers() -> tuple[Offer, ...]:
    return load_snapshot(TODAY).find(PriceQuery())


def cells(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.csv")))
def test_every_row_has_a_source_and_a_date(name: str) -> None:
    rows = list(cells(name))
    assert rows
    for row in rows:
        assert row["source"].strip(), row
        assert date(2023, 1, 1) <= parse_date(row["as_of"]) <= datetime.now(UTC).date(), row


def test_the_book_covers_what_the_table_says_it_does(offers: tuple[Offer, ...]) -> None:
    assert len(offers) == 4219
    assert len({offer.instance_type for offer in offers}) == 86
    assert len({offer.region for offer in offers}) == 31
    on_demand = [offer for offer in offers if offer.option is PurchaseOption.ON_DEMAND]
    assert len(on_demand) == 984


def test_every_price_is_above_zero_and_below_what_any_machine_costs() -> None:
    for row in read_rows():
        assert Decimal("0.01") < Decimal(row.usd_per_hour) < 1000, row


def test_every_row_names_a_known_type_a_known_region_and_a_known_option() -> None:
    types = {instance.instance_type for instance in instances()}
    places = {region.region for region in regions()} | {MOST_REGIONS}
    for row in read_rows():
        assert row.instance_type in types
        assert row.region in places
        assert row.option in set(PurchaseOption)


def test_no_source_says_two_prices_for_one_offer_on_one_day() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for row in read_rows():
        key = (row.instance_type, row.region, row.option, row.as_of)
        first = seen.setdefault(key, row.usd_per_hour)
        assert abs(Decimal(first) - Decimal(row.usd_per_hour)) <= Decimal("0.0005"), row


def test_no_reservation_from_before_the_cut_of_june_2025_is_left() -> None:
    kept = [r for r in read_rows() if r.instance_type.startswith(CUT_FAMILIES) and r.option.startswith("reserved")]
    assert kept
    assert all(row.as_of >= JUNE_2025_CUT for row in kept)


def test_prices_that_still_circulate_from_before_the_cut_are_no_one_s_price(offers: tuple[Offer, ...]) -> None:
    for offer in offers:
        if offer.instance_type == "p5.48xlarge" and offer.region.startswith("us-"):
            assert offer.usd_per_hour < Decimal("80"), offer  # 98.32 in us-east-1 until 2025-06-04
        if offer.instance_type == "p4d.24xlarge" and offer.region.startswith("us-"):
            assert offer.usd_per_hour < Decimal("30"), offer  # 32.7726


def test_every_other_way_to_pay_is_cheaper_than_on_demand(offers: tuple[Offer, ...]) -> None:
    book = load_snapshot(TODAY)
    for offer in offers:
        on_demand = book.get(offer.instance_type, offer.region, PurchaseOption.ON_DEMAND)
        if on_demand is not None and offer.option is not PurchaseOption.ON_DEMAND:
            assert offer.usd_per_hour < on_demand.usd_per_hour, offer


@pytest.mark.parametrize(
    ("cheaper", "dearer"),
    [
        (PurchaseOption.RESERVED_3YR_NO_UPFRONT, PurchaseOption.RESERVED_1YR_NO_UPFRONT),
        (PurchaseOption.RESERVED_1YR_NO_UPFRONT, PurchaseOption.RESERVED_1YR_NO_UPFRONT_CONVERTIBLE),
        (PurchaseOption.RESERVED_3YR_NO_UPFRONT, PurchaseOption.RESERVED_3YR_NO_UPFRONT_CONVERTIBLE),
        (PurchaseOption.RESERVED_1YR_ALL_UPFRONT, PurchaseOption.RESERVED_1YR_NO_UPFRONT),
    ],
)
def test_a_stronger_commitment_is_cheaper(cheaper: PurchaseOption, dearer: PurchaseOption) -> None:
    book = load_snapshot(TODAY)
    pairs = [
        (offer, book.get(offer.instance_type, offer.region, dearer)) for offer in book.find(PriceQuery(option=cheaper))
    ]
    compared = [(offer, other) for offer, other in pairs if other is not None]
    assert compared
    for offer, other in compared:
        assert offer.usd_per_hour <= other.usd_per_hour, offer


def test_a_larger_machine_of_a_family_costs_no_less(offers: tuple[Offer, ...]) -> None:
    by_type = {instance.instance_type: instance for instance in instances()}
    us = [o for o in offers if o.region == "us-east-1" and o.option is PurchaseOption.ON_DEMAND]
    for small in us:
        for large in us:
            one, other = by_type[small.instance_type], by_type[large.instance_type]
            bigger = one.vcpus <= other.vcpus and one.accelerator_memory_gib_total <= other.accelerator_memory_gib_total
            if one.family == other.family and bigger and one.memory_gib <= other.memory_gib:
                assert small.usd_per_hour <= large.usd_per_hour, (small, large)


def test_an_upfront_sum_spread_over_its_term_is_the_hourly_price(offers: tuple[Offer, ...]) -> None:
    paid = [offer for offer in offers if offer.upfront_usd]
    assert len(paid) == 39
    for offer in paid:
        spread = offer.upfront_usd / (8760 * offer.option.years)
        assert abs(spread - offer.usd_per_hour) < Decimal("0.0001"), offer


def test_a_type_is_priced_only_where_its_region_lists_it(offers: tuple[Offer, ...]) -> None:
    listed = {i.instance_type: i.regions for i in instances() if i.regions}
    astray = {
        (offer.instance_type, offer.region)
        for offer in offers
        if offer.instance_type in listed and offer.region not in listed[offer.instance_type]
    }
    by_region = {region for _, region in astray}
    assert by_region <= {"us-gov-east-1", "us-gov-west-1", "us-west-1", "ap-southeast-1", "us-east-1"}, sorted(astray)


def test_instances_hold_together() -> None:
    for instance in instances():
        assert instance.accelerator_count >= 1
        assert 0 < instance.accelerator_memory_gib <= 300
        assert instance.partition in (1, 0.5, 0.25, 0.125)
        assert instance.partition == 1 or instance.accelerator_count == 1
        assert instance.vcpus >= 2
        assert instance.network_gbps > 0
        assert set(instance.usage_classes) <= {"on-demand", "spot", "capacity-block"}


def test_hosted_prices_are_plausible_and_output_is_never_the_cheaper() -> None:
    assert len(api_prices()) == 99  # five of the 104 rows are an earlier source of the same price
    for price in api_prices():
        assert Decimal("0.01") <= price.usd_per_million_input <= price.usd_per_million_output <= 100, price
        assert not price.hub_id or price.hub_id.count("/") == 1


def test_regions_have_a_country_and_an_area() -> None:
    assert len(regions()) == 36
    assert all(region.country and region.area for region in regions())
