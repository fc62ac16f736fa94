"""The database the stores share: `DATABASE_URL`, or SQLite in the user's data folder."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

_BUSY_SECONDS = 10  # how long a writer waits for another process before SQLite gives up


def database_url() -> str:
    """`DATABASE_URL`, else a SQLite file under `RIGHTSIZE_DATA` (default ~/.local/share/rightsize)."""
    configured = os.environ.get("DATABASE_URL")
    if configured:
        return configured.replace("postgres://", "postgresql+psycopg://", 1).replace(
            "postgresql://", "postgresql+psycopg://", 1
        )
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'rightsize.db'}"


def _folder() -> Path:
    return Path(os.environ.get("RIGHTSIZE_DATA") or Path.home() / ".local" / "share" / "rightsize")


def database_exists() -> bool:
    """Whether there is a database to read: a configured one, or the file of an earlier run."""
    return bool(os.environ.get("DATABASE_URL")) or (_folder() / "rightsize.db").exists()


@lru_cache(maxsize=4)
def open_engine(url: str) -> Engine:
    """An engine safe for several threads and processes: SQLite in WAL mode, a bounded pool elsewhere."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=5)
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection, _record) -> None:  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def engine() -> Engine:
    return open_engine(database_url())
