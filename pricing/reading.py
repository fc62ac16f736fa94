"""A reading: what one source said about one listing of one region at one moment; as the store keeps it, and as the
book tells a page. Types only: whoever reads them need not know network or database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from pricing.offers import Listing, Offer, PriceSource, PurchaseOption


class Progress(Protocol):
    """Told what is being read ("us-east-1 price list"), how much is done and how much there is (0: not known)."""

    def __call__(self, what: str, done: int, total: int, /) -> None: ...


def no_progress(what: str, done: int, total: int) -> None:
    """Progress nobody looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReading:
    """Offers of one listing in one region.

    `complete` says that an offer missing here is no longer sold, so an older price of it must go. A reading that had
    to leave something out is not complete, and says what in `remarks`.
    """

    region: str
    listing: Listing
    read_at: datetime  # UTC
    origin: str
    offers: tuple[Offer, ...]
    complete: bool = True
    remarks: tuple[str, ...] = ()
    doubted: tuple[tuple[str, PurchaseOption], ...] = ()  # types and options whose price was not believed


class PriceReader(Protocol):
    """Something that can read listings now, over the network."""

    @property
    def listings(self) -> tuple[Listing, ...]:
        """What it can read, the most important first."""
        ...

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> PriceReading:
        """One listing of one region; raises a Refusal that says what went wrong."""
        ...


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


# What a row of another version of this tool raises, or a damaged one: it is left out and counted, the others are read.
ODD_ROW = (ValueError, TypeError, ArithmeticError)


def amount(text: str) -> Decimal:
    """Dollars as the store keeps them: plain digits. Raises one of `ODD_ROW` for anything else."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError("no amount")
    return Decimal(text)


_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,60})?", re.ASCII)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BookStatus:
    """Where a region's prices of one listing come from, and since when."""

    region: str
    listing: Listing
    source: PriceSource
    as_of: datetime | date | None  # when they were read; the newest row's date for the snapshot; None: no price here
    live_since: datetime | None  # first success without a failure since
    live_until: datetime | None  # last success, when what followed failed
    error: str  # what the last attempt said, empty when it went well or none was made
    remarks: tuple[str, ...]  # what the last reading had to leave out
    live: int  # prices of this listing that are live
    offers: int  # all of them

    @property
    def sentence(self) -> str:
        """One line for a page: "Live from AWS, read 2026-11-21 10:05 UTC."."""
        if self.as_of is None:
            said = f"No price for {self.region}."
        elif self.source is PriceSource.LIVE:
            said = f"Live from AWS, read {_minute(self.as_of)}."
            if self.live < self.offers:
                said = f"{self.live} of {self.offers} prices are {said[0].lower()}{said[1:-1]}; the others are older."
        elif self.source is PriceSource.CACHED:
            said = f"Last good copy, read from AWS {_minute(self.as_of)}."
        else:
            said = f"Bundled snapshot, newest row of {_minute(self.as_of)}."
        if self.live_until is not None:
            said += f" Not live since {_minute(self.live_until)}."
        return f"{said} {self.error}".strip()


def _minute(moment: datetime | date) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if isinstance(moment, datetime) else moment.isoformat()
