"""A CSV of scenarios in, the same rows with the columns of the contract out. One bad row spoils no other."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TextIO

from app.columns import COLUMNS, Cell, as_text, columns_of
from app.planning.planner import Sources, plan, plan_many
from app.scenario import DEFAULTS, decode
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")
LONGEST_CELL = 131_072
AT_A_TIME = 1000  # rows whose machines are weighed together

Row = Mapping[str, str]
Answers = Callable[[Iterable[Row], Sources], Iterable[Row]]


def together(rows: Iterable[Row], sources: Sources) -> Iterator[Row]:
    """The answers to all rows, made in this process, a few hundred at a time."""
    left = iter(rows)
    while some := list(islice(left, AT_A_TIME)):
        yield from answers_of(some, sources)


def run_batch(source: TextIO, target: TextIO, sources: Sources, answers: Answers = together) -> Iterator[int]:
    """Plan every row of `source` into `target`; yields the number of rows done. Raises `Refusal` for no header.

    `answers` makes the answers, in the order of the rows; a cluster can be put in its place.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(source)
    try:
        named = reader.fieldnames
    except csv.Error as problem:
        raise Refusal(f"The header cannot be read: {problem}.", field="cases") from None
    if not named:
        raise Refusal("The file has no header row.", field="cases", remedy="Name the columns, such as model,weights.")
    header = [*named, *(column for column in COLUMNS if column not in named)]
    writer = csv.DictWriter(target, fieldnames=header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for done, row in enumerate(answers(_rows(reader), sources), start=1):
        writer.writerow(row)
        yield done


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    try:
        for row in reader:
            yield {k: value or "" for k, value in row.items() if isinstance(k, str) and not isinstance(value, list)}
    except csv.Error as problem:  # a cell without end, a NUL
        remedy = f"Shorten it to {LONGEST_CELL:,} characters, or close its quotes."
        raise Refusal(f"Line {reader.line_num + 1} cannot be read: {problem}.", field="cases", remedy=remedy) from None


def answers_of(rows: Sequence[Row], sources: Sources) -> Iterator[dict[str, str]]:
    """Rows with their answers. Here a bad value or two keys of an exclusive group are an `error`."""
    decoded = [decode(_asked(row)) for row in rows]
    try:
        plans = plan_many([found.scenario for found in decoded], sources)
    except Exception:  # our own defect must not cost the other rows
        log.exception("some of %d rows failed together: each is tried alone", len(rows))
        for row in rows:
            yield answer(row, sources)
        return
    for row, found, made in zip(rows, decoded, plans, strict=True):
        yield _filled(row, columns_of(made, found.problems))


def answer(row: Row, sources: Sources) -> dict[str, str]:
    """One row with its answer."""
    asked = _asked(row)
    decoded = decode(asked)
    try:
        result = columns_of(plan(decoded.scenario, sources, whole=False), decoded.problems)
    except Exception as fault:
        log.exception("a row failed: %s", dict(asked))
        result = dict.fromkeys(COLUMNS) | {"error": f"This row met a defect ({type(fault).__name__})."}
    return _filled(row, result)


def _asked(row: Row) -> dict[str, str]:
    return {key: value for key, value in row.items() if (key in DEFAULTS or key == "v") and value.strip()}


def _filled(row: Row, result: Mapping[str, Cell]) -> dict[str, str]:
    return {**row, **{column: as_text(value) for column, value in result.items()}}
