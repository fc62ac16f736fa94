"""The same question and prices with one price changed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from app.planning.market import book_of
from app.planning.question import Question
from estimators.hardware.catalogue import find_accelerator
from pricing.offers import Offer, PriceBook, PriceQuery, PurchaseOption


@dataclass(frozen=True, eq=False)
class OnePriceChanged:
    """A price book in which one machine costs `usd_per_hour` in one region, bought in one way."""

    book: PriceBook
    offer: Offer
    usd_per_hour: Decimal

    def find(self, query: PriceQuery) -> tuple[Offer, ...]:
        return tuple(sorted(map(self._seen, self.book.find(query)), key=lambda offer: offer.usd_per_hour))

    def get(self, instance_type: str, region: str, option: PurchaseOption) -> Offer | None:
        found = self.book.get(instance_type, region, option)
        return None if found is None else self._seen(found)

    @property
    def regions(self) -> tuple[str, ...]:
        return self.book.regions

    def _seen(self, offer: Offer) -> Offer:
        return replace(offer, usd_per_hour=self.usd_per_hour) if place_of(offer) == place_of(self.offer) else offer


def place_of(offer: Offer) -> tuple[str, str, PurchaseOption]:
    """What a price is of."""
    return offer.instance_type, offer.region, offer.option


def repriced(question: Question, book: PriceBook, offer: Offer, usd_per_hour: Decimal) -> tuple[Question, PriceBook]:
    """The question and the prices with this offer at another price, which is what is then paid: of the book, once what
    was negotiated is off, or of an accelerator one has."""
    if not question.owned:
        paid = replace(question.scenario, discount=Decimal(0), negotiated=None)
        return replace(question, scenario=paid), OnePriceChanged(book_of(question.scenario, book), offer, usd_per_hour)
    owned = tuple(
        replace(own, usd_per_gpu_hour=usd_per_hour) if find_accelerator(own.gpu).name == offer.instance_type else own
        for own in question.owned
    )
    return replace(question, owned=owned), book
