"""Reading regions one listing after the other, for the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from estimators.provenance import Refusal
from pricing.aws.errors import AccessDenied, ExpiredCredentials
from pricing.offers import Listing
from pricing.reading import PriceReading, Progress, no_progress
from pricing.refresh import Refresher, RegionReport, read_region, refresh_regions

BOTH = (Listing.PRICE_LIST, Listing.SPOT)


@dataclass
class Script:
    """A reader that fails where it is told to."""

    failures: dict[tuple[str, Listing], Exception] = field(default_factory=dict)
    listings: tuple[Listing, ...] = BOTH
    asked: list[tuple[str, Listing]] = field(default_factory=list)

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> PriceReading:
        self.asked.append((region, listing))
        if (region, listing) in self.failures:
            raise self.failures[region, listing]
        return PriceReading(region=region, listing=listing, read_at=datetime.now(UTC), origin="a test", offers=())


@dataclass
class Kept:
    """A store that remembers what it was given."""

    readings: list[tuple[str, Listing]] = field(default_factory=list)

    def record(self, reading: PriceReading) -> bool:
        self.readings.append((reading.region, reading.listing))
        return True


def test_a_listing_or_region_that_fails_stops_no_other() -> None:
    reader = Script({("us-east-1", Listing.PRICE_LIST): AccessDenied("Not allowed.")})
    kept = Kept()
    seen: list[tuple[str, int, int]] = []
    reports = refresh_regions(
        reader, kept, ["us-east-1", "eu-west-1"], lambda what, done, total: seen.append((what, done, total))
    )
    assert kept.readings == [
        ("us-east-1", Listing.SPOT),
        ("eu-west-1", Listing.PRICE_LIST),
        ("eu-west-1", Listing.SPOT),
    ]
    assert [report.errors for report in reports] == [("Not allowed.",), ()]
    assert seen == [("us-east-1", 0, 2), ("eu-west-1", 1, 2), ("done", 2, 2)]


def test_without_valid_credentials_the_rest_is_not_asked_for() -> None:
    reader = Script({("us-east-1", Listing.PRICE_LIST): ExpiredCredentials("Sign in again.")})
    failed: list[Listing] = []
    report = read_region(
        reader,
        "us-east-1",
        keep=lambda reading: None,
        failed=lambda region, listing, error: failed.append(listing),
    )
    assert reader.asked == [("us-east-1", Listing.PRICE_LIST)]
    assert failed == list(BOTH)
    assert report.errors == ("Sign in again.",)


def test_a_reading_that_cannot_be_kept_is_a_failure_of_its_listing_only() -> None:
    def keep(reading: PriceReading) -> None:
        if reading.listing is Listing.PRICE_LIST:
            raise Refusal("The price database does not answer.", field="region")

    report = read_region(Script(), "us-east-1", keep=keep)
    assert report.errors == ("The price database does not answer.",)
    assert [outcome.reading is not None for outcome in report.outcomes] == [False, True]


def test_a_defect_in_one_listing_is_logged_without_what_aws_sent_and_costs_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = Script({("us-east-1", Listing.PRICE_LIST): KeyError("AKIA-SECRET")})
    kept = Kept()
    (report,) = refresh_regions(reader, kept, ["us-east-1"])
    assert report.errors == ("Reading met a defect of ours (KeyError); the log says where.",)
    assert kept.readings == [("us-east-1", Listing.SPOT)]
    (record,) = caplog.records
    assert record.getMessage().startswith("reading us-east-1 price_list failed: KeyError at test_refresh.py:")
    assert "SECRET" not in caplog.text


@dataclass
class Damaged:
    """A book whose store holds what nobody foresaw."""

    looks: int = 0
    refreshed: list[str] = field(default_factory=list)

    def keep_up(self) -> None:
        self.looks += 1
        raise KeyError("unknown_payment")

    def due(self, region: str) -> tuple[Listing, ...]:
        return BOTH

    def refresh(self, region: str, listings: Sequence[Listing]) -> RegionReport:
        self.refreshed.append(region)
        return RegionReport(region=region, outcomes=())


def test_whatever_lies_in_the_store_the_thread_goes_on_reading_regions() -> None:
    book = Damaged()
    refresher = Refresher(book=book, tick=timedelta(milliseconds=5))
    refresher.start()
    try:
        wait_until(lambda: book.looks >= 3)
        refresher.request("eu-west-1")
        wait_until(lambda: book.refreshed == ["eu-west-1"])
    finally:
        refresher.stop()


def test_what_is_asked_for_at_start_up_makes_way_for_the_first_page() -> None:
    book = Damaged()
    refresher = Refresher(book=book, first_after=timedelta(seconds=0.2))
    started = time.monotonic()
    refresher.start()
    try:
        assert refresher.request("eu-west-1")
        wait_until(lambda: book.refreshed == ["eu-west-1"])
        assert time.monotonic() - started >= 0.2
    finally:
        refresher.stop()


def test_a_refresher_that_still_waits_to_begin_ends_at_once() -> None:
    refresher = Refresher(book=Damaged(), first_after=timedelta(seconds=60))
    refresher.start()
    before = time.monotonic()
    refresher.stop()
    assert time.monotonic() - before < 4


def test_only_regions_that_aws_has_are_ever_watched() -> None:
    refresher = Refresher(book=Damaged())
    for text in (*(f"aa-north-{number}" for number in range(60)), "us-east-9", "", "US-EAST-1", "eu-west-1 "):
        assert not refresher.request(text)
        assert not refresher.refreshing(text)
    assert refresher.request("us-east-1")


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
