"""Check published measurements and append them to the table the fit reads: `python -m tools.add_measured rows.csv`.

rows.csv has the columns of estimators/fitting/data/measured.csv. An empty id is made from the row; an id that is there
already corrects that row, and needs a later as_of. Nothing is written unless every row passes and --write is given.
Afterwards `make calibrate accuracy` fits anew and scores the fit.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from estimators.engines.defaults import engine_defaults
from estimators.engines.versions import read_version
from estimators.fitting.latency_cases import floor_of, make_case
from estimators.fitting.latency_measured import MEASURED, row_of, table
from estimators.provenance import Refusal

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
FIGURES = ("ttft_s", "tpot_s", "e2e_s", "output_tok_per_s", "req_per_s")
SPLIT = ("gpus", "tp", "pp", "ep")
NEEDED = (
    "model",
    "config",
    "precision",
    "accelerator",
    *SPLIT,
    "engine",
    "kind",
    "prompt_tokens",
    "output_tokens",
    "publication",
    "source",
)
NUMBERS = (*SPLIT, *FIGURES, "prompt_tokens", "output_tokens", "concurrency", "rate_per_s", "batched_tokens", "running",
           "requests")  # fmt: skip
# What says how much is asked of the server at once, by kind; what else stands there is a contradiction.
LOADS = {
    "single_stream": "concurrency",
    "concurrency": "concurrency",
    "static_batch": "concurrency",
    "open_loop": "rate_per_s",
    "max_throughput": "",
}
NOT_THE_CASE = (*FIGURES, "id", "publication", "date", "statistic", "assumed", "source", "as_of", "note")
LITTLE = 2.0  # in flight by Little's law over what is stated: 5 of 1,163 rows are further off, 2 of them proven wrong
APART = 2.0  # two publications of one case

Cells = Mapping[str, str]


@dataclass(slots=True)
class Known:
    """What the table holds already, and what was read of the new file so far."""

    days: dict[str, str] = field(default_factory=dict)  # id -> as_of
    cases: dict[tuple[str, ...], list[Cells]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Cells]) -> Known:
        known = cls()
        for row in rows:
            known.take(row)
        return known

    def take(self, row: Cells) -> None:
        self.days[row["id"]] = row["as_of"]
        self.cases.setdefault(case_of(row), []).append(row)


def case_of(row: Cells) -> tuple[str, ...]:
    """Everything but what came out and who says so."""
    return tuple(cell for name, cell in row.items() if name not in NOT_THE_CASE)


def made_id(row: Cells) -> str:
    """Twelve hexadecimal digits of everything but the note and the day."""
    said = "|".join(cell for name, cell in row.items() if name not in ("id", "note", "as_of"))
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def faults(row: Cells, known: Known) -> Iterator[str]:
    """Why a row cannot enter the fit. Each a sentence; none for a row that can."""
    missing = [name for name in NEEDED if not row[name]]
    if missing:
        yield f"no {', '.join(missing)}"
    if not DAY.fullmatch(row["as_of"]):
        yield f"as_of is {row['as_of']!r}, not a day as 2026-11-21"
    if row["id"] in known.days and row["as_of"] <= known.days[row["id"]]:
        yield f"{row['id']} is there already, of {known.days[row['id']]}; a correction has a later as_of"
    wrong = [name for name in NUMBERS if row[name] and not _positive(row[name])]
    if wrong:
        yield f"no positive number in {', '.join(wrong)}"
    if not any(row[name] for name in FIGURES):
        yield f"none of {', '.join(FIGURES)} is given"
    if row["kind"] not in LOADS:
        yield f"kind is {row['kind']!r}; known are {', '.join(LOADS)}"
    else:
        yield from _load_faults(row)
    if any(same_figures(row, other) for other in known.cases.get(case_of(row), ()) if other["id"] != row["id"]):
        yield "this case with these very figures is there already"
    if not (missing or wrong) and row["kind"] in LOADS:
        yield from physical_faults(row)


def _positive(cell: str) -> bool:
    try:
        return 0 < float(cell) < float("inf")
    except ValueError:
        return False


def _load_faults(row: Cells) -> Iterator[str]:
    stated = LOADS[row["kind"]]
    for name in ("concurrency", "rate_per_s"):
        if bool(row[name]) != (name == stated):
            yield f"{row['kind']} {'needs' if name == stated else 'has no'} {name}"
    if row["kind"] == "single_stream" and row["concurrency"] not in ("", "1"):
        yield "single_stream is one request in flight"


def same_figures(row: Cells, other: Cells) -> bool:
    return all(row[name] == other[name] for name in FIGURES)


def physical_faults(row: Cells) -> Iterator[str]:
    """What the estimators refuse of the case, and figures that no chip of the data sheet can reach."""
    try:
        found = row_of(dict(row))
        chip = found.accelerator
        engine_defaults(found.engine, read_version(found.version or None), chip.name, chip.memory_bytes)
    except (Refusal, ValueError) as problem:
        yield str(problem)
        return
    case = make_case(found)
    if case is None:
        yield "no shard of this model can be built on this accelerator at this split"
        return
    for metric, seconds in (("ttft", found.ttft_s), ("tpot", found.tpot_s), ("e2e", found.e2e_s)):
        if seconds is not None and seconds < (least := floor_of(case, metric)):
            yield f"{metric} {seconds:.4g} s is below the physical floor of {least:.4g} s"
    requests = found.req_per_s or (found.output_tok_per_s or 0.0) / found.workload.output_tokens
    if requests > (most := floor_of(case, "throughput")):
        yield f"{requests:.4g} requests/s are above the physical ceiling of {most:.4g}"


def remarks(row: Cells, known: Known) -> Iterator[str]:
    """What a person should look at before believing a row, though it may be true."""
    ratio = in_flight(row)
    if ratio is not None and not 1 / LITTLE <= ratio <= LITTLE:
        yield f"Little's law: its figures mean {ratio:.2g} times the {row['concurrency']} requests it states in flight"
    for other in known.cases.get(case_of(row), ()):
        for name in FIGURES:
            if row[name] and other[name] and other["id"] != row["id"]:
                apart = float(row[name]) / float(other[name])
                if not 1 / APART <= apart <= APART:
                    yield f"{name} is {apart:.2g} times what {other['source']} says of this case"


def in_flight(row: Cells) -> float | None:
    """Requests a second times seconds of a request, over the requests stated; None where that is not printed."""
    if LOADS.get(row["kind"]) != "concurrency" or row["kind"] == "static_batch":
        return None
    output = float(row["output_tokens"])
    per_second = float(row["req_per_s"] or 0) or float(row["output_tok_per_s"] or 0) / output
    seconds = float(row["e2e_s"] or 0)
    if not seconds and row["ttft_s"] and row["tpot_s"]:
        seconds = float(row["ttft_s"]) + (output - 1) * float(row["tpot_s"])
    return per_second * seconds / float(row["concurrency"]) if per_second and seconds else None


def columns() -> tuple[str, ...]:
    with MEASURED.open(newline="", encoding="utf-8") as file:
        return tuple(next(csv.reader(file)))


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file in the table's columns, each with an id."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != columns():
            remedy = f"They are {','.join(columns())}."
            raise Refusal(f"The columns of {path.name} are not the table's.", field="columns", remedy=remedy)
        rows = [{name: (cell or "").strip() for name, cell in row.items() if name} for row in reader]
    return [row | {"id": row["id"] or made_id(row)} for row in rows]


def checked(rows: Sequence[Cells], known: Known) -> bool:
    """Prints what is wrong or odd with each row; whether all may enter."""
    clean = True
    for number, row in enumerate(rows, start=2):
        found = list(faults(row, known))
        for sentence in found:
            print(f"line {number}: {sentence}")
        if not found:
            for sentence in remarks(row, known):
                print(f"line {number}: look again: {sentence}")
        clean = clean and not found
        known.take(row)
    return clean


def main(words: Sequence[str] | None = None, path: Path = MEASURED) -> int:
    parser = argparse.ArgumentParser(prog="tools.add_measured", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", type=Path, metavar="rows.csv")
    parser.add_argument("--write", action="store_true", help="append them when every row passes")
    asked = parser.parse_args(words)
    try:
        rows = read(asked.rows)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    if not checked(rows, Known.of(table())):
        print("nothing was written", file=sys.stderr)
        return 2
    if asked.write:
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns(), lineterminator="\n").writerows(rows)
    print(f"{len(rows)} rows {'appended' if asked.write else 'would pass'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
