"""How wide the quality evidence's intervals are, made anew: `python -m estimators.fitting.quality_intervals`.

Each width is the 80th percentile of errors that the published recoveries themselves show.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from estimators.provenance import read_table
from estimators.quality.evidence import repeat_noise
from estimators.quality.recovery import Level, leave_one_out
from estimators.quality.tasks import DATA

TABLE = DATA / "intervals.csv"
COLUMNS = ("level", "width", "value", "unit", "cases", "source", "as_of")
LEVELS, WIDTHS = (Level.FAMILY, Level.SIZE_CLASS), ("8-bit", "4-bit", "other")


def widths(today: str) -> Iterator[dict[str, str]]:
    """A row per level and width that has cases; one whose value is as it was keeps its date."""
    dates = {tuple(row[key] for key in COLUMNS[:-1]): row["as_of"] for row in read_table(TABLE)}
    for row in _rows():
        yield dict(zip(COLUMNS, (*row, dates.get(row, today)), strict=True))


def _rows() -> Iterator[tuple[str, ...]]:
    noise = repeat_noise()
    of = "80th percentile of estimators.quality"
    said = f"{of}.evidence.repeat_noise over the FP8 rows of recovery.csv"
    yield "exact", "repeat", f"{_p80(noise):.3f}", "standard errors of two independent runs", str(len(noise)), said
    for level in LEVELS:
        for width in WIDTHS:
            if errors := leave_one_out(level, width):
                said = f"{of}.recovery.leave_one_out over recovery.csv"
                yield level.value, width, f"{_p80(errors):.4f}", "ratio", str(len(errors)), said


def _p80(ordered: Sequence[float]) -> float:
    return ordered[math.ceil(0.8 * len(ordered)) - 1]


def main() -> None:
    made = list(widths(f"{datetime.now(UTC):%Y-%m-%d}"))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)


if __name__ == "__main__":
    main()
