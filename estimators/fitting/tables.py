"""Where the tables lie: records a fit is made from and judged by, and the constants it writes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

_ESTIMATORS = Path(__file__).parents[1]
RECORDS = _ESTIMATORS / "fitting" / "data"  # measurements, and the held-out errors the Accuracy page shows
LATENCY_TABLES = _ESTIMATORS / "latency" / "data"  # constants, intervals and evidence of the speed estimates
MEMORY_TABLES = _ESTIMATORS / "memory" / "data"  # fitted constants of the engines' own memory


def write_table(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
