"""AWS regions: their names, and where data in them lies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from estimators.provenance import read_table

TABLE = Path(__file__).parent / "data" / "regions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region. `area` groups regions for data residency; whether a law is met is for the reader to judge."""

    region: str  # us-east-1
    name: str  # US East (N. Virginia)
    country: str
    area: str  # European Union, United States, Asia Pacific ...
    partition: str  # aws, aws-us-gov


@lru_cache(maxsize=1)
def _by_code() -> dict[str, Region]:
    fields = ("region", "name", "country", "area", "partition")
    rows = read_table(TABLE, required=(*fields, "source", "as_of"), key=("region",))
    return {row["region"]: Region(**{field: row[field] for field in fields}) for row in rows}


def regions() -> tuple[Region, ...]:
    """Every region known, in alphabetical order of its code."""
    return tuple(_by_code().values())


def regions_within(areas: frozenset[str] | None) -> frozenset[str]:
    """Codes of the regions in some areas, for a data-residency filter; None allows every region."""
    return frozenset(region.region for region in regions() if areas is None or region.area in areas)


def region_label(code: str) -> str:
    """ "eu-west-2 London, Europe outside the EU": found by its code, its city and where data in it lies."""
    known = _by_code().get(code)
    if known is None:
        return code
    city = known.name.partition("(")[2].rstrip(")") or known.name
    return f"{code} {city}, {known.area}"
