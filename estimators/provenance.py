"""Where numbers come from: terms that explain themselves, refusals that name a field, tables with a source per row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self


class Refusal(ValueError):
    """An input that cannot be used, said in a sentence a person can act on.

    `field` is the key of the public vocabulary (``model``, ``gpu``, ``kv`` ...) or the config field at fault;
    `remedy` says the way out. The root of every error this project raises on purpose.
    """

    def __init__(self, message: str, *, field: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.field = field
        self.message = message
        self.remedy = remedy

    def kept(self) -> Self:
        """Itself, fit to be kept: a traceback holds every frame it passed, and those all that was worked out there."""
        self.__context__ = None
        return self.with_traceback(None)


@contextmanager
def refusing(problem: type[Exception], refusal: Callable[[str], Refusal]) -> Iterator[None]:
    """Turns a library's error into a refusal made from the error's kind.

    Its words are not repeated: a database driver's can hold the server's address and user.
    """
    try:
        yield
    except problem as error:
        raise refusal(type(getattr(error, "orig", None) or error).__name__) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One explained number: what it is, how it was made and where its inputs come from."""

    label: str
    value: float
    unit: str  # "byte", "second", "USD", "token", "ratio" ...
    formula: str  # in symbols, then with the numbers filled in
    source: str  # publication, table row or measurement, with its date


def read_table(
    path: Path, *, required: tuple[str, ...] = ("source", "as_of"), key: tuple[str, ...] = ()
) -> Iterator[dict[str, str]]:
    """Rows of a facts table as dicts of stripped strings.

    `key` names the columns that say which fact a row states: of the rows that state one fact the newest counts, so
    that a correction is a new dated row. Raises `ValueError` naming the file when a column is missing, a required cell
    is empty, or two rows state one fact on one day.
    """
    rows = _rows(path, required, key)
    return rows if not key else iter(_newest(path, rows, key).values())


def _newest(path: Path, rows: Iterator[dict[str, str]], key: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, str]]:
    kept: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        fact = tuple(row[column] for column in key)
        known = kept.get(fact)
        if known is not None and known["as_of"] == row["as_of"]:
            raise ValueError(f"{path.name}: two rows of {', '.join(fact)} on {row['as_of']}")
        if known is None or known["as_of"] < row["as_of"]:
            kept[fact] = row
    return kept


def _rows(path: Path, required: tuple[str, ...], key: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = [column for column in (*required, *key) if column not in columns]
        if missing:
            raise ValueError(f"{path.name}: missing columns {missing}")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"{path.name}:{reader.line_num}: wrong number of cells")
            cells = {column: cell.strip() for column, cell in row.items()}
            for column in required:
                if not cells[column]:
                    raise ValueError(f"{path.name}:{reader.line_num}: empty {column!r}")
            yield cells


def number(cell: str) -> float | None:
    """A cell that holds a number, or nothing where it is not known."""
    return float(cell) if cell else None
