"""The bundled price table: dated rows with their sources, and the book made of the newest row for each offer."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pricing.instances import find_instance
from pricing.offers import Offer, PriceSource, PurchaseOption, is_stale
from pricing.table import OfferTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLE = Path(__file__).parent / "data" / "prices.csv"
MOST_REGIONS = "most-regions"  # a rate its source gives for "most regions" without naming them
UNNAMED = "public file"  # how the table writes a source it could not name: good to cross-check a row, weak alone


class PriceRow(NamedTuple):
    """One line of the table, as text: tens of thousands are read before the first page."""

    instance_type: str
    region: str
    option: str
    usd_per_hour: str  # empty means that it was no longer listed on this day
    upfront_usd: str  # empty means nothing upfront
    as_of: str  # YYYY-MM-DD, or YYYY-MM where the source says no more
    decimals: str  # digits after the point when the source rounded them, else empty
    source: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PricePoint:
    """What one source said on one date."""

    as_of: date
    usd_per_hour: Decimal
    origin: str


def read_rows(path: Path = TABLE) -> list[PriceRow]:
    """All rows of a price table; refuses a table whose columns are not the expected ones."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != PriceRow._fields:
            raise ValueError(f"{path.name}: columns are not {', '.join(PriceRow._fields)}")
        return [PriceRow._make(cells) for cells in reader]


def parse_date(text: str) -> date:
    """An ISO date; a month alone counts as its first day, so that its age is never understated."""
    return date.fromisoformat(text if len(text) > len("2026-01") else f"{text}-01")


def _spread_over_regions(row: PriceRow) -> Iterator[PriceRow]:
    """A "most regions" row once per region EC2 lists the type in, each saying that the region was not named."""
    if row.region != MOST_REGIONS:
        yield row
        return
    note = "its source gives this rate for most regions and does not name this one"
    for region in find_instance(row.instance_type).regions:
        yield row._replace(region=region, note=note)


def _names_its_source(row: PriceRow) -> bool:
    return not row.source.startswith(UNNAMED)


def _agree(one: PriceRow, other: PriceRow) -> bool:
    """The same price, as far as the coarser of two roundings can tell."""
    if not (one.usd_per_hour and other.usd_per_hour):
        return False
    digits = [int(row.decimals) for row in (one, other) if row.decimals]
    tolerance = Decimal(1).scaleb(-min(digits)) / 2 if digits else Decimal(0)
    return abs(Decimal(one.usd_per_hour) - Decimal(other.usd_per_hour)) <= tolerance


def newest(dated: list[PriceRow]) -> PriceRow:
    """The newest of the rows for one offer.

    Two refinements, both only where the prices agree: a row whose source can be looked up goes before a newer one whose
    source cannot, and a rounded price takes its digits from an exact one (13.9211 of 2026-06-15 from the 13.921094 of
    2026-01-21).
    """
    latest = max(dated, key=lambda row: row.as_of)
    if not _names_its_source(latest):
        named = [row for row in dated if _names_its_source(row) and _agree(row, latest)]
        latest = max(named, key=lambda row: row.as_of, default=latest)
    exact = [row for row in dated if latest.decimals and not row.decimals and _agree(row, latest)]
    if not exact:
        return latest
    best = max(exact, key=lambda row: row.as_of)
    source = f"{latest.source}, rounded; digits from {best.source} of {best.as_of}"
    return latest._replace(usd_per_hour=best.usd_per_hour, decimals="", source=source)


def _grouped(rows: Iterable[PriceRow]) -> dict[tuple[str, str, str], list[PriceRow]]:
    groups: defaultdict[tuple[str, str, str], list[PriceRow]] = defaultdict(list)
    for row in rows:
        for spread in _spread_over_regions(row):
            groups[spread[:3]].append(spread)
    return groups


@lru_cache(maxsize=1)
def _bundled() -> dict[tuple[str, str, str], list[PriceRow]]:
    return _grouped(read_rows())


def _offer(row: PriceRow, option: PurchaseOption, as_of: date, stale: bool) -> Offer:
    return Offer(
        instance_type=row.instance_type,
        region=row.region,
        option=option,
        usd_per_hour=Decimal(row.usd_per_hour),
        source=PriceSource.SNAPSHOT,
        as_of=as_of,
        origin=row.source,
        upfront_usd=Decimal(row.upfront_usd or 0),
        stale=stale,
        note=row.note,
    )


def _offers(chosen: Iterable[PriceRow], today: date) -> Iterator[Offer]:
    dates: dict[str, date] = {}
    options = {option.value: option for option in PurchaseOption}
    for row in chosen:
        if not row.usd_per_hour:
            continue  # no longer listed when it was last looked for
        as_of = dates.get(row.as_of) or dates.setdefault(row.as_of, parse_date(row.as_of))
        option = options[row.option]
        yield _offer(row, option, as_of, is_stale(option, as_of, today))


@lru_cache(maxsize=4)
def _snapshot(today: date) -> OfferTable:
    chosen = (dated[0] if len(dated) == 1 else newest(dated) for dated in _bundled().values())
    return OfferTable(_offers(chosen, today))


def load_snapshot(today: date | None = None) -> OfferTable:
    """The bundled book: for every type, region and option the newest dated row, marked stale beyond its age."""
    return _snapshot(today or datetime.now(UTC).date())


def snapshot_on(day: date) -> OfferTable:
    """The bundled book as it would have been on a day: only rows dated by then."""
    known = ([row for row in dated if parse_date(row.as_of) <= day] for dated in _bundled().values())
    return OfferTable(_offers((newest(dated) for dated in known if dated), day))


def snapshot_history(instance_type: str, region: str, option: PurchaseOption) -> tuple[PricePoint, ...]:
    """Every dated price the table holds for one offer, oldest first."""
    dated = _bundled().get((instance_type, region, option.value), [])
    points = [
        PricePoint(as_of=parse_date(row.as_of), usd_per_hour=Decimal(row.usd_per_hour), origin=row.source)
        for row in dated
        if row.usd_per_hour
    ]
    return tuple(sorted(points, key=lambda point: point.as_of))
