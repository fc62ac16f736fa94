"""A CSV of scenarios in, the same rows with the columns of the contract out. One bad row spoils no other."""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TextIO

from app.columns import COLUMNS, Cell, as_json_values, as_text, columns_of
from app.documents import Parsed, flat_of
from app.planning.planner import CHEAPEST, Sources, plan, plan_many
from app.scenario import DEFAULTS, Problem, decode
from estimators.architecture import catalogue
from estimators.provenance import Refusal

log = logging.getLogger("rightsize")
LONGEST_CELL = 131_072
AT_A_TIME = 1000  # rows whose machines are weighed together
MOST_ROWS = 2_000  # of one call over HTTP; the command line takes files of any length
CALL_SECONDS = 10.0  # of one call over HTTP; rows that are left then say so
CALL_AT_A_TIME = 100  # rows of a call between two looks at the clock
LATE = "Not answered: the time of one call was spent before this row. Send fewer rows, or name the machine."
MOST_UNLISTED_MODELS = 5  # models outside of the catalogue in one call: each may be a question to the Hub

Row = Mapping[str, str]
Answers = Callable[[Iterable[Row], Sources], Iterable[Row]]


def together(rows: Iterable[Row], sources: Sources) -> Iterator[Row]:
    """The answers to all rows, made in this process, a few hundred at a time."""
    left = iter(rows)
    while some := list(islice(left, AT_A_TIME)):
        yield from answers_of(some, sources)


def run_json_batch(source: TextIO, target: TextIO, sources: Sources) -> Iterator[int]:
    """The same as a JSON list, a row a line: cells as they stand, answers with types. Raises as below."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(source)
    if not _header(reader):
        raise Refusal("The file has no header row.", field="cases", remedy="Name the columns, such as model,weights.")
    done, left = 0, _rows(reader)
    target.write("[")
    while rows := list(islice(left, AT_A_TIME)):
        for row, columns in zip(rows, worked_out([(_asked(row), ()) for row in rows], sources), strict=True):
            line = json.dumps({**row, **as_json_values(columns)}, allow_nan=False)
            target.write(f"{',' if done else ''}\n{line}")
            done += 1
            yield done
    target.write("\n]\n")


def run_batch(source: TextIO, target: TextIO, sources: Sources, answers: Answers = together) -> Iterator[int]:
    """Plan every row of `source` into `target`; yields the number of rows done. Raises `Refusal` for no header.

    `answers` makes the answers, in the order of the rows; a cluster can be put in its place.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(source)
    named = _header(reader)
    if not named:
        raise Refusal("The file has no header row.", field="cases", remedy="Name the columns, such as model,weights.")
    header = [*named, *(column for column in COLUMNS if column not in named)]
    writer = csv.DictWriter(target, fieldnames=header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    try:
        for done, row in enumerate(answers(_rows(reader), sources), start=1):
            writer.writerow(row)
            yield done
    except csv.Error as fault:
        raise Refusal(f"Line {reader.line_num} is no CSV: {fault}.", field="cases") from None


def _header(reader: csv.DictReader[str]) -> Sequence[str]:
    try:
        return reader.fieldnames or ()
    except csv.Error as fault:
        raise Refusal(f"The header is no CSV: {fault}.", field="cases") from None


def table_answers(table: str, sources: Sources) -> str:
    """A CSV with its answers, for HTTP. Raises `Refusal` for no header or rows, or too many rows or unknown models."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(io.StringIO(table))
    if not any(column in DEFAULTS for column in _header(reader)):
        raise Refusal("The table has no column of the vocabulary.", field="rows", remedy="Head one with model.")
    try:
        rows = list(islice(_rows(reader), MOST_ROWS + 1))
    except csv.Error as fault:
        raise Refusal(f"Line {reader.line_num} is no CSV: {fault}.", field="rows") from None
    if not rows:
        raise Refusal("The table has no rows.", field="rows")
    _check_bounds(rows)
    target = io.StringIO()
    for _ in run_batch(io.StringIO(table), target, sources, _filled_in_time):
        pass
    return target.getvalue()


def _filled_in_time(rows: Iterable[Row], sources: Sources) -> Iterator[Row]:
    kept = list(rows)
    found = in_time([(_asked(row), ()) for row in kept], sources)
    yield from (_filled(row, columns) for row, columns in zip(kept, found, strict=True))


def document_answers(rows: Sequence[Mapping[str, Parsed]], sources: Sources) -> list[dict[str, object]]:
    """The rows of a JSON document with their answers; other keys are carried through. Raises `Refusal` as above."""
    read = [flat_of({key: row[key] for key in row if key in (*DEFAULTS, "v")}, DEFAULTS, texts=False) for row in rows]
    _check_bounds([flat for flat, _ in read])
    found = in_time(read, sources)
    return [{**row, **as_json_values(columns)} for row, columns in zip(rows, found, strict=True)]


def in_time(
    asked: Sequence[tuple[Row, Sequence[Problem]]],
    sources: Sources,
    *,
    seconds: float = CALL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Mapping[str, Cell]]:
    """The columns of rows, some at a time, until the time of a call is spent; rows left have that as their error."""
    ends = clock() + seconds
    for first in range(0, len(asked), CALL_AT_A_TIME):
        some = asked[first : first + CALL_AT_A_TIME]
        if clock() < ends:
            yield from worked_out(some, sources)
        else:
            yield from (dict.fromkeys(COLUMNS) | {"error": LATE} for _ in some)


def _check_bounds(rows: Sequence[Row]) -> None:
    if len(rows) > MOST_ROWS:
        remedy = f"Send up to {MOST_ROWS:,}, or use the command line's batch."
        raise Refusal("There are too many rows for one call.", field="rows", remedy=remedy)
    named = {row.get("model", "").strip() for row in rows}
    unlisted = [model for model in named if "/" in model and catalogue.find(model.partition("@")[0]) is None]
    if len(unlisted) > MOST_UNLISTED_MODELS:
        raise Refusal(
            f"{len(unlisted)} models are outside of the catalogue.",
            field="model",
            remedy=f"Name up to {MOST_UNLISTED_MODELS} such in one call.",
        )


def _rows(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    try:
        for row in reader:
            yield {k: value or "" for k, value in row.items() if isinstance(k, str) and not isinstance(value, list)}
    except csv.Error as problem:  # a cell without end, a NUL
        remedy = f"Shorten it to {LONGEST_CELL:,} characters, or close its quotes."
        raise Refusal(f"Line {reader.line_num + 1} cannot be read: {problem}.", field="cases", remedy=remedy) from None


def answers_of(rows: Sequence[Row], sources: Sources) -> Iterator[dict[str, str]]:
    """Rows with their answers."""
    found = worked_out([(_asked(row), ()) for row in rows], sources)
    yield from (_filled(row, columns) for row, columns in zip(rows, found, strict=True))


def answer(row: Row, sources: Sources) -> dict[str, str]:
    """One row with its answer."""
    return _filled(row, alone(_asked(row), sources))


def worked_out(asked: Sequence[tuple[Row, Sequence[Problem]]], sources: Sources) -> Iterator[Mapping[str, Cell]]:
    """The columns of rows, planned together; with each come the faults found while it was read. Here a bad value or two
    keys of an exclusive group are an `error`."""
    decoded = [decode(row) for row, _ in asked]
    try:
        plans = plan_many([found.scenario for found in decoded], sources)
    except Exception:  # our own defect must not cost the other rows
        log.exception("some of %d rows failed together: each is tried alone", len(asked))
        yield from (alone(row, sources, faults) for row, faults in asked)
        return
    for (_, faults), found, made in zip(asked, decoded, plans, strict=True):
        yield columns_of(made, (*faults, *found.problems))


def alone(asked: Row, sources: Sources, faults: Sequence[Problem] = ()) -> Mapping[str, Cell]:
    """The columns of one row; of one that meets a defect, only that."""
    decoded = decode(asked)
    try:
        return columns_of(plan(decoded.scenario, sources, within=CHEAPEST), (*faults, *decoded.problems))
    except Exception as fault:
        log.exception("a row failed: %s", dict(asked))
        return dict.fromkeys(COLUMNS) | {"error": f"This row met a defect ({type(fault).__name__})."}


def _asked(row: Row) -> dict[str, str]:
    return {key: value for key, value in row.items() if (key in DEFAULTS or key == "v") and value.strip()}


def _filled(row: Row, result: Mapping[str, Cell]) -> dict[str, str]:
    return {**row, **{column: as_text(value) for column, value in result.items()}}
