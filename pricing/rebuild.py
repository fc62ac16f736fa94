"""Building the bundled tables anew: prices from live readings, where every row keeps its source and date and history
stays; instance types from what EC2 says of them."""

from __future__ import annotations

import csv
import os
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pricing.aws.errors import AwsError
from pricing.aws.instance_types import read_instance_types
from pricing.instances import TABLE as INSTANCES
from pricing.instances import Instance, instances
from pricing.offers import Listing, PurchaseOption
from pricing.reading import Progress, no_progress
from pricing.refresh import RegionReport, read_region
from pricing.snapshot import TABLE, PriceRow, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from pricing.aws.clients import AwsClients
    from pricing.offers import Offer
    from pricing.reading import PriceReader, PriceReading

# Spot prices are too old by the time a release is out.
SNAPSHOT_LISTINGS = (Listing.PRICE_LIST, Listing.SAVINGS_PLANS, Listing.CAPACITY_BLOCKS)
GONE = ""  # the price of a row that says an offer was no longer listed
INSTANCE_COLUMNS = (
    "instance_type", "accelerator", "accelerator_count", "accelerator_memory_gib", "partition", "vcpus", "memory_gib",
    "network_gbps", "local_storage", "usage_classes", "regions", "source", "as_of", "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """How a rebuild went."""

    rows_before: int
    rows_after: int
    reports: tuple[RegionReport, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """Sentences about regions or listings that could not be read; their old rows stayed."""
        return tuple(f"{report.region}: {error}" for report in self.reports for error in report.errors)


def _row(offer: Offer, day: str) -> PriceRow:
    return PriceRow(
        instance_type=offer.instance_type,
        region=offer.region,
        option=offer.option.value,
        usd_per_hour=format(offer.usd_per_hour.normalize(), "f"),
        upfront_usd=format(offer.upfront_usd.normalize(), "f") if offer.upfront_usd else "",
        as_of=day,
        decimals="",
        source=offer.origin,
        note=offer.note,
    )


def _gone(row: PriceRow, reading: PriceReading) -> PriceRow:
    day = reading.read_at.date().isoformat()
    return row._replace(
        usd_per_hour=GONE, upfront_usd="", as_of=day, decimals="", source=reading.origin, note="no longer listed"
    )


def _same(one: PriceRow, other: PriceRow) -> bool:
    return (one.usd_per_hour, one.upfront_usd, one.decimals) == (other.usd_per_hour, other.upfront_usd, other.decimals)


def _added(dated: list[PriceRow], row: PriceRow) -> list[PriceRow]:
    """The rows with a newer one. Of a run of equal prices the first and the last are enough, and a day has one row."""
    dated = sorted((old for old in dated if old.as_of != row.as_of), key=lambda old: old.as_of)
    if len(dated) >= 2 and _same(dated[-1], row) and _same(dated[-2], row):
        dated = dated[:-1]
    return [*dated, row]


def with_reading(rows: Iterable[PriceRow], reading: PriceReading) -> list[PriceRow]:
    """A table with a reading's prices as its newest rows; what a complete reading lacks gets a row that says so."""
    by_key: defaultdict[tuple[str, str, str], list[PriceRow]] = defaultdict(list)
    for row in rows:
        by_key[row.instance_type, row.region, row.option].append(row)
    day = reading.read_at.date().isoformat()
    read = set()
    for offer in reading.offers:
        key = (offer.instance_type, offer.region, offer.option.value)
        read.add(key)
        by_key[key] = _added(by_key[key], _row(offer, day))
    if reading.complete:
        covered = {option.value for option in PurchaseOption if option.listing is reading.listing}
        for key in [key for key in by_key if key[1] == reading.region and key[2] in covered and key not in read]:
            newest = max(by_key[key], key=lambda row: row.as_of)
            if newest.usd_per_hour != GONE:
                by_key[key] = _added(by_key[key], _gone(newest, reading))
    return [row for dated in by_key.values() for row in dated]


def _ordered(rows: Iterable[PriceRow]) -> list[PriceRow]:
    place: Mapping[str, int] = {instance.instance_type: number for number, instance in enumerate(instances())}
    return sorted(rows, key=lambda row: (place.get(row.instance_type, len(place)), *row[:3], row.as_of))


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Writes a table so that a reader sees the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def rebuild_snapshot(
    reader: PriceReader, regions: Iterable[str], *, path: Path = TABLE, progress: Progress = no_progress
) -> Rebuilt:
    """Reads regions live and writes the table anew; a region that cannot be read keeps its old rows.

    Needs network and, but for the offers files, credentials: `python -m app prices rebuild`.
    """
    rows = read_rows(path)
    before = len(rows)
    wanted = tuple(regions)
    listings = [listing for listing in reader.listings if listing in SNAPSHOT_LISTINGS]
    reports = []
    for done, region in enumerate(wanted):
        progress(region, done, len(wanted))
        readings: list[PriceReading] = []
        reports.append(read_region(reader, region, keep=readings.append, listings=listings, progress=progress))
        for reading in readings:
            rows = with_reading(rows, reading)
    write_table(path, PriceRow._fields, _ordered(rows))
    progress("done", len(wanted), len(wanted))
    return Rebuilt(rows_before=before, rows_after=len(rows), reports=tuple(reports))


def _cells(instance: Instance) -> list[str]:
    values = (getattr(instance, column) for column in INSTANCE_COLUMNS)
    return ["|".join(value) if isinstance(value, tuple) else _plain(value) for value in values]


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def merged(known: Iterable[Instance], read: dict[str, tuple[Instance, ...]]) -> tuple[Instance, ...]:
    """The table with what EC2 said in each region read: its facts, and the regions a type is now listed in.

    A type no region showed keeps its facts: it may be retired, and people still own reservations of it.
    """
    seen: dict[str, Instance] = {}
    listed: dict[str, set[str]] = {}
    for region, found in read.items():
        for instance in found:
            seen[instance.instance_type] = instance
            listed.setdefault(instance.instance_type, set()).add(region)
    table = {instance.instance_type: instance for instance in known}
    merged_rows = []
    for name in [*table, *sorted(seen.keys() - table.keys())]:
        before = set(table[name].regions) if name in table else set()
        here = tuple(sorted(before - read.keys() | listed.get(name, set())))
        merged_rows.append(replace(seen.get(name) or table[name], regions=here))
    return tuple(merged_rows)


def rebuild_instances(
    clients: AwsClients,
    regions: Iterable[str],
    *,
    today: date,
    path: Path = INSTANCES,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Writes the instance table anew from EC2; a sentence for each region or type that could not be read."""
    wanted = tuple(regions)
    read: dict[str, tuple[Instance, ...]] = {}
    remarks: list[str] = []
    for done, region in enumerate(wanted):
        progress(f"{region} instance types", done, len(wanted))
        try:
            read[region], said = read_instance_types(clients, region, today)
        except AwsError as error:
            said = (f"{region}: {error}",)
        remarks += said
    write_table(path, INSTANCE_COLUMNS, (_cells(instance) for instance in merged(instances(), read)))
    return tuple(dict.fromkeys(remarks))
