"""Looking through the book: rates, filters, cheapest regions, differences."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from estimators.provenance import Refusal
from pricing.explorer import ExplorerRow, Filter, RankBy, cheapest_regions, diff, explore
from pricing.instances import find_instance
from pricing.offers import Offer, PriceQuery, PurchaseOption
from pricing.regions import regions_within
from pricing.snapshot import load_snapshot
from pricing.table import OfferTable
from tests.pricing.test_offers import make

TODAY = date(2026, 11, 21)
ON_DEMAND = PurchaseOption.ON_DEMAND


def test_rates_per_accelerator_per_gibibyte_and_per_teraflop() -> None:
    row = ExplorerRow(make("g5.12xlarge", "us-east-1", ON_DEMAND, "5.672"), find_instance("g5.12xlarge"), 70)
    assert row.usd_per_accelerator_hour == Decimal("1.418")  # four A10G
    assert round(row.usd_per_gib_hour, 4) == Decimal("0.0634")  # 89.408 GiB
    assert row.usd_per_tflop_hour is not None
    assert round(row.usd_per_tflop_hour, 5) == Decimal("0.02026")  # 1.418 / 70


def test_a_fraction_of_an_accelerator_is_compared_as_a_whole_one() -> None:
    row = ExplorerRow(make("g6f.large", "us-east-1", ON_DEMAND, "0.2024"), find_instance("g6f.large"))
    assert row.usd_per_accelerator_hour == Decimal("1.6192")  # 0.2024 / 0.125
    assert round(row.usd_per_gib_hour, 4) == Decimal("0.0724")  # 2.794 GiB
    assert row.usd_per_tflop_hour is None


def test_filters_hold_for_every_row() -> None:
    allowed = regions_within(frozenset({"European Union"}))
    wanted = Filter(
        accelerators=frozenset({"L4", "L40S"}), least_memory_gib=80, regions=allowed, options=frozenset({ON_DEMAND})
    )
    rows = explore(load_snapshot(TODAY), wanted)
    assert rows
    for row in rows:
        assert row.instance.accelerator in ("L4", "L40S")
        assert row.instance.accelerator_memory_gib_total >= 80
        assert row.offer.region in allowed
        assert row.offer.option is ON_DEMAND


@pytest.mark.parametrize("rank_by", list(RankBy))
def test_the_cheapest_by_each_measure_comes_first(rank_by: RankBy) -> None:
    rows = explore(load_snapshot(TODAY), Filter(), rank_by=rank_by, peak_tflops={"L4": 121.0, "T4": 65.0}, limit=200)
    measure = {
        RankBy.HOUR: lambda row: row.offer.usd_per_hour,
        RankBy.ACCELERATOR_HOUR: lambda row: row.usd_per_accelerator_hour,
        RankBy.GIB_HOUR: lambda row: row.usd_per_gib_hour,
        RankBy.TFLOP_HOUR: lambda row: row.usd_per_tflop_hour,
    }[rank_by]
    assert len(rows) == 200
    figures = [measure(row) for row in rows]
    assert figures == sorted(figures)


def test_accelerators_without_a_known_peak_come_last() -> None:
    rows = explore(load_snapshot(TODAY), Filter(), rank_by=RankBy.TFLOP_HOUR, peak_tflops={"L4": 121.0})
    known = [row.usd_per_tflop_hour is not None for row in rows]
    assert known == sorted(known, reverse=True)
    assert len(rows) == len(load_snapshot(TODAY))


def test_the_cheapest_region_for_a_machine_comes_first() -> None:
    found = cheapest_regions(load_snapshot(TODAY), "g5.xlarge", ON_DEMAND)
    prices = [offer.usd_per_hour for offer in found]
    assert prices == sorted(prices)
    assert prices[0] == Decimal("1.006")
    assert len({offer.region for offer in found}) == len(found) > 15


def test_a_machine_sold_nowhere_that_way_has_no_region_and_an_unknown_one_is_refused() -> None:
    assert cheapest_regions(load_snapshot(TODAY), "p5e.48xlarge", ON_DEMAND) == ()
    with pytest.raises(Refusal):
        cheapest_regions(load_snapshot(TODAY), "p99.xlarge", ON_DEMAND)


def book(*offers: Offer) -> OfferTable:
    return OfferTable(offers)


def test_a_difference_is_changed_new_and_gone() -> None:
    before = book(
        make("p4d.24xlarge", "us-east-1", ON_DEMAND, "32.7726"),
        make("g5.xlarge", "us-east-1", ON_DEMAND, "1.006"),
        make("g6.xlarge", "us-east-1", ON_DEMAND, "0.8"),
        make("p3.2xlarge", "us-east-1", ON_DEMAND, "3.06"),
    )
    after = book(
        make("p4d.24xlarge", "us-east-1", ON_DEMAND, "21.957642"),
        make("g5.xlarge", "us-east-1", ON_DEMAND, "1.0060"),
        make("g6.xlarge", "us-east-1", ON_DEMAND, "0.82"),
        make("g7.2xlarge", "us-east-1", ON_DEMAND, "1.5"),
    )
    cut, rise, fresh, gone = diff(before, after)
    assert cut.share is not None
    assert round(cut.share, 2) == Decimal("-0.33")
    assert rise.share == Decimal("0.025")
    assert (fresh.before, fresh.after) == (None, after.find(PriceQuery(instance_types=frozenset({"g7.2xlarge"})))[0])
    assert (gone.after, gone.share) == (None, None)


def test_a_book_does_not_differ_from_itself() -> None:
    assert diff(load_snapshot(TODAY), load_snapshot(TODAY)) == ()
    assert diff(load_snapshot(TODAY), book(), PriceQuery(region="mx-central-1")) == ()


def test_an_old_price_comes_after_fresh_ones_however_low() -> None:
    old = make("g6.xlarge", "us-east-1", PurchaseOption.SPOT, "0.1")
    fresh = make("g6.xlarge", "us-west-2", PurchaseOption.SPOT, "0.3")
    old = replace(old, stale=True)
    book = OfferTable((old, fresh))
    assert list(cheapest_regions(book, "g6.xlarge", PurchaseOption.SPOT)) == [fresh, old]
