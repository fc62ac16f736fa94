"""What the price store holds, as plain values: whoever reads it need not know the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from pricing.offers import Listing


class StoredPrice(NamedTuple):
    """A current price as it lies in the store, as text."""

    instance_type: str
    region: str
    option: str
    usd_per_hour: str
    upfront_usd: str
    origin: str
    note: str
    last_seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReading:
    """When a listing of a region was last read, by any process."""

    region: str
    listing: Listing
    read_at: datetime
    complete_at: datetime | None
    origin: str
    remarks: tuple[str, ...]


def stored_moment(moment: datetime) -> str:
    """A moment as the store writes it: UTC, and as text in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
