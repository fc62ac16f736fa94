"""The price store on SQLite, and on a PostgreSQL started for the test where Debian's package is there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from pricing.book import Book
from pricing.offers import Listing, PriceQuery, PurchaseOption
from pricing.reading import PriceReading
from pricing.snapshot import load_snapshot, snapshot_on
from pricing.store import PriceStore, StoreUnavailable
from pricing.table import OfferTable
from tests.conftest import ROOT
from tests.postgresql import missing, postgresql
from tests.price_worker import START, TYPES, reading

ON_DEMAND = PurchaseOption.ON_DEMAND


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    if reason := missing():
        pytest.skip(reason)
    with postgresql() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'prices.db'}"
        return
    address: str = request.getfixturevalue("postgres")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
    engine.dispose()
    yield address


@pytest.fixture
def store(url: str) -> Iterator[PriceStore]:
    engine = sa.create_engine(url)
    made = PriceStore(engine)
    made.create()
    yield made
    engine.dispose()


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


def prices(store: PriceStore) -> dict[str, str]:
    return {row.instance_type: row.usd_per_hour for row in store.current()}


def test_a_reading_comes_back_exactly(store: PriceStore) -> None:
    exact = replace(reading(1, at(0), types=1).offers[0], usd_per_hour=Decimal("21.9576420000"), note="a note")
    store.record(replace(reading(1, at(0), types=1), offers=(exact,), remarks=("something was left out",)))
    (row,) = store.current()
    assert Decimal(row.usd_per_hour) == Decimal("21.957642")
    assert (row.origin, row.note, row.last_seen) == ("reading 1", "a note", "2026-11-21T10:00:00.000000+00:00")
    kept = store.readings()["us-east-1", Listing.PRICE_LIST]
    assert (kept.read_at, kept.complete_at, kept.remarks) == (at(0), at(0), ("something was left out",))


def test_a_change_of_price_is_a_new_row_and_history_is_kept(store: PriceStore) -> None:
    for minutes, price in [(0, 3), (24 * 60, 3), (48 * 60, 2)]:
        store.record(reading(price, at(minutes), types=1))
    points = store.history("g5.0xlarge", "us-east-1", ON_DEMAND)
    assert [(point.as_of, point.usd_per_hour) for point in points] == [
        (date(2026, 11, 21), 3),
        (date(2026, 11, 22), 3),
        (date(2026, 11, 23), 2),
    ]
    assert prices(store) == {"g5.0xlarge": "2"}


def test_prices_can_be_asked_for_as_of_a_day(store: PriceStore) -> None:
    store.record(reading(3, at(0), types=1))
    store.record(reading(2, at(48 * 60), types=1))
    assert [row.usd_per_hour for row in store.on(date(2026, 11, 20))] == []
    assert [row.usd_per_hour for row in store.on(date(2026, 11, 22))] == ["3"]
    assert [row.usd_per_hour for row in store.on(date(2026, 11, 23))] == ["2"]


def test_what_a_complete_reading_lacks_has_ended(store: PriceStore) -> None:
    store.record(reading(1, at(0), types=3))
    store.record(reading(1, at(1), types=2))
    assert set(prices(store)) == {"g5.0xlarge", "g5.1xlarge"}
    assert len(store.history("g5.2xlarge", "us-east-1", ON_DEMAND)) == 1


def test_what_an_incomplete_reading_lacks_stays_with_its_own_date(store: PriceStore) -> None:
    store.record(reading(1, at(0), types=2))
    store.record(replace(reading(1, at(1), types=1), complete=False))
    seen = {row.instance_type: row.last_seen for row in store.current()}
    assert seen["g5.0xlarge"].startswith("2026-11-21T10:01")
    assert seen["g5.1xlarge"].startswith("2026-11-21T10:00")
    kept = store.readings()["us-east-1", Listing.PRICE_LIST]
    assert (kept.read_at, kept.complete_at) == (at(1), at(0))


def test_other_regions_and_listings_are_left_alone(store: PriceStore) -> None:
    store.record(reading(1, at(0), types=1))
    store.record(reading(2, at(1), region="eu-west-1", types=1))
    spot = replace(reading(3, at(2), types=1).offers[0], option=PurchaseOption.SPOT)
    store.record(replace(reading(3, at(2), types=1), listing=Listing.SPOT, offers=(spot,)))
    assert sorted((row.region, row.option, row.usd_per_hour) for row in store.current()) == [
        ("eu-west-1", "on_demand", "2"),
        ("us-east-1", "on_demand", "1"),
        ("us-east-1", "spot", "3"),
    ]


def test_a_reading_that_comes_late_changes_nothing(store: PriceStore) -> None:
    assert store.record(reading(2, at(1)))
    assert not store.record(reading(1, at(0)))
    assert not store.record(reading(3, at(1)))
    assert set(prices(store).values()) == {"2"}


def test_a_database_that_does_not_answer_is_one_sentence() -> None:
    closed = PriceStore(sa.create_engine("postgresql+psycopg://secret:word@127.0.0.1:1/prices"))
    with pytest.raises(StoreUnavailable, match=r"does not answer \(OperationalError\)") as refused:
        closed.current()
    assert "secret" not in str(refused.value)
    assert "word" not in str(refused.value)


def test_tables_that_are_missing_are_made(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    store = PriceStore(engine)
    assert list(store.current()) == []
    with engine.begin() as connection:
        for table in ("price", "price_reading", "alembic_version"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
    with pytest.raises(StoreUnavailable, match="not kept"):  # a file that was taken away, noticed
        store.record(reading(1, at(0), types=1))
    assert store.record(reading(1, at(0), types=1))
    engine.dispose()


def worker(url: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.price_worker", url, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_four_processes_refreshing_at_once_lose_nothing(url: str, store: PriceStore) -> None:
    several = [worker(url, str(first), "4") for first in (0, 2, 5, 7)]
    assert [process.communicate(timeout=120)[0] for process in several] == ["done\n"] * 4
    assert [process.returncode for process in several] == [0] * 4
    found = prices(store)
    assert len(found) == TYPES == len(store.current())
    assert set(found.values()) == {"10"}  # the newest reading, whole
    assert store.readings()["us-east-1", Listing.PRICE_LIST].read_at == START + timedelta(seconds=10)


def test_a_refresh_killed_at_any_of_six_moments_leaves_the_old_book_whole(url: str, store: PriceStore) -> None:
    said, _ = worker(url, "1", "1", "killed").communicate(timeout=120)
    moments = dict(line.split(": ") for line in said.splitlines()[:-1])
    assert set(moments.values()) == {f"{TYPES} at 1"}
    assert [" ".join(where.split()[:2]) for where in moments] == [
        "INSERT INTO", "UPDATE price_reading", "SELECT price.id,", "UPDATE price", "INSERT INTO", "commit",
    ]  # fmt: skip
    assert store.readings()["us-east-1", Listing.PRICE_LIST].read_at == START + timedelta(seconds=1)
    assert store.record(reading(7, START + timedelta(hours=1)))  # and the next one goes through
    assert set(prices(store).values()) == {"7"}


def test_tables_are_made_by_two_processes_at_once(url: str) -> None:
    both = [worker(url, "0", "1"), worker(url, "1", "1")]
    assert [process.communicate(timeout=120)[0] for process in both] == ["done\n", "done\n"]


def test_a_reading_without_offers_is_kept_as_one(store: PriceStore) -> None:
    empty = PriceReading(
        region="us-east-1", listing=Listing.CAPACITY_BLOCKS, read_at=at(0), origin="EC2", offers=(), complete=False
    )
    assert store.record(empty)
    assert store.readings()["us-east-1", Listing.CAPACITY_BLOCKS].read_at == at(0).astimezone(UTC)


# Rows of another version, or damaged ones

NONSENSE = ("abc", "", "soon", "NaN", "-1", "Infinity", "1e999999999", "2999-13-45", "[", "{}", "null", "5", "\u0663")
COLUMNS_OF = {
    "price": ("option", "usd_per_hour", "upfront_usd", "first_seen", "last_seen", "listing", "region", "origin"),
    "price_reading": ("listing", "region", "read_at", "complete_at", "remarks"),
}


def damage(store: PriceStore, table: str, column: str, text: str) -> None:
    with store._engine.begin() as connection:
        where = " WHERE instance_type = 'g5.0xlarge'" if table == "price" else ""
        connection.execute(sa.text(f'UPDATE {table} SET "{column}" = :text{where}'), {"text": text})


def of_one_region(made: Callable[[date], OfferTable]) -> Callable[[date], OfferTable]:
    """The bundled table, made once for each day asked for; what the store holds is laid over it anew each time."""
    return cache(lambda day: OfferTable(made(day).find(PriceQuery(region="us-east-1"))))


SMALL = {f"pricing.book.{made.__name__}": of_one_region(made) for made in (load_snapshot, snapshot_on)}


@pytest.fixture
def small_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, made in SMALL.items():
        monkeypatch.setattr(name, made)


@pytest.mark.usefixtures("small_snapshot")
@pytest.mark.parametrize(("table", "column"), [(table, column) for table in COLUMNS_OF for column in COLUMNS_OF[table]])
def test_an_odd_row_costs_no_other_and_the_next_reading_is_kept(store: PriceStore, table: str, column: str) -> None:
    for number, text in enumerate(NONSENSE):
        with store._engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM price"))
            connection.execute(sa.text("DELETE FROM price_reading"))
        store.record(reading(3, at(number), types=2))
        damage(store, table, column, text)
        book = Book(store=store, clock=lambda: at(60))
        good = book.get("g5.1xlarge", "us-east-1", ON_DEMAND)
        assert good is not None
        assert good.usd_per_hour == 3
        other = book.get("g5.0xlarge", "us-east-1", ON_DEMAND)
        assert other is None or other.usd_per_hour in (3, 5)
        book.history("g5.0xlarge", "us-east-1", ON_DEMAND)
        book.on(date(2026, 11, 22))
        book.keep_up()
        assert book.status("us-east-1").sentence
        assert store.record(reading(4, at(30), types=2))
        later = Book(store=store, clock=lambda: at(60)).get("g5.1xlarge", "us-east-1", ON_DEMAND)
        assert later is not None
        assert later.usd_per_hour == 4


@pytest.mark.parametrize(
    ("column", "text"), [("option", "leased_by_the_minute"), ("usd_per_hour", "abc"), ("last_seen", "soon")]
)
def test_rows_left_out_are_counted(store: PriceStore, column: str, text: str) -> None:
    store.record(reading(3, at(0), types=3))
    assert Book(store=store, clock=lambda: at(60)).unreadable == 0
    damage(store, "price", column, text)
    assert Book(store=store, clock=lambda: at(60)).unreadable == 1
