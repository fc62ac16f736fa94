"""A price book in memory: offers indexed by what people filter on, each list already cheapest first."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pricing.offers import Offer, PriceQuery, PurchaseOption


class OfferTable:
    """An immutable `PriceBook`: one offer per instance type, region and option."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        # Offers that cost the same stay in the order they came, so a book lists them the same way every time.
        self._offers = tuple(sorted(offers, key=attrgetter("usd_per_hour")))
        by_region: defaultdict[str, list[Offer]] = defaultdict(list)
        for offer in self._offers:
            by_region[offer.region].append(offer)
        self._by_region = {region: _Region(found) for region, found in by_region.items()}
        self._by_option: dict[PurchaseOption, tuple[Offer, ...]] = {}

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        """Matching offers, cheapest first. An empty tuple means not offered."""
        found = self._narrowed(query.region, query.option)
        if query.instance_types is None:
            return found
        wanted = query.instance_types
        return tuple(offer for offer in found if offer.instance_type in wanted)

    def _narrowed(self, region: str | None, option: PurchaseOption | None) -> tuple[Offer, ...]:
        if region is not None:
            here = self._by_region.get(region)
            if here is None:
                return ()
            return here.offers if option is None else here.by_option.get(option, ())
        if option is None:
            return self._offers
        if option not in self._by_option:
            self._by_option[option] = tuple(offer for offer in self._offers if offer.option is option)
        return self._by_option[option]

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        """One offer, or None: not offered here."""
        here = self._by_region.get(region)
        return here.by_key.get((instance_type, option)) if here else None

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions with at least one offer, in alphabetical order."""
        return tuple(sorted(self._by_region))

    def __len__(self) -> int:
        return len(self._offers)


class _Region:
    """One region's offers, indexed when first asked for: most of a book is never looked at."""

    def __init__(self, offers: list[Offer]) -> None:
        self.offers = tuple(offers)

    @cached_property
    def by_option(self) -> dict[PurchaseOption, tuple[Offer, ...]]:
        found: defaultdict[PurchaseOption, list[Offer]] = defaultdict(list)
        for offer in self.offers:
            found[offer.option].append(offer)
        return {option: tuple(offers) for option, offers in found.items()}

    @cached_property
    def by_key(self) -> dict[tuple[str, PurchaseOption], Offer]:
        return {(offer.instance_type, offer.option): offer for offer in self.offers}
