"""The schema, brought to what this version needs by the numbered revisions of `migrations`, which alembic runs.

A database of a newer version is used as it is: revisions only add, so versions on either side of one run at a time.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

log = logging.getLogger("rightsize")

metadata = sa.MetaData()  # of all stores: what the revisions together make
MIGRATIONS = Path(__file__).with_name("migrations")
TURN = 0x72696768  # the advisory lock of PostgreSQL that whoever changes the schema holds
_THREAD = threading.Lock()  # alembic's context is one for the process


@lru_cache(maxsize=1)
def newest() -> str:
    """The last revision of this version. Alembic is loaded only where something is to be done."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision(connection: Connection) -> str:
    """The revision a database has; empty for a new one, and for one made before revisions were counted."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""


def bring_up(engine: Engine) -> tuple[str, str]:
    """Runs the revisions a database lacks, in one transaction; (revision before, after).

    Of several processes and threads one does it, and the others wait. Raises the driver's error, and then nothing is
    changed.
    """
    with engine.connect() as connection:
        before = revision(connection)
    if before >= newest():
        return before, before
    with _THREAD, engine.connect() as connection:
        _take_turn(connection)
        before = revision(connection)
        if before < newest():
            try:
                _upgrade(connection)
            except SQLAlchemyError as fault:
                log.warning(
                    "the database's tables stay at revision %s (%s): run `migrate` as one who may change them",
                    before or "none",
                    type(fault).__name__,
                )
                raise
        connection.commit()
        return before, revision(connection)


def _take_turn(connection: Connection) -> None:
    """Held until the transaction ends; nothing waits longer for it than the engine's own limit."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver begins none before a change of the schema
    else:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(TURN)))


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
