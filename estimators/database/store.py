"""What every store of the database does the same: one transaction at a time, on a schema that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from estimators.database.schema import bring_up
from estimators.provenance import Refusal, refusing


class Store:
    """Rows in a database that several processes share. `unavailable` makes the refusal from the kind of an error."""

    def __init__(self, engine: Engine, unavailable: Callable[[str], Refusal]) -> None:
        self._engine = engine
        self._unavailable = unavailable
        self._made = False  # the tables, as far as this process knows

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with refusing(SQLAlchemyError, self._unavailable):
                if not self._made:
                    bring_up(self._engine)
                    self._made = True
                with self._engine.begin() as connection:
                    yield connection
        except Refusal:
            self._made = False  # it may be another database, or a new file, when it is back
            raise

    def create(self) -> None:
        """Makes the tables unless they are there, as every other call does that finds none made."""
        with self._transaction():
            pass
