"""Which calibration a figure was computed with: the tables it rests on, and the record of those this page has had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from estimators.fitting.tables import RECORDS
from estimators.provenance import read_table

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).parent / "data" / "calibrations.csv"
LAUNCH = Path("estimators/launch/data")
PRICES = "prices.csv"  # how the books of prices end


class Standing(StrEnum):
    """What a link's version is to us."""

    CURRENT = "current"
    EARLIER = "earlier"
    UNKNOWN = "unknown"  # of a newer version than this one, or invented


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A version that links were made with, and the figures it gave of the reference plans ("" where none were kept)."""

    formula: str
    since: date
    figures: str


def tables(root: Path = ROOT) -> Iterator[Path]:
    """Every table under a `data` folder that a figure may rest on.

    Not the records only maintainers' fits read: what they change arrives in the fitted tables. Not the books of
    prices: a decision is computed at the price in its own link, and what the market did since is told from the price
    history; a refreshed book is no new calibration. Not what only a start command names: arguments and heads. Not the
    record of calibrations, which would change itself.
    """
    for package in ("app", "estimators", "pricing"):
        for path in (root / package).rglob("data/*"):
            within = path.relative_to(root)
            others = RECORDS.relative_to(ROOT), LAUNCH
            left_out = within == RECORD.relative_to(ROOT) or within.parent in others
            if path.suffix in (".csv", ".jsonl") and not path.name.endswith(PRICES) and not left_out:
                yield path


def digest_of(paths: Iterable[Path]) -> str:
    """Eight hex digits of what the tables hold. A table that moves house or is renamed is the same table."""
    held = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return hashlib.sha256("".join(held).encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def recorded() -> Mapping[str, Calibration]:
    """The versions that links were made with, oldest first. Kept by `python -m app.exploring.record_calibration`."""
    return {
        row["formula"]: Calibration(
            formula=row["formula"], since=date.fromisoformat(row["as_of"]), figures=row["figures"]
        )
        for row in read_table(RECORD, required=("formula", "source", "as_of"))
    }


def version_of(digest: str, known: Iterable[str]) -> str:
    """ "2-3f9c21aa": the tables' digest, and which formulas read them; 1 until a formula changes and no table does."""
    numbers = [int(version.partition("-")[0]) for version in known if version.partition("-")[2] == digest]
    return f"{max(numbers, default=1)}-{digest}"


@lru_cache(maxsize=1)
def formula_version() -> str:
    """The version of formulas and tables that this page computes with."""
    return version_of(digest_of(tables()), recorded())


def standing_of(formula: str) -> Standing:
    if formula == formula_version():
        return Standing.CURRENT
    return Standing.EARLIER if formula in recorded() else Standing.UNKNOWN
