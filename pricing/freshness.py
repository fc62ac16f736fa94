"""How old a price may be before it is marked stale: a policy, set by whoever runs the app."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from pricing.offers import Listing, PurchaseOption


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxAge:
    """Age beyond which a price is stale, per listing.

    List prices move rarely (in us-east-1 no GPU on-demand price moved between 2025-06-23 and 2026-07-20), Capacity
    Block rates a few times a year, spot prices within the hour.
    """

    listed: timedelta = timedelta(days=180)
    capacity_block: timedelta = timedelta(days=60)
    spot: timedelta = timedelta(days=1)

    def limit(self, option: PurchaseOption) -> timedelta:
        """The age allowed to a price of this option."""
        match option.listing:
            case Listing.SPOT:
                return self.spot
            case Listing.CAPACITY_BLOCKS:
                return self.capacity_block
            case _:
                return self.listed

    def is_stale(self, option: PurchaseOption, as_of: date, today: date) -> bool:
        """Whether today - as_of > limit; a spot price of Monday is stale on Wednesday."""
        return option is not PurchaseOption.OWNED and today - as_of > self.limit(option)
