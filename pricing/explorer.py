"""Looking through a price book: offers per accelerator and per gibibyte, the cheapest regions, and what has changed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from estimators.provenance import Refusal
from pricing.instances import Instance, find_instance, instances
from pricing.offers import Offer, PriceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pricing.offers import PriceBook, PurchaseOption


class ExplorerRow(NamedTuple):
    """One offer with its machine and the rates people compare by, worked out when they are looked at.

    g5.12xlarge at $5.672 with four A10G of 22.352 GiB: $1.418 an accelerator-hour, $0.0634 a GiB-hour.
    """

    offer: Offer
    instance: Instance
    peak_tflops: float | None = None  # of one whole accelerator

    @property
    def usd_per_accelerator_hour(self) -> Decimal:
        """p / (n s): of a whole accelerator, with s the share a fractional machine has of it."""
        return self.offer.usd_per_hour / _exact(_units(self.instance, RankBy.ACCELERATOR_HOUR))

    @property
    def usd_per_gib_hour(self) -> Decimal:
        """p / (n m), with m the memory of each accelerator."""
        return self.offer.usd_per_hour / _exact(_units(self.instance, RankBy.GIB_HOUR))

    @property
    def usd_per_tflop_hour(self) -> Decimal | None:
        """p / (n s F), with F the peak of a whole accelerator; None when that is not given."""
        return self.usd_per_accelerator_hour / _exact(self.peak_tflops) if self.peak_tflops else None


class RankBy(StrEnum):
    """What the cheapest is judged by."""

    HOUR = "hour"
    ACCELERATOR_HOUR = "accelerator_hour"
    GIB_HOUR = "gib_hour"
    TFLOP_HOUR = "tflop_hour"


def _exact(number: float) -> Decimal:
    return Decimal(repr(number))


def _units(instance: Instance, rank_by: RankBy, peak_tflops: float | None = None) -> float:
    """How many of what is ranked by a machine has; 0 when that is not known."""
    match rank_by:
        case RankBy.HOUR:
            return 1.0
        case RankBy.ACCELERATOR_HOUR:
            return instance.accelerator_count * instance.partition
        case RankBy.GIB_HOUR:
            return round(instance.accelerator_memory_gib_total, 3)
        case RankBy.TFLOP_HOUR:
            return instance.accelerator_count * instance.partition * (peak_tflops or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What the explorer shows. None means any."""

    accelerators: frozenset[str] | None = None
    least_memory_gib: float = 0.0  # of all accelerators of a machine together
    regions: frozenset[str] | None = None  # allowed ones, for data residency
    options: frozenset[PurchaseOption] | None = None

    def fits(self, instance: Instance) -> bool:
        """Whether a machine passes, whatever it costs."""
        if self.accelerators is not None and instance.accelerator not in self.accelerators:
            return False
        return instance.accelerator_memory_gib_total >= self.least_memory_gib


def explore(
    book: PriceBook,
    wanted: Filter,
    *,
    rank_by: RankBy = RankBy.HOUR,
    peak_tflops: Mapping[str, float] | None = None,
    limit: int | None = None,
) -> tuple[ExplorerRow, ...]:
    """Offers that pass, the cheapest first; `peak_tflops` gives the peak of each accelerator by name."""
    machines = {instance.instance_type: instance for instance in instances() if wanted.fits(instance)}
    offers = _candidates(book, wanted, frozenset(machines))
    peaks = {name: (peak_tflops or {}).get(instance.accelerator) for name, instance in machines.items()}
    if rank_by is not RankBy.HOUR:  # by the hour a book lists already
        units = {name: _units(instance, rank_by, peaks[name]) for name, instance in machines.items()}
        # Machines without a known peak come last, not first. Floats order tens of thousands in the time of a frame.
        each = {name: 1 / unit if unit else math.inf for name, unit in units.items()}
        offers.sort(key=lambda offer: float(offer.usd_per_hour) * each[offer.instance_type])
    return tuple(
        ExplorerRow(offer, machines[offer.instance_type], peaks[offer.instance_type]) for offer in offers[:limit]
    )


def _candidates(book: PriceBook, wanted: Filter, machines: frozenset[str]) -> list[Offer]:
    regions = wanted.regions
    options = wanted.options
    only = next(iter(options)) if options is not None and len(options) == 1 else None
    here = next(iter(regions)) if regions is not None and len(regions) == 1 else None
    return [
        offer
        for offer in book.find(PriceQuery(region=here, option=only, instance_types=machines))
        if (regions is None or offer.region in regions) and (options is None or offer.option in options)
    ]


def cheapest_regions(book: PriceBook, instance_type: str, option: PurchaseOption) -> tuple[Offer, ...]:
    """One machine and one way to pay in every region that has it, the cheapest first; too old prices come last."""
    found = book.find(PriceQuery(option=option, instance_types=frozenset({find_instance(instance_type).instance_type})))
    return tuple(sorted(found, key=lambda offer: offer.stale))


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChange:
    """One offer in two books. Without `before` it is new, without `after` it is gone."""

    before: Offer | None
    after: Offer | None

    @property
    def share(self) -> Decimal | None:
        """Change as a share of the old price: 32.7726 to 21.957642 is -0.33; None for an offer new or gone."""
        if self.before is None or self.after is None:
            return None
        return self.after.usd_per_hour / self.before.usd_per_hour - 1


def diff(before: PriceBook, after: PriceBook, query: PriceQuery | None = None) -> tuple[PriceChange, ...]:
    """What differs between two books: changed prices by the size of the change, then new offers, then gone ones."""
    query = query or PriceQuery()
    old = {(o.instance_type, o.region, o.option.value): o for o in before.find(query)}
    new = {(o.instance_type, o.region, o.option.value): o for o in after.find(query)}
    both = [PriceChange(before=old[key], after=new[key]) for key in old.keys() & new.keys()]
    changed = [change for change in both if change.share]
    changed.sort(key=lambda change: (-abs(change.share or Decimal(0)), _name(change)))
    fresh = [PriceChange(before=None, after=new[key]) for key in sorted(new.keys() - old.keys())]
    gone = [PriceChange(before=old[key], after=None) for key in sorted(old.keys() - new.keys())]
    return (*changed, *fresh, *gone)


def _name(change: PriceChange) -> tuple[str, str, str]:
    offer = change.after or change.before
    if offer is None:
        raise Refusal("A change needs an offer before or after.", field="region")
    return offer.instance_type, offer.region, offer.option.value
