"""Making the bundled table anew from readings: history stays, every row keeps its source and date."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pricing.aws.source import AwsReader
from pricing.instances import TABLE as INSTANCES
from pricing.offers import Listing, PurchaseOption
from pricing.reading import PriceReading
from pricing.rebuild import rebuild_instances, rebuild_snapshot, with_reading, write_table
from pricing.snapshot import TABLE, PriceRow, newest, read_rows
from tests.pricing.test_offers import make
from tests.servers.aws import Fault, fresh_server, loopback

REGION = "us-east-1"
DAY = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
ON_DEMAND = PurchaseOption.ON_DEMAND


def reading(*priced: tuple[str, str], days: int = 0, complete: bool = True) -> PriceReading:
    offers = tuple(replace(make(name, REGION, ON_DEMAND, price), origin="AWS Price List API") for name, price in priced)
    at = DAY + timedelta(days=days)
    return PriceReading(
        region=REGION, listing=Listing.PRICE_LIST, read_at=at, origin="AWS Price List API", offers=offers,
        complete=complete,
    )  # fmt: skip


def row(name: str, price: str, as_of: str, option: str = "on_demand", region: str = REGION) -> PriceRow:
    return PriceRow(name, region, option, price, "", as_of, "", "an older source", "")


def test_a_new_price_is_a_new_row_and_the_old_one_stays() -> None:
    rows = with_reading([row("g5.xlarge", "1.006", "2026-07-20")], reading(("g5.xlarge", "0.99")))
    assert [(r.usd_per_hour, r.as_of, r.source) for r in rows] == [
        ("1.006", "2026-07-20", "an older source"),
        ("0.99", "2026-12-01", "AWS Price List API"),
    ]


def test_of_a_run_of_equal_prices_the_first_and_the_last_are_kept() -> None:
    rows = [row("g5.xlarge", "1.006", "2026-07-20")]
    for days in (0, 30, 60):
        rows = with_reading(rows, reading(("g5.xlarge", "1.0060"), days=days))
    assert [(r.usd_per_hour, r.as_of) for r in rows] == [("1.006", "2026-07-20"), ("1.006", "2027-01-30")]


def test_a_second_rebuild_on_one_day_replaces_the_first() -> None:
    rows = with_reading(with_reading([], reading(("g5.xlarge", "1"))), reading(("g5.xlarge", "2")))
    assert [r.usd_per_hour for r in rows] == ["2"]


def test_what_is_no_longer_listed_says_so_once_and_is_no_price() -> None:
    rows = [row("p3.2xlarge", "3.06", "2026-07-20"), row("p3.2xlarge", "0.4", "2026-07-20", option="spot")]
    for days in (0, 30):
        rows = with_reading(rows, reading(("g5.xlarge", "1"), days=days))
    p3 = [r for r in rows if r.instance_type == "p3.2xlarge" and r.option == "on_demand"]
    assert [(r.usd_per_hour, r.as_of, r.note) for r in p3] == [
        ("3.06", "2026-07-20", ""),
        ("", "2026-12-01", "no longer listed"),
    ]
    assert newest(p3).usd_per_hour == ""
    assert [r.usd_per_hour for r in rows if r.option == "spot"] == ["0.4"]


def test_what_an_incomplete_reading_lacks_is_left_alone() -> None:
    rows = with_reading([row("p3.2xlarge", "3.06", "2026-07-20")], reading(("g5.xlarge", "1"), complete=False))
    assert [r.usd_per_hour for r in rows if r.instance_type == "p3.2xlarge"] == ["3.06"]


def test_other_regions_are_left_alone() -> None:
    rows = with_reading([row("p3.2xlarge", "3.3", "2026-07-20", region="eu-west-1")], reading(("g5.xlarge", "1")))
    assert row("p3.2xlarge", "3.3", "2026-07-20", region="eu-west-1") in rows


def test_a_table_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.csv"
    write_table(path, PriceRow._fields, [row("g5.xlarge", "1", "2026-07-20")])

    def fail(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_table(path, PriceRow._fields, [row("g5.xlarge", "2", "2026-07-21")])
    assert [r.usd_per_hour for r in read_rows(path)] == ["1"]
    assert list(tmp_path.glob("*prices*")) == [path]


def test_the_bundled_table_is_rebuilt_from_live_readings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws = fresh_server(monkeypatch)
    aws.sell("g6.xlarge", REGION, "0.7000000000", {("1yr", "All Upfront", "standard"): ("0", "3504")})
    path = tmp_path / "prices.csv"
    shutil.copy(TABLE, path)
    seen: list[tuple[str, int, int]] = []
    aws.faults = [Fault("denied", operation="DescribeSavingsPlansOfferingRates")]
    made = rebuild_snapshot(
        AwsReader(loopback()[1]),
        [REGION],
        path=path,
        progress=lambda what, done, total: seen.append((what, done, total)),
    )
    rows = read_rows(path)
    today = datetime.now(UTC).date().isoformat()
    fresh = [r for r in rows if r.instance_type == "g6.xlarge" and r.region == REGION and r.as_of == today]
    assert {(r.option, r.usd_per_hour, r.upfront_usd) for r in fresh if r.usd_per_hour} == {
        ("on_demand", "0.7", ""),
        ("reserved_1yr_all_upfront", "0.4", "3504"),
    }
    assert all("AWS Price List API" in r.source for r in fresh)
    assert len(rows) == made.rows_after > made.rows_before == len(read_rows(TABLE))
    assert made.errors[0].startswith("us-east-1: The credentials may not call savingsplans")
    assert seen[-1] == ("done", 1, 1)
    assert "DescribeSpotPriceHistory" not in aws.operations  # too old by the time of a release
    assert date.fromisoformat(fresh[0].as_of) == datetime.now(UTC).date()


def test_the_bundled_table_is_in_the_order_a_rebuild_writes(tmp_path: Path) -> None:
    class Nothing:
        listings: tuple[Listing, ...] = ()

        def read(self, *_: object) -> PriceReading:
            raise AssertionError

    path = tmp_path / "prices.csv"
    shutil.copy(TABLE, path)
    rebuild_snapshot(Nothing(), [], path=path)
    assert path.read_text(encoding="utf-8") == TABLE.read_text(encoding="utf-8")
    assert Decimal(read_rows(path)[0].usd_per_hour) > 0


def test_the_bundled_machines_are_written_as_a_rebuild_writes_them(tmp_path: Path) -> None:
    """So that the diff of a rebuild shows what EC2 changed and nothing else."""
    path = tmp_path / "instances.csv"
    rebuild_instances(loopback()[1], [], today=date(2026, 11, 28), path=path)
    assert path.read_text(encoding="utf-8") == INSTANCES.read_text(encoding="utf-8")
