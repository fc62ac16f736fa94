"""The bundled book: which of several dated rows is the price, and when it is stale."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from pricing.offers import PriceQuery, PriceSource, PurchaseOption
from pricing.snapshot import PriceRow, load_snapshot, newest, parse_date, read_rows, snapshot_history

TODAY = date(2026, 11, 21)
ON_DEMAND = PurchaseOption.ON_DEMAND


def row(price: str, as_of: str, source: str = "AWS", decimals: str = "") -> PriceRow:
    return PriceRow("p4d.24xlarge", "us-east-1", "on_demand", price, "", as_of, decimals, source, "")


@pytest.mark.parametrize(
    ("instance_type", "usd_per_hour"),
    [("g5.xlarge", "1.006"), ("g6.xlarge", "0.8048"), ("p4d.24xlarge", "21.957642"), ("p5.48xlarge", "55.04")],
)
def test_prices_on_demand_in_us_east_1(instance_type: str, usd_per_hour: str) -> None:
    offer = load_snapshot(TODAY).get(instance_type, "us-east-1", ON_DEMAND)
    assert offer is not None
    assert offer.usd_per_hour == Decimal(usd_per_hour)
    assert offer.source is PriceSource.SNAPSHOT
    assert offer.as_of >= date(2026, 7, 20)


def test_the_newest_dated_row_is_the_price() -> None:
    assert newest([row("32.7726", "2025-04-04"), row("21.957642", "2026-01-21"), row("30", "2025-05-01")]) == row(
        "21.957642", "2026-01-21"
    )


def test_a_source_that_can_be_looked_up_goes_before_a_newer_one_that_agrees() -> None:
    named, unnamed = row("1.006", "2026-07-20", "GetProducts"), row("1.006", "2026-09-17", "public file quoting AWS")
    assert newest([named, unnamed]) == named


def test_a_newer_price_counts_whoever_says_it() -> None:
    named, unnamed = row("1.006", "2026-07-20", "GetProducts"), row("1.2", "2026-09-17", "public file quoting AWS")
    assert newest([named, unnamed]) == unnamed


def test_a_rounded_price_takes_its_digits_from_an_exact_one_it_agrees_with() -> None:
    exact, rounded = row("13.921094", "2026-01-21", "vantage"), row("13.9211", "2026-06-15", "GetProducts", "4")
    found = newest([exact, rounded])
    assert (found.usd_per_hour, found.as_of) == ("13.921094", "2026-06-15")
    assert found.source == "GetProducts, rounded; digits from vantage of 2026-01-21"
    other = row("13.9213", "2026-01-21", "vantage")
    assert newest([other, rounded]) == rounded


def test_a_rate_for_most_regions_stands_where_the_type_is_listed_and_says_so() -> None:
    offer = load_snapshot(TODAY).get("p5e.48xlarge", "eu-north-1", PurchaseOption.CAPACITY_BLOCK)
    assert offer is not None
    assert offer.usd_per_hour == Decimal("39.8")
    assert offer.note == "its source gives this rate for most regions and does not name this one"
    assert load_snapshot(TODAY).get("p5e.48xlarge", "us-east-1", PurchaseOption.CAPACITY_BLOCK) is None


def test_a_type_sold_only_in_blocks_has_no_other_price() -> None:
    options = {o.option for o in load_snapshot(TODAY).find(PriceQuery(instance_types=frozenset({"p5e.48xlarge"})))}
    assert options == {PurchaseOption.CAPACITY_BLOCK}


def test_what_is_older_than_allowed_is_marked() -> None:
    fresh = load_snapshot(TODAY).get("g5.xlarge", "us-east-1", ON_DEMAND)
    later = load_snapshot(TODAY + timedelta(days=365)).get("g5.xlarge", "us-east-1", ON_DEMAND)
    assert fresh is not None
    assert later is not None
    assert (fresh.stale, later.stale) == (False, True)


def test_a_month_counts_as_its_first_day() -> None:
    assert parse_date("2026-01") == date(2026, 1, 1)
    assert parse_date("2026-01-21") == date(2026, 1, 21)


def test_the_june_2025_cut_is_in_the_history() -> None:
    points = snapshot_history("p4d.24xlarge", "us-east-1", ON_DEMAND)
    prices = [(point.as_of, point.usd_per_hour) for point in points]
    assert (date(2025, 5, 29), Decimal("32.7726")) in prices
    assert (date(2025, 6, 23), Decimal("21.957642")) in prices
    assert prices == sorted(prices, key=lambda point: point[0])


def test_a_table_with_other_columns_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tables") / "prices.csv"
    path.write_text("instance_type,price\ng5.xlarge,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="columns are not"):
        read_rows(path)
