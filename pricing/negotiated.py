"""What is paid in place of list prices: a share off for everything AWS sells, or a price of one's own per machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from estimators.provenance import Refusal
from pricing.instances import find_instance
from pricing.offers import Offer, PriceBook, PriceQuery, PriceSource, PurchaseOption

MOST_OFF = Decimal(90)  # percent: more is a slip of the pen, such as a price per GPU for one of the whole machine


@dataclass(frozen=True, slots=True)
class AgreedPrice:
    """Dollars an hour for one whole machine paid for in one way."""

    instance_type: str
    usd_per_hour: Decimal
    option: PurchaseOption = PurchaseOption.ON_DEMAND

    def __str__(self) -> str:
        way = "" if self.option is PurchaseOption.ON_DEMAND else f"@{self.option}"
        return f"{self.instance_type}{way}:{self.usd_per_hour:f}"


@dataclass(frozen=True, slots=True)
class AgreedPrices:
    """Those of several machines: value of the key `negotiated`, as "p5.48xlarge:40,g6.xlarge@spot:0.3"."""

    of: tuple[AgreedPrice, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.of))


class NegotiatedBook:
    """A price book as one pays it. Raises `Refusal` for a machine nobody knows, and for a rate far below its list.

    20 % off $0.8048 is $0.64384, on demand as for a year: a commitment's own price is taken as the list, so discounts
    multiply. A rate is final: nothing is taken off it. What one owns keeps its price.
    """

    def __init__(self, book: PriceBook, percent_off: Decimal, rates: AgreedPrices | None) -> None:
        if not 0 <= percent_off <= MOST_OFF:
            raise Refusal(f"A discount is 0 to {MOST_OFF} %, not {percent_off}.", field="discount")
        self._book, self._off = book, percent_off
        self._rates = {(_known(rate.instance_type), rate.option): rate for rate in (rates.of if rates else ())}

    @property
    def regions(self) -> tuple[str, ...]:
        return self._book.regions

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        listed = [self.paid(offer) for offer in self._book.find(query)]
        return tuple(sorted((*listed, *self._unlisted(query, listed)), key=lambda offer: offer.usd_per_hour))

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        found = self.find(PriceQuery(region=region, option=option, instance_types=frozenset({instance_type})))
        return found[0] if found else None

    def paid(self, listed: Offer) -> Offer:
        """The offer at what is paid for it, with the list price beside."""
        rate = self._rates.get((listed.instance_type, listed.option))
        if rate is not None:
            return _at_rate(listed, rate)
        if not self._off or listed.option is PurchaseOption.OWNED:
            return listed
        share = 1 - self._off / 100
        return _paid(listed, listed.usd_per_hour * share, listed.upfront_usd * share, listed.source)

    def _unlisted(self, query: PriceQuery, listed: list[Offer]) -> Iterator[Offer]:
        """Prices agreed for machines that no list prices in the region asked for, though EC2 has the type there."""
        known = {(offer.instance_type, offer.option) for offer in listed}
        for (name, option), rate in self._rates.items():
            wanted = query.option in (None, option) and (query.instance_types is None or name in query.instance_types)
            if not wanted or query.region is None or (name, option) in known:
                continue
            if find_instance(name).regions and query.region not in find_instance(name).regions:
                continue
            yield Offer(
                instance_type=name,
                region=query.region,
                option=option,
                usd_per_hour=rate.usd_per_hour,
                source=PriceSource.ENTERED,
                as_of=date.min,
                origin="entered; no list price is known",
            )


def _known(instance_type: str) -> str:
    try:
        return find_instance(instance_type).instance_type
    except Refusal as refusal:
        raise Refusal(refusal.message, field="negotiated", remedy=refusal.remedy) from None


def _at_rate(listed: Offer, rate: AgreedPrice) -> Offer:
    share = rate.usd_per_hour / listed.usd_per_hour if listed.usd_per_hour else Decimal(1)
    if share < 1 - MOST_OFF / 100:
        raise Refusal(
            f"${rate.usd_per_hour:f} an hour for {rate.instance_type} is more than {MOST_OFF} % under its list price, "
            f"${listed.usd_per_hour:f}.",
            field="negotiated",
            remedy="A price is for an hour of the whole machine, not of one accelerator.",
        )
    return _paid(listed, rate.usd_per_hour, listed.upfront_usd * share, PriceSource.ENTERED)


def _paid(listed: Offer, usd_per_hour: Decimal, upfront_usd: Decimal, source: PriceSource) -> Offer:
    paid = replace(
        listed,
        usd_per_hour=usd_per_hour,
        upfront_usd=upfront_usd,
        list_usd_per_hour=listed.usd_per_hour,
        source=source,
    )
    return replace(paid, origin=f"{bridge(paid)}; list: {listed.origin}")


def bridge(offer: Offer) -> str:
    """From the list price to what is paid: "$0.8048 list less 20 % entered"; nothing where they are one."""
    listed = offer.list_usd_per_hour
    if listed is None:
        return ""
    if offer.source is PriceSource.ENTERED:
        return f"entered in place of ${listed:f} list"
    percent = round(100 * (1 - offer.usd_per_hour / listed), 4).normalize() if listed else Decimal(0)
    return f"${listed:f} list less {percent:f} % entered"
