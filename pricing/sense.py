"""Whether a price can be true: held against what the bundled table knows of its type, and of its kin per accelerator.

What cannot be true is not believed, wherever it comes from: AWS, something that answers in its place, the database.
The known price stays, and the reason is said.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from pricing.instances import instances
from pricing.offers import Listing, PriceQuery, PurchaseOption
from pricing.snapshot import load_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from pricing.offers import Offer
    from pricing.reading import PriceReading

# A list price may be up to this many times a known one, or that part of it. The dearest region asks 1.7 times what the
# cheapest does, and the largest change the table holds is by 1.79 (p5.48xlarge, from 2025-04 to 2026-01).
FACTOR = Decimal(3)
# Other ways to pay, as shares of the price by the hour. The table has 0.14 to 0.91 for spot, 0.33 to 0.85 for the rest.
SHARES = {Listing.SPOT: (Decimal("0.05"), Decimal("1.2"))}
COMMITTED = (Decimal("0.15"), Decimal("1.2"))
# AWS retires a machine now and then, not a third of a region at once: then the list is short, and what it lacks stays.
LEAST_SHARE_LISTED = Decimal(2) / 3
MOST_SAID = 12  # sentences about one reading

Range = tuple[Decimal, Decimal]


def _between(prices: Iterable[Decimal]) -> Range | None:
    found = list(prices)
    return (min(found), max(found)) if found else None


@lru_cache(maxsize=4096)
def _of_type(instance_type: str, option: PurchaseOption) -> Range | None:
    """The cheapest and the dearest region of a type."""
    wanted = PriceQuery(option=option, instance_types=frozenset({instance_type}))
    return _between(offer.usd_per_hour for offer in load_snapshot().find(wanted))


@lru_cache(maxsize=1)
def _accelerators() -> dict[str, tuple[str, Decimal]]:
    """Type to its accelerator and how many of it: 0.125 for an eighth of one."""
    return {i.instance_type: (i.accelerator, Decimal(str(i.accelerator_count * i.partition))) for i in instances()}


@lru_cache(maxsize=128)
def _of_kin(accelerator: str) -> Range | None:
    """What machines of an accelerator ask per accelerator and hour; of any, where nothing is known of this one."""
    carried = _accelerators()
    hourly = PriceQuery(option=PurchaseOption.ON_DEMAND)
    rates = [
        (carried[offer.instance_type][0], offer.usd_per_hour / carried[offer.instance_type][1])
        for offer in load_snapshot().find(hourly)
        if offer.instance_type in carried
    ]
    return _between(rate for name, rate in rates if name == accelerator) or _between(rate for _, rate in rates)


@lru_cache(maxsize=65_536)
def bounds(instance_type: str, region: str, option: PurchaseOption) -> Range | None:
    """The least and the most a price of this offer can be, USD an hour; None for a type no table knows.

    g6.xlarge on demand is known at $0.8048 in us-east-1: from 0.8048 / 3 = 0.2683 to 3 x 0.8048 = 2.4144.
    """
    if option.listing is not Listing.SPOT:  # a spot price of last month says less than the price by the hour
        known = load_snapshot().get(instance_type, region, option)
        own = (known.usd_per_hour, known.usd_per_hour) if known else _of_type(instance_type, option)
        if own is not None:
            return own[0] / FACTOR, own[1] * FACTOR
    least, most = SHARES.get(option.listing, COMMITTED)
    if option is PurchaseOption.ON_DEMAND:
        least = most = Decimal(1)
    hourly = _of_type(instance_type, PurchaseOption.ON_DEMAND)
    if hourly is not None:
        return hourly[0] * least, hourly[1] * most
    if instance_type not in _accelerators():
        return None
    accelerator, count = _accelerators()[instance_type]
    kin = _of_kin(accelerator)
    return (kin[0] * count * least / FACTOR, kin[1] * count * most * FACTOR) if kin else None


def doubt(instance_type: str, region: str, option: PurchaseOption, usd_per_hour: Decimal) -> str:
    """Why this price is not believed; nothing where it can be true."""
    within = bounds(instance_type, region, option)
    if within is None or within[0] <= usd_per_hour <= within[1]:
        return ""
    return (
        f"{instance_type}: ${usd_per_hour:.10g} an hour ({option}) is not believed: what is known of it and its kin "
        f"allows ${within[0]:.4g} to ${within[1]:.4g}. The known price stays."
    )


def believed(reading: PriceReading) -> PriceReading:
    """The reading without what cannot be true, each said in its remarks; a short one ends nothing it does not list."""
    doubts = {id(offer): _doubt(offer, reading.read_at.date()) for offer in reading.offers}
    said = first(text for text in doubts.values() if text)
    short = _short(reading) if reading.complete else ""
    if not said and not short:
        return reading
    return replace(
        reading,
        offers=tuple(offer for offer in reading.offers if not doubts[id(offer)]),
        complete=False,
        remarks=(*reading.remarks, *said, *filter(None, (short,))),
        doubted=tuple((offer.instance_type, offer.option) for offer in reading.offers if doubts[id(offer)]),
    )


def first(said: Iterable[str]) -> list[str]:
    """As many sentences as a page has room for, and how many more there were."""
    found = list(said)
    more = len(found) - MOST_SAID
    return found if more <= 0 else [*found[:MOST_SAID], f"{more} more prices are not believed."]


def _doubt(offer: Offer, today: date) -> str:
    if offer.as_of > today:
        return f"{offer.instance_type}: its {offer.option} price is dated {offer.as_of}, which has not come yet."
    return doubt(offer.instance_type, offer.region, offer.option, offer.usd_per_hour)


USAGE = {Listing.PRICE_LIST: "on-demand", Listing.SPOT: "spot", Listing.SAVINGS_PLANS: "on-demand"}


def _short(reading: PriceReading) -> str:
    """What to say of a list that lacks much of what EC2 lists in the region; nothing of one that does not."""
    usage = USAGE.get(reading.listing, "none")
    sold = {i.instance_type for i in instances() if reading.region in i.regions and usage in i.usage_classes}
    found = len({offer.instance_type for offer in reading.offers} & sold)
    if found >= LEAST_SHARE_LISTED * len(sold):
        return ""
    return f"AWS lists {found} of {len(sold)} known types in {reading.region}: the others keep older prices."
