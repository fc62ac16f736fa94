"""Sign or not: a plan's machines under every way to pay, what a fall of traffic puts at risk, and the best mix.

How many machines a share of the traffic takes is the planner's answer, not a proportion. No Streamlit, no own I/O.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.planning.loads import is_population
from app.planning.market import book_of
from app.planning.plan import Candidate, Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.scenario import Scenario
from estimators.provenance import Refusal
from pricing.commitments import (
    Mix,
    Risk,
    Use,
    best_mix,
    break_even_share,
    machine_hours,
    peak_of,
    risk_of,
    week_of,
)  # fmt: skip
from pricing.cost import HOURS_PER_MONTH
from pricing.instances import Instance, instances
from pricing.offers import Listing, Offer, PriceBook, PriceQuery, PurchaseOption


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What the comparison asks beside the plan; shares in percent."""

    fall: int = 30  # traffic falls by this much
    grow: int = 30
    week: str = "always"  # as `pricing.commitments.week_of` reads it
    wait: int = 0  # share of the work that can wait, and so run on spot
    redo: int = 0  # spot hours on top for work that interruptions throw away


def asked_of(values: Mapping[str, Any]) -> Commitment:
    """What the page's keys hold, the rest as it starts."""
    return Commitment(
        fall=values.get("commit_fall", 30),
        grow=values.get("commit_grow", 30),
        week=values.get("week", "always"),
        wait=values.get("commit_wait", 0),
        redo=values.get("commit_redo", 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WayToPay:
    """The plan's machines paid for in one way. Dollars a month."""

    offer: Offer
    usd_per_month: Decimal
    break_even: Decimal | None  # share of the month's hours from which it beats on demand; 0: always, None: never
    after_fall: Risk | None  # of a commitment
    usd_grown: Decimal  # after the growth

    @property
    def option(self) -> PurchaseOption:
        return self.offer.option


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSold:
    """A way this machine is not sold, and the nearest machine that is."""

    kind: str
    kin: Instance | None
    kin_offer: Offer | None
    kin_plan: Plan | None  # the same question on it


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysToPay:
    """Everything the page shows. `fallen` and `grown` are machines of the busiest hour."""

    asked: Commitment
    chosen: Candidate
    use: Use
    fallen: int
    grown: int
    on_demand: Offer
    ways: tuple[WayToPay, ...]
    not_sold: tuple[NotSold, ...]
    best: WayToPay | None  # the cheapest commitment of the shortest term that is sold
    mix: Mix | None  # with it
    spot_usd: Decimal | None  # a month of the work that waits, on spot
    waiting_usd: Decimal | None  # the same on demand
    savings_missing: bool

    @property
    def now(self) -> int:
        """Machines at the peak."""
        return peak_of(self.use)

    @property
    def share_used(self) -> Decimal:
        """Of the hours of the peak's machines, those that they work."""
        return machine_hours(self.use) / (self.now * HOURS_PER_MONTH)


ONE_YEAR = "reserved 1 year"
KINDS: dict[str, Callable[[PurchaseOption], bool]] = {
    "spot": lambda option: option is PurchaseOption.SPOT,
    "capacity block": lambda option: option is PurchaseOption.CAPACITY_BLOCK,
    ONE_YEAR: lambda option: option.value.startswith("reserved_1yr"),
    "reserved 3 years": lambda option: option.value.startswith("reserved_3yr"),
    "Savings Plan": lambda option: option.listing is Listing.SAVINGS_PLANS,
}


def machines_at(plan: Plan, share: float, sources: VersionedSources) -> int:
    """Machines that `share` of the plan's traffic takes, its machine and layout kept: the planner's fewest that meet
    every limit. Loads without a traffic (the engine's maximum, a batch) keep their proportion."""
    chosen = plan.chosen
    if chosen is None:
        raise Refusal("There is no plan to scale.", field="model")
    if share <= 0:
        return 0
    scenario = _unpriced(chosen.scenario)
    if share == 1 or not chosen.eligible:
        return chosen.instances if share == 1 else math.ceil(share * chosen.instances - 1e-9)
    if scenario.rate is not None:
        scaled = replace(scenario, rate=scenario.rate * share, replicas=None)
        found = remembered_plan(scaled, sources).chosen
        return found.instances if found is not None and found.eligible else math.ceil(share * chosen.instances)
    if not is_population(scenario):
        return math.ceil(share * chosen.instances - 1e-9)
    flight = max(1, math.ceil((scenario.requests_in_flight or 1) * share - 1e-9))
    return _fewest(replace(scenario, concurrency=flight), max(1, math.ceil(share * chosen.replicas)), sources)


def _fewest(scenario: Scenario, guess: int, sources: VersionedSources) -> int:
    """Machines of the fewest replicas that meet every limit: found upwards from the guess, then halved down."""

    def does(replicas: int) -> Candidate | None:
        found = remembered_plan(replace(scenario, replicas=replicas), sources).chosen
        return found if found is not None and found.eligible else None

    high = guess
    while (best := does(high)) is None:
        if high >= 4 * guess + 4:
            raise Refusal("No number of replicas meets the limits at this traffic.", field="replicas")
        high += max(1, high // 2)
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if (found := does(middle)) is not None:
            high, best = middle, found
        else:
            low = middle
    return best.instances


def _unpriced(scenario: Scenario) -> Scenario:
    return replace(scenario, price=None, price_as_of=None)


def compare(plan: Plan, asked: Commitment, sources: VersionedSources) -> WaysToPay:
    """The plan's machines under every way to pay. Raises `Refusal` where they are not rented from AWS."""
    chosen = plan.chosen
    if chosen is None or chosen.placement is None or not chosen.instances or plan.refusal is not None:
        raise Refusal(str(plan.refusal or "There is no plan to compare ways to pay for."), field="model")
    if not chosen.fits:
        raise Refusal(f"{chosen.label} does not hold this load: {'; '.join(chosen.reasons)}.", field="model")
    instance = chosen.machine.instance
    if instance is None:
        raise Refusal(
            f"{chosen.label} is not rented from AWS, so there is nothing to sign.",
            field="instance",
            remedy="Choose a plan on an EC2 machine.",
        )
    region = chosen.scenario.region
    paid = book_of(chosen.scenario, sources.book)
    offers = paid.find(PriceQuery(region=region, instance_types=frozenset({instance.instance_type})))
    on_demand = next((offer for offer in offers if offer.option is PurchaseOption.ON_DEMAND), None)
    if on_demand is None:
        raise Refusal(
            f"{instance.instance_type} has no on-demand price in {region} to compare with, as far as known prices go.",
            field="region",
            remedy="Choose another region or machine.",
        )
    use, fallen, grown = (_use(plan, asked, 1 + change / 100, sources) for change in (0, -asked.fall, asked.grow))
    known = [_way(offer, on_demand, use, fallen, grown) for offer in offers if offer.option is not PurchaseOption.OWNED]
    ways = tuple(sorted(known, key=lambda way: way.usd_per_month))
    signed = min((w for w in ways if w.option.years), key=lambda w: (w.option.years, w.usd_per_month), default=None)
    savings = bool(sources.book.find(PriceQuery(region=region, option=PurchaseOption.SAVINGS_COMPUTE_1YR_NO_UPFRONT)))
    spot = next((way.offer for way in ways if way.option is PurchaseOption.SPOT), None)
    attended = _use(plan, asked, 1 - asked.wait / 100, sources)
    waiting = machine_hours(use) * asked.wait / 100
    return WaysToPay(
        asked=asked,
        chosen=chosen,
        use=use,
        fallen=peak_of(fallen),
        grown=peak_of(grown),
        on_demand=on_demand,
        ways=ways,
        not_sold=tuple(_not_sold(chosen, instance, ways, savings, sources)),
        best=signed,
        mix=best_mix(attended, signed.offer.usd_per_hour, on_demand.usd_per_hour) if signed else None,
        spot_usd=waiting * spot.usd_per_hour * (100 + asked.redo) / 100 if spot and asked.wait else None,
        waiting_usd=waiting * on_demand.usd_per_hour if asked.wait else None,
        savings_missing=not savings,
    )


def _use(plan: Plan, asked: Commitment, share: float, sources: VersionedSources) -> Use:
    """Machines and their hours of a month at `share` of the traffic: the scenario's hours, or a week that moves."""
    if asked.week == "always":
        return ((machines_at(plan, share, sources), plan.asked.hours),)
    week = week_of(asked.week).shares
    hours = HOURS_PER_MONTH / len(week)
    return tuple((machines_at(plan, share * level, sources), week.count(level) * hours) for level in sorted(set(week)))


def _way(offer: Offer, on_demand: Offer, use: Use, fallen: Use, grown: Use) -> WayToPay:
    signed, usd_hour = offer.option.committed, offer.usd_per_hour
    if signed:
        even = break_even_share(usd_hour, on_demand.usd_per_hour)
    else:
        even = Decimal(0) if usd_hour <= on_demand.usd_per_hour else None
    after = [
        risk_of(
            changed,
            committed=peak_of(use),
            years=offer.option.years,
            committed_price=usd_hour,
            on_demand_price=on_demand.usd_per_hour,
        )
        for changed in (fallen, grown)
    ]
    return WayToPay(
        offer=offer,
        usd_per_month=usd_hour * (peak_of(use) * HOURS_PER_MONTH if signed else machine_hours(use)),
        break_even=even,
        after_fall=after[0] if signed else None,
        usd_grown=after[1].committed_usd if signed else usd_hour * machine_hours(grown),
    )


def _not_sold(
    chosen: Candidate,
    instance: Instance,
    ways: tuple[WayToPay, ...],
    savings: bool,
    sources: VersionedSources,
) -> Iterator[NotSold]:
    for kind, belongs in KINDS.items():
        if any(belongs(way.option) for way in ways) or (kind == "Savings Plan" and not savings):
            continue
        kin, offer = _nearest_kin(instance, chosen.scenario.region, kind, book_of(chosen.scenario, sources.book))
        on_kin = None
        if kin is not None and offer is not None:
            there = replace(_unpriced(chosen.scenario), instance=kin.instance_type, buy=offer.option, replicas=None)
            on_kin = remembered_plan(there, sources)
            if on_kin.refusal is not None:
                on_kin = None
        yield NotSold(kind=kind, kin=kin, kin_offer=offer, kin_plan=on_kin)


def _nearest_kin(instance: Instance, region: str, kind: str, book: PriceBook) -> tuple[Instance | None, Offer | None]:
    """The machine sold that way with the same accelerator, nearest in count; else with one of the nearest memory."""
    sold: dict[str, Offer] = {}
    for offer in book.find(PriceQuery(region=region)):  # cheapest first
        if KINDS[kind](offer.option):
            sold.setdefault(offer.instance_type, offer)
    near = [
        other
        for other in instances()
        if other.instance_type in sold and other.instance_type != instance.instance_type and other.partition == 1
    ]
    near = [other for other in near if other.accelerator == instance.accelerator] or [
        other for other in near if _maker(other) == _maker(instance)
    ]
    if not near:
        return None, None
    kin = min(near, key=lambda other: (*_distance(instance, other), other.instance_type))
    return kin, sold[kin.instance_type]


def _maker(instance: Instance) -> str:
    """ "p5.48xlarge" and "g6.xlarge" are the GPU families; "trn1", "inf2" and "dl1" each their own."""
    return "gpu" if instance.instance_type[0] in "gp" else instance.instance_type[:3]


def _distance(one: Instance, other: Instance) -> tuple[float, float, int]:
    """By memory of an accelerator, by their number, then by name: p5en is nearer to p5 than p4de."""
    memory = abs(math.log2(other.accelerator_memory_gib / one.accelerator_memory_gib))
    pairs = zip(one.instance_type, other.instance_type, strict=False)
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return memory, abs(math.log2(other.accelerator_count / one.accelerator_count)), -shared
