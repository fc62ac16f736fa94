"""A CSV of scenarios in, the same rows with the columns of the contract out. One bad row spoils no other."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TextIO

from app.columns import COLUMNS, as_text, columns_of
from app.planning.planner import Sources, plan
from app.scenario import DEFAULTS, decode
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")
LONGEST_CELL = 131_072

Row = Mapping[str, str]
Answers = Callable[[Iterable[Row], Sources], Iterable[Row]]


def one_by_one(rows: Iterable[Row], sources: Sources) -> Iterator[Row]:
    """The answers to all rows, made in this process."""
    for row in rows:
        yield answer(row, sources)


def run_batch(source: TextIO, target: TextIO, sources: Sources, answers: Answers = one_by_one) -> Iterator[int]:
    """Plan every row of `source` into `target`; yields the number of rows done. Raises `Refusal` for no header.

    `answers` makes the answers, in the order of the rows; a cluster can be put in its place.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(source)
    if not reader.fieldnames:
        raise Refusal("The file has no header row.", field="cases", remedy="Name the columns, such as model,weights.")
    header = [*reader.fieldnames, *(column for column in COLUMNS if column not in reader.fieldnames)]
    writer = csv.DictWriter(target, fieldnames=header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for done, row in enumerate(answers(_rows(reader), sources), start=1):
        writer.writerow(row)
        yield done


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    for row in reader:
        yield {key: value or "" for key, value in row.items() if isinstance(key, str) and not isinstance(value, list)}


def answer(row: Mapping[str, str], sources: Sources) -> dict[str, str]:
    """One row with its answer. Here a bad value or two keys of an exclusive group are an `error`."""
    asked = {key: value for key, value in row.items() if (key in DEFAULTS or key == "v") and value.strip()}
    decoded = decode(asked)
    try:
        result = columns_of(plan(decoded.scenario, sources), decoded.problems)
    except Exception as fault:  # our own defect must not cost the other rows
        log.exception("a row failed: %s", dict(asked))
        result = dict.fromkeys(COLUMNS) | {"error": f"This row met a defect ({type(fault).__name__})."}
    return {**row, **{column: as_text(value) for column, value in result.items()}}
