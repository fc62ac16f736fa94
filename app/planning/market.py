"""Where the load may run and what it costs there: accelerators, the machines that carry them, and their offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np

from app.planning.plan import Machine
from app.planning.question import Question
from app.scenario import Scenario
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators, find_accelerator
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import Placement
from pricing.cost import HOURS_PER_MONTH, billed_hours
from pricing.instances import Instance, find_instance, instances
from pricing.negotiated import NegotiatedBook
from pricing.offers import Offer, PriceBook, PriceQuery, PriceSource, PurchaseOption

GPU_COUNTS = (1, 2, 4, 8, 16)  # tensor-parallel sizes tried when `gpus` is auto
UNCOUNTED = 10**9  # accelerators in a machine nobody sells
SPOT_AGES_APART = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An accelerator one may use, and the machines that carry it: EC2 types, or what one owns (`owned_count`)."""

    machine: Machine  # any of them: accelerator and software-visible memory are the same
    carriers: tuple[Machine, ...]
    owned_count: int | None = None
    usd_per_gpu_hour: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A machine and its cheapest allowed offer. `usd_per_month` is of one machine, infinite where it is not offered;
    owned accelerators count as machines of one accelerator each."""

    machine: Machine
    gpus: int
    usd_per_month: float
    offer: Offer | None
    offers: int  # ways it could have been bought
    most: int | None = None  # machines at hand, where that is limited
    gone: bool = False  # its spot price is much older than the newest: no price to choose by


class Market:
    """Of each chip, the machines that carry it and what they cost; and the same as arrays, one after another."""

    def __init__(self, sold: tuple[tuple[Purchase, ...], ...]) -> None:
        self.sold = sold
        flat = [purchase for several in sold for purchase in several]
        self.counts = np.array([len(several) for several in sold], dtype=np.int64)
        self.first = np.cumsum(self.counts) - self.counts
        self.place = np.array([m for several in sold for m in range(len(several))], dtype=np.int64)
        self.usd = np.array([purchase.usd_per_month for purchase in flat], dtype=np.float64)
        self.offers = np.array([purchase.offers for purchase in flat], dtype=np.int64)
        self.gone = np.array([purchase.gone for purchase in flat], dtype=np.bool_)
        self.owned = np.array([purchase.most is not None for purchase in flat], dtype=np.bool_)
        self.loose = np.array([p.machine.instance is None and p.most is None for p in flat], dtype=np.bool_)
        self.unpriced = self.loose & np.array([purchase.offer is None for purchase in flat], dtype=np.bool_)
        sizes = [purchase.most or purchase.gpus for purchase in flat]
        self.gpus = np.where(self.loose, UNCOUNTED, np.array(sizes, dtype=np.int64))


@lru_cache(maxsize=512)
def machine_of(instance: Instance) -> Machine | None:
    """The machine behind an EC2 type, or None when its accelerator is not in the estimators' table."""
    accelerator = accelerators().get(instance.accelerator)
    if accelerator is None:
        return None
    memory = accelerator.memory_bytes
    if instance.partition < 1:  # a slice has its own memory, and EC2 states it
        memory = min(memory, int(instance.accelerator_memory_gib * 2**30))
    return Machine(accelerator=accelerator, instance=instance, memory_bytes=memory)


@lru_cache(maxsize=1)
def aws_machines() -> tuple[Machine, ...]:
    """Every EC2 type whose accelerator the estimators know."""
    return tuple(machine for item in instances() if (machine := machine_of(item)) is not None)


def named_machines(scenario: Scenario) -> tuple[Machine, ...] | None:
    """The machines that `gpu` or `instance` names; None when neither does. Raises `Refusal` for an unknown name."""
    if scenario.instance is not None:
        machine = machine_of(find_instance(scenario.instance))
        if machine is None:
            raise Refusal(
                f"{scenario.instance} carries an accelerator without published figures.",
                field="instance",
                remedy="Name another instance type, or leave the machine on auto.",
            )
        return (machine,)
    if scenario.gpu is None:
        return None
    accelerator = find_accelerator(scenario.gpu)
    if scenario.buy is PurchaseOption.OWNED:
        return (_outside_aws(accelerator),)
    sold = tuple(m for m in aws_machines() if m.accelerator.name == accelerator.name and m.partition == 1)
    return sold or (_outside_aws(accelerator),)


def _outside_aws(accelerator: Accelerator) -> Machine:
    return Machine(accelerator=accelerator, instance=None, memory_bytes=accelerator.memory_bytes)


def chips_of(question: Question) -> tuple[Chip, ...]:
    """What is owned; else what is named; else every whole accelerator on AWS whose speed is published, by vendor.

    Slices share their chip's bandwidth in ways nobody has published, so they are used only when named.
    """
    if question.owned:
        return tuple(
            Chip(machine=machine, carriers=(machine,), owned_count=own.count, usd_per_gpu_hour=own.usd_per_gpu_hour)
            for own in question.owned
            for machine in (_outside_aws(find_accelerator(own.gpu)),)
        )
    named = named_machines(question.scenario)
    return _automatic(question.vendors) if named is None else _by_chip(named)


@lru_cache(maxsize=16)
def _automatic(vendors: frozenset[str]) -> tuple[Chip, ...]:
    return _by_chip(
        machine
        for machine in aws_machines()
        if machine.accelerator.vendor in vendors
        and machine.partition == 1
        and machine.accelerator.bandwidth_bytes_per_s is not None
        and machine.accelerator.flops_16bit is not None
    )


def _by_chip(machines: Iterable[Machine]) -> tuple[Chip, ...]:
    found: dict[tuple[str, int], list[Machine]] = {}
    for machine in machines:
        found.setdefault((machine.accelerator.name, machine.memory_bytes), []).append(machine)
    return tuple(Chip(machine=carriers[0], carriers=tuple(carriers)) for carriers in found.values())


def placements(scenario: Scenario, chip: Chip) -> tuple[Placement, ...]:
    """Layouts of one replica to try over a chip, smallest first.

    `gpus` names the tensor-parallel count. Without it a named instance gives all its accelerators to one replica, and
    sizes grow by twos up to the largest carrier, or what one owns.
    """
    counts = [machine.instance.accelerator_count for machine in chip.carriers if machine.instance]
    cut = scenario.pp, scenario.ep, scenario.dp
    if scenario.gpus is None and scenario.instance is not None and counts:
        if counts[0] % (scenario.pp * scenario.dp):
            raise Refusal(
                f"pp={scenario.pp} x dp={scenario.dp} does not divide the {counts[0]} accelerators of "
                f"{scenario.instance}."
                if scenario.dp > 1
                else f"pp={scenario.pp} does not divide the {counts[0]} accelerators of {scenario.instance}.",
                field="dp" if scenario.dp > 1 else "pp",
                remedy=f"Use a divisor of {counts[0]}, or name gpus as well.",
            )
        return _sizes((counts[0] // (scenario.pp * scenario.dp),), *cut, None)
    if scenario.gpus is not None:
        return _sizes((scenario.gpus,), *cut, None)
    most = chip.owned_count if chip.owned_count is not None else max(counts, default=None)
    return _sizes(GPU_COUNTS, *cut, most)


@lru_cache(maxsize=256)
def _sizes(counts: tuple[int, ...], pp: int, ep: int, dp: int, most: int | None) -> tuple[Placement, ...]:
    return tuple(Placement(tp=n, pp=pp, ep=ep, dp=dp) for n in counts if most is None or n * pp * dp <= most)


def instances_needed(machine: Machine, placement: Placement, replicas: int) -> int:
    """Whole machines that hold `replicas` copies; a replica larger than an instance spans several.

    An accelerator that AWS does not sell is counted as one machine per replica.
    """
    if machine.instance is None:
        return replicas
    count = machine.instance.accelerator_count
    if placement.gpus <= count:
        return -(-replicas // (count // placement.gpus))
    return replicas * -(-placement.gpus // count)


def book_of(scenario: Scenario, book: PriceBook) -> PriceBook:
    """The book as the scenario pays it: list prices, or what was negotiated."""
    if not scenario.discount and scenario.negotiated is None:
        return book
    return NegotiatedBook(book, scenario.discount, scenario.negotiated)


def offer_of(scenario: Scenario, machine: Machine, book: PriceBook) -> Offer | None:
    """The price of the machine: frozen in the scenario, else from the book; None is "not offered".

    A frozen price is what is paid, so nothing is taken off it; where the book comes to the same, its list is beside it.
    """
    owned = scenario.buy is PurchaseOption.OWNED
    paid = book_of(scenario, book)
    if scenario.price is not None and (owned or scenario.instance is not None):
        same = None if owned else paid.get(machine.name, scenario.region, scenario.buy)
        return Offer(
            instance_type=machine.name,
            region=scenario.region,
            option=scenario.buy,
            usd_per_hour=scenario.price,
            source=PriceSource.OWNED if owned else PriceSource.LINK,
            as_of=scenario.price_as_of or date.min,
            origin="given with the scenario",
            list_usd_per_hour=same.list_usd_per_hour if same and same.usd_per_hour == scenario.price else None,
        )
    if machine.instance is None:
        return None
    return paid.get(machine.instance.instance_type, scenario.region, scenario.buy)


_MARKETS: Remembered[Market] = Remembered(64)


def market_of(question: Question, chips: tuple[Chip, ...], book: PriceBook) -> Market:
    """For each chip its carriers, each with the cheapest of the allowed regions and ways to pay."""
    scenario = question.scenario
    if question.owned:
        return Market(tuple((_owned(chip, scenario.region),) for chip in chips))
    if scenario.price is not None or named_machines(scenario) is not None:
        return _market(question, chips, book)
    paid = (scenario.hours, scenario.discount, scenario.negotiated)
    key = (question.vendors, question.regions, question.options, *paid, getattr(book, "version", 0))
    return _MARKETS.of((book,), key, lambda: _market(question, chips, book))


def _market(question: Question, chips: tuple[Chip, ...], book: PriceBook) -> Market:
    hours = question.scenario.hours
    found: dict[str, list[tuple[Decimal, Offer]]] = {}
    for offer in _offers(question, chips, book):
        found.setdefault(offer.instance_type, []).append((offer.usd_per_hour * billed_hours(offer, hours), offer))
    sold = tuple(tuple(_purchase(machine, found.get(machine.name, [])) for machine in chip.carriers) for chip in chips)
    return Market(_without_old_spot(sold))


def _offers(question: Question, chips: tuple[Chip, ...], book: PriceBook) -> Iterator[Offer]:
    scenario = question.scenario
    if scenario.price is not None:
        given = (offer_of(scenario, machine, book) for chip in chips for machine in chip.carriers)
        yield from (offer for offer in given if offer is not None)
        return
    types = frozenset(m.instance.instance_type for chip in chips for m in chip.carriers if m.instance)
    paid = book_of(scenario, book)
    for region in question.regions:
        for option in question.options:
            yield from paid.find(PriceQuery(region=region, option=option, instance_types=types))


def _purchase(machine: Machine, offers: list[tuple[Decimal, Offer]]) -> Purchase:
    gpus = machine.instance.accelerator_count if machine.instance else 1
    if not offers:
        return Purchase(machine=machine, gpus=gpus, usd_per_month=float("inf"), offer=None, offers=0)
    cheapest, offer = min(offers, key=lambda pair: pair[0])
    return Purchase(machine=machine, gpus=gpus, usd_per_month=float(cheapest), offer=offer, offers=len(offers))


def _owned(chip: Chip, region: str) -> Purchase:
    offer = Offer(
        instance_type=chip.machine.name,
        region=region,
        option=PurchaseOption.OWNED,
        usd_per_hour=chip.usd_per_gpu_hour,
        source=PriceSource.OWNED,
        as_of=date.min,
        origin="given with the question, per accelerator",
    )
    monthly = float(chip.usd_per_gpu_hour * HOURS_PER_MONTH)
    return Purchase(
        machine=chip.machine, gpus=1, usd_per_month=monthly, offer=offer, offers=1, most=chip.owned_count
    )  # fmt: skip


def _without_old_spot(sold: tuple[tuple[Purchase, ...], ...]) -> tuple[tuple[Purchase, ...], ...]:
    """A spot price moves by the hour: one much older than the newest is no price to choose by."""
    days = [purchase.offer.as_of for several in sold for purchase in several if purchase.offer is not None]
    newest = max(days, default=None)
    if newest is None or not any(_old_spot(purchase, newest) for several in sold for purchase in several):
        return sold
    return tuple(
        tuple(replace(purchase, gone=True) if _old_spot(purchase, newest) else purchase for purchase in several)
        for several in sold
    )


def _old_spot(purchase: Purchase, newest: date) -> bool:
    offer = purchase.offer
    if offer is None or offer.source is PriceSource.ENTERED:
        return False
    return offer.option is PurchaseOption.SPOT and newest - offer.as_of > SPOT_AGES_APART
