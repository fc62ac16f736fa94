"""A reading: what one source said about one listing of one region at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pricing.offers import Listing, Offer


class Progress(Protocol):
    """Told what is being read ("us-east-1 price list"), how much is done and how much there is (0: not known)."""

    def __call__(self, what: str, done: int, total: int, /) -> None: ...


def no_progress(what: str, done: int, total: int) -> None:
    """Progress nobody looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
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


class PriceReader(Protocol):
    """Something that can read listings now, over the network."""

    @property
    def listings(self) -> tuple[Listing, ...]:
        """What it can read, the most important first."""
        ...

    def read(self, region: str, listing: Listing, progress: Progress = no_progress) -> Reading:
        """One listing of one region; raises a Refusal that says what went wrong."""
        ...
