"""Three layers of one price book: live, the last good copy, the snapshot; and what it says of itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from estimators.provenance import Refusal
from pricing.aws.clients import ClientSettings
from pricing.aws.errors import Unreachable
from pricing.aws.source import aws_reader
from pricing.book import Book
from pricing.offers import Listing, Offer, PriceQuery, PriceSource, PurchaseOption
from pricing.reading import PriceReading, Progress, no_progress
from pricing.refresh import Refresher
from pricing.snapshot import load_snapshot
from pricing.store import PriceStore
from tests.servers.aws import AwsServer

ON_DEMAND = PurchaseOption.ON_DEMAND
REGION = "us-east-1"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Clock:
    """A clock the test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_hours(self, hours: float) -> None:
        self.now += timedelta(hours=hours)


@dataclass
class FakeReader:
    """A price source the test fills, breaks and holds up."""

    clock: Clock
    prices: dict[str, str] = field(default_factory=dict)
    error: str = ""
    complete: bool = True
    listings: tuple[Listing, ...] = (Listing.PRICE_LIST,)
    reads: list[str] = field(default_factory=list)
    hold: threading.Event | None = None

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> PriceReading:
        self.reads.append(region)
        if self.hold is not None:
            self.hold.wait(10)
        if self.error:
            raise Unreachable(self.error)
        offers = tuple(
            Offer(
                instance_type=name,
                region=region,
                option=ON_DEMAND,
                usd_per_hour=Decimal(price),
                source=PriceSource.LIVE,
                as_of=self.clock.now.date(),
                origin="AWS",
            )
            for name, price in self.prices.items()
        )
        return PriceReading(
            region=region,
            listing=listing,
            read_at=self.clock.now,
            origin="AWS",
            offers=offers,
            complete=self.complete,
            remarks=() if self.complete else ("g6.xlarge: two products",),
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(clock: Clock) -> FakeReader:
    return FakeReader(clock, prices={"g5.xlarge": "0.99", "g6.xlarge": "0.80"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PriceStore]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'prices.db'}")
    made = PriceStore(engine)
    made.create()
    yield made
    engine.dispose()


def whole_region(*, without: str = "") -> dict[str, str]:
    """Every type known in the region at its known price: what a list that may end offers holds."""
    known = load_snapshot().find(PriceQuery(region=REGION, option=ON_DEMAND))
    return {offer.instance_type: str(offer.usd_per_hour) for offer in known if offer.instance_type != without}


def found(book: Book, instance_type: str = "g5.xlarge", region: str = REGION) -> tuple[str, PriceSource] | None:
    offer = book.get(instance_type, region, ON_DEMAND)
    return None if offer is None else (str(offer.usd_per_hour), offer.source)


def test_with_nothing_the_snapshot_answers_and_says_so(clock: Clock) -> None:
    book = Book(clock=clock)
    assert found(book) == ("1.006", PriceSource.SNAPSHOT)
    status = book.status(REGION)
    assert (status.source, status.error) == (PriceSource.SNAPSHOT, "")
    assert status.sentence == "Bundled snapshot, newest row of 2026-11-09."
    assert book.status("cn-north-1").sentence == "No price for cn-north-1."


def test_a_live_price_goes_before_the_snapshot_and_says_when_it_was_read(clock: Clock, reader: FakeReader) -> None:
    reader.prices = whole_region() | reader.prices
    book = Book(reader=reader, clock=clock)
    before = book.version
    book.refresh(REGION)
    assert book.version > before
    assert found(book) == ("0.99", PriceSource.LIVE)
    assert found(book, region="eu-west-1") == ("1.123", PriceSource.SNAPSHOT)
    assert book.status(REGION).sentence == "Live from AWS, read 2026-11-21 12:00 UTC."


def test_live_is_said_of_the_prices_that_are(clock: Clock, reader: FakeReader) -> None:
    listed = sum(o.option.listing is Listing.PRICE_LIST for o in load_snapshot().find(PriceQuery(region=REGION)))
    book = Book(reader=reader, clock=clock)
    book.refresh(REGION)
    assert book.status(REGION).sentence == (
        f"2 of {listed} prices are live from AWS, read 2026-11-21 12:00 UTC; the others are older."
    )


def test_what_a_complete_reading_lacks_is_no_longer_offered(clock: Clock, reader: FakeReader) -> None:
    reader.prices = whole_region(without="p5.48xlarge")
    book = Book(reader=reader, clock=clock)
    assert found(book, "p5.48xlarge") is not None
    book.refresh(REGION)
    assert found(book, "p5.48xlarge") is None
    spot = book.get("g5.xlarge", REGION, PurchaseOption.SPOT)
    assert spot is not None
    assert spot.source is PriceSource.SNAPSHOT  # another listing, which was not read


def test_what_an_incomplete_reading_lacks_keeps_its_older_price(clock: Clock, reader: FakeReader) -> None:
    reader.complete = False
    book = Book(reader=reader, clock=clock)
    book.refresh(REGION)
    assert found(book) == ("0.99", PriceSource.LIVE)
    assert found(book, "p5.48xlarge") == ("55.04", PriceSource.SNAPSHOT)
    assert book.status(REGION).remarks == ("g6.xlarge: two products",)


@pytest.mark.parametrize("with_store", [True, False])
def test_pulled_out_in_use_it_keeps_answering_and_says_since_when(
    clock: Clock, reader: FakeReader, store: PriceStore, with_store: bool
) -> None:
    book = Book(reader=reader, store=store if with_store else None, clock=clock)
    book.refresh(REGION)
    clock.pass_hours(1)
    reader.error = "The connection to AWS failed."
    report = book.refresh(REGION)
    assert report.errors == ("The connection to AWS failed.",)
    assert found(book) == ("0.99", PriceSource.CACHED)
    assert book.status(REGION).live_until == NOON
    assert book.status(REGION).sentence == (
        "Last good copy, read from AWS 2026-11-21 12:00 UTC. Not live since 2026-11-21 12:00 UTC. "
        "The connection to AWS failed."
    )
    reader.error = ""
    clock.pass_hours(1)
    book.refresh(REGION)
    assert found(book) == ("0.99", PriceSource.LIVE)
    assert book.status(REGION).live_since == clock.now


def test_the_last_good_copy_survives_a_restart(clock: Clock, reader: FakeReader, store: PriceStore) -> None:
    reader.prices = whole_region(without="p5.48xlarge") | reader.prices
    Book(reader=reader, store=store, clock=clock).refresh(REGION)
    again = Book(store=store, clock=clock)
    assert found(again) == ("0.99", PriceSource.CACHED)
    assert found(again, "p5.48xlarge") is None  # withdrawn stays withdrawn
    assert again.status(REGION).sentence == "Last good copy, read from AWS 2026-11-21 12:00 UTC."


def test_a_price_that_is_not_read_again_stops_being_live_and_grows_stale(
    clock: Clock, reader: FakeReader, store: PriceStore
) -> None:
    book = Book(reader=reader, store=store, clock=clock)
    book.refresh(REGION)
    clock.pass_hours(3)
    book.keep_up()
    assert found(book) == ("0.99", PriceSource.CACHED)
    clock.pass_hours(24 * 200)
    book.keep_up()
    offer = book.get("g5.xlarge", REGION, ON_DEMAND)
    assert offer is not None
    assert offer.stale


def test_what_another_process_read_is_taken_over(clock: Clock, reader: FakeReader, store: PriceStore) -> None:
    book = Book(store=store, clock=clock)
    Book(reader=reader, store=store, clock=clock).refresh(REGION)
    assert found(book) == ("1.006", PriceSource.SNAPSHOT)
    book.keep_up()
    assert found(book) == ("0.99", PriceSource.CACHED)


def test_keeping_up_makes_no_new_table_when_nothing_has_moved(
    clock: Clock, reader: FakeReader, store: PriceStore
) -> None:
    book = Book(reader=reader, store=store, clock=clock)
    book.refresh(REGION)
    before = book.version
    book.keep_up()
    assert book.version == before


def test_a_price_an_incomplete_reading_did_not_confirm_is_a_copy(
    clock: Clock, reader: FakeReader, store: PriceStore
) -> None:
    book = Book(reader=reader, store=store, clock=clock)
    book.refresh(REGION)
    clock.pass_hours(1)
    reader.complete, reader.prices = False, {"g5.xlarge": "0.98"}
    book.refresh(REGION)
    assert found(book, "g5.xlarge") == ("0.98", PriceSource.LIVE)
    assert found(book, "g6.xlarge") == ("0.80", PriceSource.CACHED)


def test_a_newer_snapshot_goes_before_an_older_copy(reader: FakeReader, store: PriceStore) -> None:
    old = Clock(datetime(2026, 3, 1, tzinfo=UTC))
    reader.clock, reader.prices = old, {"g5.xlarge": "5.00"}
    Book(reader=reader, store=store, clock=old).refresh(REGION)
    book = Book(store=store, clock=Clock())
    assert found(book) == ("1.006", PriceSource.SNAPSHOT)  # of 2026-07-20
    assert found(book, "p5.48xlarge") == ("55.04", PriceSource.SNAPSHOT)


def test_a_database_that_fails_costs_the_copy_and_not_the_prices(
    clock: Clock, reader: FakeReader, tmp_path: Path
) -> None:
    broken = PriceStore(sa.create_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))
    book = Book(reader=reader, store=broken, clock=clock)
    assert found(book) == ("1.006", PriceSource.SNAPSHOT)
    book.refresh(REGION)
    assert found(book) == ("0.99", PriceSource.LIVE)
    assert book.status(REGION).error.startswith("The price database does not answer")


def test_history_joins_the_snapshot_and_what_was_read(clock: Clock, reader: FakeReader, store: PriceStore) -> None:
    book = Book(reader=reader, store=store, clock=clock)
    book.refresh(REGION)
    points = book.history("g5.xlarge", REGION, ON_DEMAND)
    assert (points[0].as_of.isoformat(), str(points[0].usd_per_hour)) == ("2025-04-04", "1.006")
    assert (points[-1].as_of.isoformat(), str(points[-1].usd_per_hour)) == ("2026-11-21", "0.99")


def test_the_book_of_an_earlier_day_is_what_was_known_then(clock: Clock, reader: FakeReader, store: PriceStore) -> None:
    book = Book(reader=reader, store=store, clock=clock)
    book.refresh(REGION)
    clock.pass_hours(48)
    reader.prices = {"g5.xlarge": "0.90"}
    book.refresh(REGION)
    then = book.on(date(2026, 11, 22)).get("g5.xlarge", REGION, ON_DEMAND)
    before = book.on(date(2026, 11, 20)).get("g5.xlarge", REGION, ON_DEMAND)
    long_ago = book.on(date(2025, 5, 1)).get("p4d.24xlarge", REGION, ON_DEMAND)
    assert [str(offer.usd_per_hour) for offer in (then, before, long_ago) if offer] == ["0.99", "1.006", "32.7726"]


def test_without_a_live_source_a_refresh_is_refused(clock: Clock) -> None:
    with pytest.raises(Refusal, match="No live price source"):
        Book(clock=clock).refresh(REGION)


def test_due_is_what_was_not_read_lately_or_failed(clock: Clock, reader: FakeReader) -> None:
    reader.listings = (Listing.PRICE_LIST, Listing.SPOT)
    book = Book(reader=reader, clock=clock)
    assert book.due(REGION) == (Listing.PRICE_LIST, Listing.SPOT)
    book.refresh(REGION, [Listing.PRICE_LIST])
    assert book.due(REGION) == (Listing.SPOT,)
    clock.pass_hours(1)
    assert book.due(REGION) == (Listing.PRICE_LIST, Listing.SPOT)


def test_against_a_server_that_speaks_aws_it_is_live_until_it_goes(
    monkeypatch: pytest.MonkeyPatch, store: PriceStore
) -> None:
    with AwsServer() as aws:
        for name, value in aws.environment.items():
            monkeypatch.setenv(name, value)
        aws.sell("g6.xlarge", REGION, "0.81", {("1yr", "No Upfront", "standard"): ("0.53", "0")})
        aws.plan("g6.xlarge", REGION, "Compute", 31_536_000, "No Upfront", "0.6")
        book = Book(reader=aws_reader(ClientSettings(max_attempts=1, pricing_calls_per_second=1000)), store=store)
        report = book.refresh(REGION)
        assert found(book, "g6.xlarge") == ("0.81", PriceSource.LIVE)
        live = {offer.option for offer in book.find(PriceQuery(region=REGION)) if offer.source is PriceSource.LIVE}
        assert live == {
            ON_DEMAND, PurchaseOption.RESERVED_1YR_NO_UPFRONT, PurchaseOption.SAVINGS_COMPUTE_1YR_NO_UPFRONT
        }  # fmt: skip
        # No spot price there: said, and nothing else stopped.
        assert report.errors == ("EC2 gives no spot price for any accelerator machine in us-east-1.",)
    book.refresh(REGION)
    assert found(book, "g6.xlarge") == ("0.81", PriceSource.CACHED)
    status = book.status(REGION)
    assert status.live_until is not None
    assert "Not live since" in status.sentence
    assert "The connection to AWS failed" in status.sentence


# The background thread


def until(holds: Callable[[], bool]) -> bool:
    """Waits for another thread, a few seconds at most."""
    waited = threading.Event()
    return any(holds() or waited.wait(0.01) for _ in range(500)) and holds()


@pytest.fixture
def refresher(clock: Clock, reader: FakeReader) -> Iterator[Refresher]:
    made = Refresher(book=Book(reader=reader, clock=clock), tick=timedelta(milliseconds=10), clock=clock)
    made.start()
    yield made
    if reader.hold is not None:
        reader.hold.set()
    made.stop()


def test_asking_for_a_refresh_never_waits_and_is_done_once(refresher: Refresher, reader: FakeReader) -> None:
    reader.hold = threading.Event()
    assert refresher.request(REGION)
    assert until(lambda: reader.reads == [REGION])
    assert not refresher.request(REGION)  # under way
    assert refresher.refreshing(REGION)
    book = refresher.book
    assert isinstance(book, Book)
    assert found(book) == ("1.006", PriceSource.SNAPSHOT)  # a page meanwhile
    reader.hold.set()
    assert until(lambda: found(book) == ("0.99", PriceSource.LIVE))
    assert until(lambda: not refresher.refreshing(REGION))
    assert not refresher.request(REGION)  # just read
    assert reader.reads == [REGION]


def test_a_region_is_read_again_when_the_interval_has_passed(
    refresher: Refresher, reader: FakeReader, clock: Clock
) -> None:
    refresher.request(REGION)
    assert until(lambda: len(reader.reads) == 1 and not refresher.refreshing(REGION))
    clock.pass_hours(1.1)
    assert until(lambda: len(reader.reads) == 2)


def test_after_a_failure_it_tries_again_after_pauses_that_double(
    refresher: Refresher, reader: FakeReader, clock: Clock
) -> None:
    reader.error = "The connection to AWS failed."
    refresher.request(REGION)
    for number, seconds in [(1, 31), (2, 61), (3, 121)]:
        assert until(lambda number=number: len(reader.reads) == number and not refresher.refreshing(REGION))
        clock.now += timedelta(seconds=seconds - 5)
        assert not refresher.request(REGION)
        clock.now += timedelta(seconds=5)
    assert until(lambda: len(reader.reads) == 4)


def test_a_fault_in_one_region_does_not_end_the_thread(
    refresher: Refresher, reader: FakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = reader.read

    def read(region: str, listing: Listing, progress: Progress = no_progress) -> PriceReading:
        if region == "eu-west-1":
            raise KeyError("OnDemand")
        return sound(region, listing, progress)

    monkeypatch.setattr(reader, "read", read)
    refresher.request("eu-west-1")
    refresher.request(REGION)
    book = refresher.book
    assert isinstance(book, Book)
    assert until(lambda: found(book) == ("0.99", PriceSource.LIVE))
    said = book.status("eu-west-1").sentence
    assert said.endswith("Reading met a defect of ours (KeyError); the log says where.")


def test_a_fault_outside_of_reading_leaves_a_line_in_the_log(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def due(region: str) -> tuple[Listing, ...]:
        raise ValueError("a secret")

    monkeypatch.setattr(refresher.book, "due", due)
    refresher.request(REGION)
    assert until(lambda: "refreshing us-east-1 failed: ValueError at test_book.py:" in caplog.text)
    assert "secret" not in caplog.text


def test_it_stops_when_asked_and_starts_again(refresher: Refresher, reader: FakeReader) -> None:
    refresher.stop()
    refresher.request(REGION)
    assert reader.reads == []
    refresher.start()
    assert until(lambda: reader.reads == [REGION])
