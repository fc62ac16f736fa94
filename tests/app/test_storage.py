"""The database is named by an address, waited for a little, and comes back by itself."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from app import storage
from app.measuring.jobs import measurement_store
from app.sources import dashboard_sources, open_store
from app.storage import database_url, engine, open_engine
from estimators.measuring.jobs.store import MeasurementStore
from estimators.provenance import Refusal
from pricing.book import Book
from pricing.offers import Listing, PriceQuery, PurchaseOption
from pricing.store import PriceStore, StoreUnavailable
from tests.price_worker import START, reading
from tests.pricing.test_store import postgres as postgres  # a server of our own, where Debian's package is there

SECRET = "hunter2"
MALFORMED = (
    f"postgresql://user:{SECRET}@x@host/name",
    f"postgresql://user:a:{SECRET}@host:port/name",
    f"postgresql://user:{SECRET}@host:99999999/name",
    f"postgresql://user:{SECRET}/x@host/name",
    f"postgresql://user:{SECRET}@[::1/name",
    f"postgresql://user:{SECRET}@host:-1/name",
    f"mysql://user:{SECRET}@host/name",
    f"oracle+nothing://user:{SECRET}@host/name",
    f"postgresql+nosuch://user:{SECRET}@host/name",
    f"postgresql+asyncpg://user:{SECRET}@host/name",
    f"user:{SECRET}@host/name",
    f"://{SECRET}",
    SECRET,
    f"postgresql:/user:{SECRET}@host/name",
    f"http://user:{SECRET}@host/name",
    f"jdbc:postgresql://user:{SECRET}@host/name",
    f"postgresql://user:{SECRET}@ho st/name",
    f"\x00{SECRET}",
)


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    forget()
    yield
    forget()


def forget() -> None:
    for kept in (measurement_store, dashboard_sources, open_engine):
        kept.cache_clear()


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_address_is_a_sentence_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    if "\x00" not in url:
        monkeypatch.setenv("DATABASE_URL", url)
    else:
        monkeypatch.setattr(os, "environ", os.environ | {"DATABASE_URL": url})
    with caplog.at_level(logging.DEBUG), pytest.raises(Refusal) as refused:
        MeasurementStore(engine()).history()
    assert SECRET not in str(refused.value)
    assert SECRET not in caplog.text
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert (
        open_store(create=True) is None or "not kept" in Book(store=open_store(create=True)).status("us-east-1").error
    )
    with pytest.raises(Refusal):
        measurement_store().history()


def test_the_page_says_why_prices_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", MALFORMED[0])
    status = dashboard_sources().book.status("us-east-1")
    assert status.sentence.startswith("Bundled snapshot")
    assert "Prices are not kept: DATABASE_URL cannot be used" in status.sentence
    assert "write @ as %40" in status.sentence


def test_addresses_people_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for given, driver, host in (
        ("postgres://u:p%40ss@db.example:5432/name", "postgresql+psycopg", "db.example"),
        ("postgresql://u@[::1]/name", "postgresql+psycopg", "::1"),
        ("postgresql+psycopg:///name?host=/run/postgresql", "postgresql+psycopg", None),
        (f"sqlite:///{tmp_path}/x.db", "sqlite", None),
    ):
        monkeypatch.setenv("DATABASE_URL", given)
        assert (database_url().drivername, database_url().host) == (driver, host)
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("RIGHTSIZE_DATA", "/proc/nowhere")
    with pytest.raises(Refusal, match="cannot be made"):
        database_url()


def postmaster(url: str) -> int:
    folder = str(sa.engine.make_url(url).query["host"])
    return int((Path(folder) / "data" / "postmaster.pid").read_text().splitlines()[0])


def stopped(url: str, sign: signal.Signals) -> None:
    """The server and its processes: a stopped one accepts connections and answers nothing."""
    first = postmaster(url)
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, parent = int(place.parent.name), int(place.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if first in (number, parent):
            os.kill(number, sign)


def test_a_stopped_server_holds_nobody_and_what_was_read_meanwhile_is_kept_when_it_is_back(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "REST_S", 1.0)
    with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    made = open_engine(postgres)
    book = Book(store=PriceStore(made), clock=lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))
    measured = MeasurementStore(made)
    assert measured.history() == ()
    stopped(postgres, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        book._keep(reading(3, START, types=1))
        assert "prices read meanwhile are not kept" in book.status("us-east-1").sentence
        with pytest.raises(Refusal, match="nothing can be measured or kept"):
            measured.history()
        assert Book(store=PriceStore(made)).regions  # as one that starts now
        book.history("g5.0xlarge", "us-east-1", reading(3, START, types=1).offers[0].option)
        assert time.monotonic() - begun < 15
        begun = time.monotonic()
        with pytest.raises(Refusal):
            PriceStore(open_engine(postgres)).current()
        assert time.monotonic() - begun < 5
    finally:
        stopped(postgres, signal.SIGCONT)
    time.sleep(1.2)
    assert measured.history() == ()
    book.keep_up()
    assert book.status("us-east-1").error == ""
    assert [row.usd_per_hour for row in PriceStore(made).current()] == ["3"]
    made.dispose()


def test_connections_that_the_server_closed_are_made_anew(postgres: str) -> None:
    made = open_engine(postgres)
    store = PriceStore(made)
    store.current()
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    store.current()
    made.dispose()


def test_a_server_whose_processes_are_killed_is_used_again_when_it_has_recovered(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "REST_S", 0.2)
    made = open_engine(postgres)
    book = Book(store=PriceStore(made), clock=lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    book._keep(reading(3, START, types=1))
    with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)  # its server then ends every other, and recovers
        book._keep(reading(4, START + timedelta(minutes=1), types=1))
    end = time.monotonic() + 30
    while book.status("us-east-1").error and time.monotonic() < end:
        time.sleep(0.3)
        book.keep_up()
    assert book.status("us-east-1").error == ""
    assert [row.usd_per_hour for row in PriceStore(made).current()] == ["4"]
    made.dispose()


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 32)


def cut_in_half(path: Path) -> None:
    PriceStore(open_engine(f"sqlite:///{path}")).record(reading(1, START))
    open_engine(f"sqlite:///{path}").dispose()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE price (a TEXT); CREATE TABLE measurement (b TEXT)")


@pytest.mark.parametrize("damage", [noise, cut_in_half, Path.mkdir, of_another_program])
def test_a_start_on_a_file_that_is_no_database_of_ours_has_its_prices_and_says_what_is_not_kept(
    damage: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damage(tmp_path / "x.db")
    forget()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    begun = time.monotonic()
    book = Book(store=open_store(create=True), clock=lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))
    assert book.status("us-east-1").sentence.startswith("Bundled snapshot")
    book._keep(reading(3, START, types=1))
    assert "prices read meanwhile are not kept" in book.status("us-east-1").sentence
    found = book.find(PriceQuery(region="us-east-1", option=PurchaseOption.ON_DEMAND))
    assert [offer.usd_per_hour for offer in found if offer.instance_type == "g5.0xlarge"] == [3]  # in memory
    with pytest.raises(Refusal, match="nothing can be measured or kept meanwhile"):
        measurement_store().history()
    assert time.monotonic() - begun < 5


def test_a_start_on_an_empty_file_makes_a_database_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    assert Book(store=open_store(create=True)).status("us-east-1").error == ""
    assert measurement_store().history() == ()


def test_a_disk_that_is_full_keeps_what_was_there_and_is_said(tmp_path: Path) -> None:
    made = open_engine(f"sqlite:///{tmp_path}/x.db")
    book = Book(store=PriceStore(made), clock=lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))
    book._keep(reading(3, START, types=1))
    sa.event.listen(made, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1"))
    book._keep(reading(4, START + timedelta(minutes=1)))
    assert "prices read meanwhile are not kept" in book.status("us-east-1").sentence
    made.dispose()
    again = open_engine(f"sqlite:///{tmp_path}/x.db")
    assert [row.usd_per_hour for row in PriceStore(again).current()] == ["3"]


def test_a_writer_that_holds_sqlite_holds_others_for_three_seconds(tmp_path: Path) -> None:
    path = tmp_path / "prices.db"
    made = open_engine(f"sqlite:///{path}")
    store = PriceStore(made)
    store.record(reading(1, START, types=1))
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        assert len(store.current()) == 1  # readers are not held at all
        assert time.monotonic() - begun < 1
        with pytest.raises(StoreUnavailable):
            store.record(reading(2, datetime(2026, 11, 22, tzinfo=UTC), types=1))
        assert time.monotonic() - begun < 5
    made.dispose()


def test_a_file_that_is_deleted_is_noticed_and_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "prices.db"
    made = open_engine(f"sqlite:///{path}")
    book = Book(store=PriceStore(made), clock=lambda: datetime(2026, 11, 21, 11, tzinfo=UTC))
    book._keep(reading(3, START, types=1))
    for file in tmp_path.glob("prices.db*"):
        file.unlink()
    book.keep_up()
    book.keep_up()
    assert "deleted or replaced" in caplog.text
    assert path.exists()
    assert [row.usd_per_hour for row in PriceStore(made).current()] == ["3"]
    assert book.status("us-east-1", Listing.PRICE_LIST).error == ""
    made.dispose()
