"""The cheapest way to buy each machine over the allowed regions and ways to pay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.planning.layouts import Chip
from app.planning.plan import Machine
from app.planning.question import Question
from pricing.cost import HOURS_PER_MONTH, billed_hours
from pricing.offers import Offer, PriceBook, PriceQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A machine and its cheapest allowed offer. `usd_per_month` is of one machine; owned accelerators count as
    machines of one accelerator each."""

    machine: Machine
    gpus: int
    usd_per_month: float
    offer: Offer | None
    offers: int  # ways it could have been bought
    most: int | None = None  # machines at hand, where that is limited


def purchases(question: Question, chips: tuple[Chip, ...], book: PriceBook) -> tuple[tuple[Purchase, ...], ...]:
    """For each chip, the machines that carry it and are offered."""
    types = frozenset(m.instance.instance_type for chip in chips for m in chip.carriers if m.instance)
    wanted: dict[str, list[tuple[Decimal, Offer]]] = {}
    for offer in _offers(question, types, book):
        monthly = offer.usd_per_hour * billed_hours(offer, question.scenario.hours)
        wanted.setdefault(offer.instance_type, []).append((monthly, offer))
    return tuple(_of_chip(chip, wanted) for chip in chips)


def _offers(question: Question, types: frozenset[str], book: PriceBook) -> Iterable[Offer]:
    for region in question.regions:
        for option in question.options:
            yield from book.find(PriceQuery(region=region, option=option, instance_types=types))


def _of_chip(chip: Chip, wanted: dict[str, list[tuple[Decimal, Offer]]]) -> tuple[Purchase, ...]:
    if chip.owned_count is not None:
        monthly = chip.usd_per_gpu_hour * float(HOURS_PER_MONTH)
        return (
            Purchase(machine=chip.machine, gpus=1, usd_per_month=monthly, offer=None, offers=1, most=chip.owned_count),
        )
    found = []
    for machine in chip.carriers:
        offers = wanted.get(machine.name, ())
        if offers and machine.instance is not None:
            cheapest, offer = min(offers, key=lambda pair: pair[0])
            found.append(
                Purchase(
                    machine=machine,
                    gpus=machine.instance.accelerator_count,
                    usd_per_month=float(cheapest),
                    offer=offer,
                    offers=len(offers),
                )
            )
    return tuple(found)
