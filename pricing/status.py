"""What a price book says of itself, region by region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from pricing.offers import Listing, PriceSource


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

    @property
    def sentence(self) -> str:
        """One line for a page: "Live from AWS, read 2026-11-21 10:05 UTC."."""
        if self.as_of is None:
            said = f"No price for {self.region}."
        elif self.source is PriceSource.LIVE:
            said = f"Live from AWS, read {_minute(self.as_of)}."
        elif self.source is PriceSource.CACHED:
            said = f"Last good copy, read from AWS {_minute(self.as_of)}."
        else:
            said = f"Bundled snapshot, newest row of {_minute(self.as_of)}."
        if self.live_until is not None:
            said += f" Not live since {_minute(self.live_until)}."
        return f"{said} {self.error}".strip()


def _minute(moment: datetime | date) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if isinstance(moment, datetime) else moment.isoformat()
