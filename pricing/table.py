"""A price book in memory: offers indexed by what people filter on, each list already cheapest first."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pricing.offers import Offer, PriceQuery, PurchaseOption


class OfferTable:
    """An immutable `PriceBook`: one offer per instance type, region and option."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        # Offers that cost the same stay in the order they came, so a book lists them the same way every time.
        self._offers = tuple(sorted(offers, key=lambda offer: offer.usd_per_hour))
        self._by_key = {(offer.instance_type, offer.region, offer.option): offer for offer in self._offers}
        if len(self._by_key) != len(self._offers):
            raise ValueError("two offers for one instance type, region and option")
        by_region: defaultdict[str, list[Offer]] = defaultdict(list)
        by_option: defaultdict[PurchaseOption, list[Offer]] = defaultdict(list)
        by_region_option: defaultdict[tuple[str, PurchaseOption], list[Offer]] = defaultdict(list)
        for offer in self._offers:
            by_region[offer.region].append(offer)
            by_option[offer.option].append(offer)
            by_region_option[offer.region, offer.option].append(offer)
        self._by_region = {key: tuple(found) for key, found in by_region.items()}
        self._by_option = {key: tuple(found) for key, found in by_option.items()}
        self._by_region_option = {key: tuple(found) for key, found in by_region_option.items()}

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        """Matching offers, cheapest first. An empty tuple means not offered."""
        found = self._narrowed(query.region, query.option)
        if query.instance_types is None:
            return found
        wanted = query.instance_types
        return tuple(offer for offer in found if offer.instance_type in wanted)

    def _narrowed(self, region: str | None, option: PurchaseOption | None) -> tuple[Offer, ...]:
        if region is not None and option is not None:
            return self._by_region_option.get((region, option), ())
        if region is not None:
            return self._by_region.get(region, ())
        if option is not None:
            return self._by_option.get(option, ())
        return self._offers

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        """One offer, or None: not offered here."""
        return self._by_key.get((instance_type, region, option))

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions with at least one offer, in alphabetical order."""
        return tuple(sorted(self._by_region))

    def __len__(self) -> int:
        return len(self._offers)
