"""80 % intervals: how far estimates were from measurements of models and accelerators left out of the fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.latency.estimate import Interval
from estimators.provenance import read_table

_TABLE = Path(__file__).parent / "data" / "intervals.csv"
_UNCALIBRATED = (-0.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """10 % and 90 % quantiles of log(measured / estimated), widened, and how many held-out rows they come from."""

    low: float
    high: float
    rows: int
    cell: str


@cache
def spreads() -> Mapping[tuple[str, str, str, str], Spread]:
    if not _TABLE.exists():
        return {}
    return {
        (row["kind"], row["metric"], row["evidence"], row["path"]): Spread(
            low=float(row["q10"]), high=float(row["q90"]), rows=int(row["rows"]), cell="/".join(
                (row["kind"], row["metric"], row["evidence"], row["path"])
            ),
        )
        for row in read_table(_TABLE)
    }  # fmt: skip


@cache
def find_spread(kind: str, metric: str, evidence: str, path: str) -> Spread:
    """The narrowest cell with rows: kind, metric, evidence and path; then without path; then without evidence."""
    table = spreads()
    for key in ((kind, metric, evidence, path), (kind, metric, evidence, ""), (kind, metric, "", "")):
        found = table.get(key)
        if found is not None:
            return found
    return Spread(low=_UNCALIBRATED[0], high=_UNCALIBRATED[1], rows=0, cell="none")


def around(value: float, spread: Spread, floor: float = 0.0) -> Interval:
    """[value e^q10, value e^q90], containing the value and not reaching below the physical floor."""
    low = max(floor, value * math.exp(min(0.0, spread.low)))
    return Interval(value=value, low=min(low, value), high=value * math.exp(max(0.0, spread.high)))


def rate_around(value: float, spread: Spread, ceiling: float = math.inf) -> Interval:
    """The same for a rate, whose ceiling is the floor of its time."""
    high = min(ceiling, value * math.exp(max(0.0, spread.high)))
    return Interval(value=value, low=value * math.exp(min(0.0, spread.low)), high=max(high, value))
