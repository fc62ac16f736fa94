"""Offers: one way to pay for one machine type in one region, with its source and date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Listing(StrEnum):
    """What one source answers completely for a region: an option missing from it is not offered there."""

    PRICE_LIST = "price_list"  # on demand and reserved
    SPOT = "spot"
    SAVINGS_PLANS = "savings_plans"
    CAPACITY_BLOCKS = "capacity_blocks"
    OWNED = "owned"


class PurchaseOption(StrEnum):
    """Values of the public key `buy`."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    CAPACITY_BLOCK = "capacity_block"
    OWNED = "owned"
    RESERVED_1YR_NO_UPFRONT = "reserved_1yr_no_upfront"
    RESERVED_1YR_PARTIAL_UPFRONT = "reserved_1yr_partial_upfront"
    RESERVED_1YR_ALL_UPFRONT = "reserved_1yr_all_upfront"
    RESERVED_3YR_NO_UPFRONT = "reserved_3yr_no_upfront"
    RESERVED_3YR_PARTIAL_UPFRONT = "reserved_3yr_partial_upfront"
    RESERVED_3YR_ALL_UPFRONT = "reserved_3yr_all_upfront"
    RESERVED_1YR_NO_UPFRONT_CONVERTIBLE = "reserved_1yr_no_upfront_convertible"
    RESERVED_1YR_PARTIAL_UPFRONT_CONVERTIBLE = "reserved_1yr_partial_upfront_convertible"
    RESERVED_1YR_ALL_UPFRONT_CONVERTIBLE = "reserved_1yr_all_upfront_convertible"
    RESERVED_3YR_NO_UPFRONT_CONVERTIBLE = "reserved_3yr_no_upfront_convertible"
    RESERVED_3YR_PARTIAL_UPFRONT_CONVERTIBLE = "reserved_3yr_partial_upfront_convertible"
    RESERVED_3YR_ALL_UPFRONT_CONVERTIBLE = "reserved_3yr_all_upfront_convertible"
    SAVINGS_COMPUTE_1YR_NO_UPFRONT = "savings_compute_1yr_no_upfront"
    SAVINGS_COMPUTE_1YR_PARTIAL_UPFRONT = "savings_compute_1yr_partial_upfront"
    SAVINGS_COMPUTE_1YR_ALL_UPFRONT = "savings_compute_1yr_all_upfront"
    SAVINGS_COMPUTE_3YR_NO_UPFRONT = "savings_compute_3yr_no_upfront"
    SAVINGS_COMPUTE_3YR_PARTIAL_UPFRONT = "savings_compute_3yr_partial_upfront"
    SAVINGS_COMPUTE_3YR_ALL_UPFRONT = "savings_compute_3yr_all_upfront"
    SAVINGS_EC2_1YR_NO_UPFRONT = "savings_ec2_1yr_no_upfront"
    SAVINGS_EC2_1YR_PARTIAL_UPFRONT = "savings_ec2_1yr_partial_upfront"
    SAVINGS_EC2_1YR_ALL_UPFRONT = "savings_ec2_1yr_all_upfront"
    SAVINGS_EC2_3YR_NO_UPFRONT = "savings_ec2_3yr_no_upfront"
    SAVINGS_EC2_3YR_PARTIAL_UPFRONT = "savings_ec2_3yr_partial_upfront"
    SAVINGS_EC2_3YR_ALL_UPFRONT = "savings_ec2_3yr_all_upfront"

    @property
    def committed(self) -> bool:
        """Billed 730 hours a month whatever is used: reserved, Savings Plans and owned."""
        return self.value.startswith(("reserved", "savings")) or self is PurchaseOption.OWNED

    @property
    def listing(self) -> Listing:
        """The listing this option is read from."""
        if self.value.startswith("savings"):
            return Listing.SAVINGS_PLANS
        return _LISTINGS.get(self, Listing.PRICE_LIST)

    @property
    def years(self) -> int:
        """Length of the commitment, 0 without one."""
        return 1 if "_1yr_" in self.value else 3 if "_3yr_" in self.value else 0


_LISTINGS = {
    PurchaseOption.SPOT: Listing.SPOT,
    PurchaseOption.CAPACITY_BLOCK: Listing.CAPACITY_BLOCKS,
    PurchaseOption.OWNED: Listing.OWNED,
}


# Age beyond which a price is stale. List prices move rarely (in us-east-1 no GPU on-demand price moved between
# 2025-06-23 and 2026-07-20), Capacity Block rates a few times a year, spot prices within the hour.
_LISTED_FOR = timedelta(days=180)
_GOOD_FOR = {Listing.SPOT: timedelta(days=1), Listing.CAPACITY_BLOCKS: timedelta(days=60)}


def is_stale(option: PurchaseOption, as_of: date, today: date) -> bool:
    """Whether a price is too old to count on; a spot price of Monday is on Wednesday."""
    return option is not PurchaseOption.OWNED and today - as_of > _GOOD_FOR.get(option.listing, _LISTED_FOR)


class PriceSource(StrEnum):
    """Values of the public column `price_source`."""

    LIVE = "live"
    CACHED = "cached"
    SNAPSHOT = "snapshot"
    LINK = "link"
    OWNED = "owned"
    ENTERED = "entered"  # negotiated for the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A price for one instance for one hour, whole machine. Linux, shared tenancy."""

    instance_type: str
    region: str
    option: PurchaseOption
    usd_per_hour: Decimal  # effective: an upfront sum is spread over the term
    source: PriceSource
    as_of: date
    origin: str  # the row, API or file it was read from
    upfront_usd: Decimal = Decimal(0)
    stale: bool = False
    kept: bool = False  # against a newer one that is not believed
    list_usd_per_hour: Decimal | None = None  # where something else was negotiated
    note: str = ""

    @property
    def day(self) -> str:
        """Of the price, as text; `date.min` stands for none known."""
        return "an unknown day" if self.as_of == date.min else self.as_of.isoformat()

    @property
    def read_from(self) -> str:
        """Origin and day, for the source of a figure."""
        return f"{self.origin}, {self.day}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuery:
    """Which offers are wanted. None means any."""

    region: str | None = None
    option: PurchaseOption | None = None
    instance_types: frozenset[str] | None = None


class PriceBook(Protocol):
    """Offers at hand, in memory: no call blocks on the network."""

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        """Matching offers, cheapest first. An empty tuple means not offered."""
        ...

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        """One offer, or None: not offered here."""
        ...

    @property
    def regions(self) -> tuple[str, ...]: ...
