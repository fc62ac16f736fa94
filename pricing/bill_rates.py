"""Rates of what stands beside machines on a bill, where they are published: a control plane, transfer, support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from estimators.provenance import read_table

TABLE = Path(__file__).parent / "data" / "bill_rates.csv"
ANYWHERE = "any"
USUAL_REGION = "us-east-1"  # which every line that AWS bills has a rate in


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Dollars for each unit from this amount on, up to where the next band starts."""

    unit: str
    from_amount: Decimal
    usd: Decimal
    minimum_usd: Decimal  # of the whole line
    source: str
    as_of: date


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[tuple[frozenset[str], Band], ...]]:
    found: dict[str, list[tuple[frozenset[str], Band]]] = {}
    for row in read_table(TABLE, key=("line", "regions", "from_amount")):
        band = Band(
            unit=row["unit"],
            from_amount=Decimal(row["from_amount"]),
            usd=Decimal(row["usd"]),
            minimum_usd=Decimal(row["minimum_usd"] or 0),
            source=row["source"],
            as_of=date.fromisoformat(row["as_of"]),
        )
        found.setdefault(row["line"], []).append((frozenset(row["regions"].split("|")), band))
    return {line: tuple(bands) for line, bands in found.items()}


def bands_of(line: str, region: str) -> tuple[Band, ...]:
    """The bands of a line in a region, from the first unit up; none where no rate is known there."""
    found = (band for regions, band in _table().get(line, ()) if regions & {ANYWHERE, region})
    return tuple(sorted(found, key=lambda band: band.from_amount))


def banded_usd(bands: Sequence[Band], amount: Decimal) -> Decimal:
    """Each part of the amount at its band's rate, the minimum at least.

    Business Support+ on $100,000 a month: 10,000 x 9 % + 70,000 x 7 % + 20,000 x 5 % = $6,800; on $100, $29.
    """
    ends = [band.from_amount for band in bands[1:]]
    starts = [band.from_amount for band in bands]
    parts = zip(bands, pairwise([*starts, max(amount, *ends, starts[0])]), strict=True)
    usd = sum((band.usd * max(Decimal(0), min(amount, end) - start) for band, (start, end) in parts), Decimal(0))
    return max(usd, bands[0].minimum_usd)
