"""The database the stores share: `DATABASE_URL`, or SQLite in the user's data folder. None of its calls waits for long.

A database that does not answer is asked again after a pause, so it comes back by itself when it does.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import NullPool

from estimators.provenance import Refusal

log = logging.getLogger("rightsize")

BUSY_S = 3.0  # how long a writer waits for another process before SQLite gives up
CONNECT_S = 3.0
PING_S = 1.0  # of a connection that was kept
ANSWER_S = 4.0  # of all statements of a transaction
REST_S = 10.0  # after a failure to connect or to answer, nobody tries again for this long
_HOST = re.compile(r"[A-Za-z0-9._:/%\[\]-]*")


class BadDatabaseUrl(Refusal):
    """`DATABASE_URL` names no database this tool can use. Its text is not repeated: it may hold a password."""

    def __init__(self, why: str) -> None:
        remedy = (
            "Write it as postgresql://user:password@host:5432/name or sqlite:////folder/file.db; in a password write "
            "@ as %40, : as %3A, / as %2F."
        )
        super().__init__(f"DATABASE_URL cannot be used: {why}.", field="database", remedy=remedy)


def database_url() -> URL:
    """`DATABASE_URL`, else a SQLite file under `RIGHTSIZE_DATA` (default ~/.local/share/rightsize).

    Raises `Refusal`.
    """
    configured = os.environ.get("DATABASE_URL", "").strip()
    if not configured:
        folder = _folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            why = f"The folder {folder} cannot be made ({problem.strerror or 'no reason given'})."
            raise Refusal(why, field="database", remedy="Set RIGHTSIZE_DATA or DATABASE_URL.") from None
        return URL.create("sqlite", database=str(folder / "rightsize.db"))
    return _read(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", configured))


def _read(text: str) -> URL:
    try:
        url = make_url(text)
        backend, port = url.get_backend_name(), url.port
    except (ArgumentError, ValueError):
        raise BadDatabaseUrl("it is no address of a database") from None
    if backend not in ("sqlite", "postgresql"):
        raise BadDatabaseUrl("it is of neither SQLite nor PostgreSQL")
    if not _HOST.fullmatch(url.host or "") or (port is not None and not 0 < port < 1 << 16):
        raise BadDatabaseUrl("the host it names is none; a character of the password may need to be written otherwise")
    return url


def _folder() -> Path:
    return Path(os.environ.get("RIGHTSIZE_DATA") or Path.home() / ".local" / "share" / "rightsize")


def database_exists() -> bool:
    """Whether there is a database to read: a configured one, or the file of an earlier run."""
    return bool(os.environ.get("DATABASE_URL")) or (_folder() / "rightsize.db").exists()


def patient_engine() -> Engine:
    """An engine without the limits of the dashboard's, for one connection. Raises as `engine` does."""
    url = database_url()
    open_engine(url.render_as_string(hide_password=False))  # says what is wrong with an address
    return create_engine(url, poolclass=NullPool)


def engine() -> Engine:
    """The engine of this process. Raises `Refusal` for an address that is none; nothing is contacted yet."""
    return open_engine(database_url().render_as_string(hide_password=False))


@lru_cache(maxsize=4)
def open_engine(url: str) -> Engine:
    """An engine safe for several threads and processes: SQLite in WAL mode, a bounded pool elsewhere."""
    try:
        if make_url(url).get_backend_name() == "sqlite":
            return _sqlite(url)
        return _postgresql(url)
    except (ArgumentError, ImportError, TypeError, ValueError):
        raise BadDatabaseUrl("no driver takes it as it is written") from None


def _sqlite(url: str) -> Engine:
    made = create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False}, pool_timeout=BUSY_S)
    path = made.url.database

    @event.listens_for(made, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        record.info["file"] = _identity(path)

    @event.listens_for(made, "checkout")
    def _is_still_there(_connection: Any, record: Any, _proxy: Any) -> None:
        """What is written to a file that was deleted or replaced is lost without a word."""
        if record.info.get("file") != _identity(path):
            log.warning("the database's file was deleted or replaced; it is opened anew")
            raise DisconnectionError

    return made


def _identity(path: str | None) -> tuple[int, int] | None:
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql(url: str) -> Engine:
    limits = {"connect_timeout": int(CONNECT_S), "keepalives_idle": 30}
    made = create_engine(url, connect_args=limits, pool_size=5, max_overflow=5, pool_timeout=CONNECT_S)
    rests_until = 0.0

    def rest() -> None:
        nonlocal rests_until
        rests_until = time.monotonic() + REST_S

    def check_rest() -> None:
        if time.monotonic() < rests_until:
            raise made.dialect.loaded_dbapi.OperationalError("did not answer a moment ago")

    @event.listens_for(made, "do_connect")
    def _connect(dialect: Any, _record: Any, words: Any, parameters: Any) -> Any:
        check_rest()
        try:
            return dialect.connect(*words, **parameters)
        except dialect.loaded_dbapi.Error:
            rest()
            raise

    @event.listens_for(made, "connect")
    def _limit(connection: Any, _record: Any) -> None:
        with hung_up_after(connection, PING_S + CONNECT_S, rest):
            connection.execute(f"SET statement_timeout = {ANSWER_S * 1e3:.0f}")
            connection.commit()

    @event.listens_for(made, "checkout")
    def _watch(connection: Any, record: Any, _proxy: Any) -> None:
        check_rest()
        try:
            with hung_up_after(connection, PING_S, rest):
                connection.execute("SELECT 1")
                connection.rollback()
        except made.dialect.loaded_dbapi.Error:
            check_rest()
            raise DisconnectionError from None  # closed by the server meanwhile: connect anew
        record.info["watch"] = _timer(connection, ANSWER_S, rest)

    @event.listens_for(made, "checkin")
    @event.listens_for(made, "invalidate")
    def _unwatch(_connection: Any, record: Any, *_: Any) -> None:
        if (timer := record.info.pop("watch", None)) is not None:
            timer.cancel()

    return made


@contextmanager
def hung_up_after(connection: Any, seconds: float, late: Any) -> Iterator[None]:
    """Ends a wait for a server that is stopped: it answers no cancellation, and the driver waits for ever."""
    timer = _timer(connection, seconds, late)
    try:
        yield
    finally:
        timer.cancel()


def _timer(connection: Any, seconds: float, late: Any) -> threading.Timer:
    def hang_up() -> None:
        late()
        with suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)  # unless it is closed already

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    return timer
