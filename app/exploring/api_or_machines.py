"""Rent tokens or machines, at a person's own volume: hosted APIs in every tier beside the planner's cheapest machines.

What machines cost at a volume is the planner's answer for the rate it makes, never a proportion. No Streamlit, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from app.exploring.finding import PageFinding
from app.format import percent, plural, significant, usd
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import conditions, machine_phrase, model_name, precision_name
from app.scenario import LoadMode, Scenario
from estimators.provenance import Refusal
from pricing.api_prices import OWN, STANDARD, ApiTier, api_tiers, own_tiers
from pricing.cost import SECONDS_PER_HOUR

SAME, EVERY = "the same model", "every model"
MOST_COMPARED = 40
STEPS_A_DECADE, DECADES_DOWN, DECADES_UP = 4, 3, 3  # of volumes that the machines are planned at
LEAST_RATE, MOST_RATE = 1e-6, 1e6
HALVINGS = 6  # of a step of the curve, in looking for a break-even


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A month's tokens, and what they are held against."""

    millions: float = 200  # output tokens a month
    peak: float = 2  # machines must hold the peak; tokens are billed as they come
    models: str = SAME
    own: str = ""  # prices a person enters


def volume_of(values: Mapping[str, Any]) -> Volume:
    """What the page's keys hold, the rest as it starts."""
    start = Volume()
    return Volume(
        millions=values.get("api_tokens", start.millions),
        peak=values.get("api_peak", start.peak),
        models=values.get("api_models", start.models),
        own=values.get("api_own", start.own),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiMonth:
    """A month of one tier: dollars of new input, cached input and output, and where machines begin to pay."""

    tier: ApiTier
    input_usd: Decimal
    cached_usd: Decimal
    output_usd: Decimal
    pays_from: float | None  # million output tokens a month; None: not within what was looked at
    utilisation: float | None  # of the machines there: what they make in what they could

    @property
    def usd(self) -> Decimal:
        return self.input_usd + self.cached_usd + self.output_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOrMachines:
    """Everything the page shows. `curve` is the machines' month over the volume, in million output tokens."""

    volume: Volume
    scenario: Scenario
    plan: Plan
    machines_usd: Decimal
    utilisation: float | None  # of the machines at this volume
    months: tuple[ApiMonth, ...]  # the cheapest first
    curve: tuple[tuple[float, float], ...]

    @property
    def best(self) -> ApiMonth | None:
        """The cheapest that answers at once: batch tiers make one wait."""
        return next((month for month in self.months if month.tier.tier in (STANDARD, OWN)), None)


class _Machines:
    """The planner's machines at any volume of one scenario."""

    def __init__(self, scenario: Scenario, peak: float, sources: VersionedSources) -> None:
        self._scenario, self._peak, self._sources = scenario, peak, sources

    @cached_property
    def seconds(self) -> float:
        """Seconds a month in which the tokens come."""
        return float(self._scenario.hours) * SECONDS_PER_HOUR

    def rate(self, millions: float) -> float:
        """Requests a second at the peak: V 10^6 / out / (3600 h) x peak; 200 at 128 out in 730 hours, twice: 1.19."""
        return millions * 1e6 / self._scenario.output / self.seconds * self._peak

    def plan(self, millions: float) -> Plan:
        rate = self.rate(millions)
        if not LEAST_RATE <= rate <= MOST_RATE:
            raise Refusal(
                f"That is {rate:.3g} requests a second.",
                field="api_tokens",
                remedy="The planner takes 0.000001 to 1,000,000.",
            )
        asked = replace(self._scenario, rate=round(rate, 6), concurrency=None, load=None, replicas=None)
        return remembered_plan(asked, self._sources)

    def usd(self, millions: float) -> Decimal | None:
        """Dollars a month; None where the planner has no machine."""
        try:
            found = self.plan(millions)
        except Refusal:
            return None
        return found.chosen.usd_per_month if found.chosen is not None and found.refusal is None else None

    def utilisation(self, millions: float) -> float | None:
        """Tokens made in a month in those its machines would make without an idle second."""
        found = self.plan(millions)
        if found.chosen is None or found.refusal is not None:
            return None
        full = replace(
            found.chosen.scenario, rate=None, load=LoadMode.MAX, ttft=None, tpot=None, e2e=None, price=None,
            price_as_of=None,
        )  # fmt: skip
        most = remembered_plan(full, self._sources).chosen
        if most is None or most.latency is None:
            return None
        return min(1.0, millions * 1e6 / (most.latency.output_tok_per_s.value * most.replicas * self.seconds))


def rent_or_run(scenario: Scenario, volume: Volume, sources: VersionedSources) -> ApiOrMachines:
    """The month of every API and of the machines. Raises `Refusal` where no machine serves the volume."""
    if scenario.hours <= 0:
        raise Refusal("In no hours there are no tokens.", field="hours", remedy="Give 1 to 744.")
    machines = _Machines(scenario, volume.peak, sources)
    plan = machines.plan(volume.millions)
    cost = machines.usd(volume.millions)
    if cost is None:
        raise Refusal(str(plan.refusal or "No machine has a price here."), field="api_tokens")
    curve = tuple(_curve(machines, volume.millions))
    months = [_month(tier, scenario, volume, curve, machines) for tier in tiers_of(scenario, volume)]
    return ApiOrMachines(
        volume=volume,
        scenario=scenario,
        plan=plan,
        machines_usd=cost,
        utilisation=machines.utilisation(volume.millions),
        months=tuple(sorted(months, key=lambda month: month.usd)),
        curve=curve,
    )


def tiers_of(scenario: Scenario, volume: Volume) -> tuple[ApiTier, ...]:
    """Prices entered, then those of the same open model, or of every model; every one where nobody hosts the same."""
    own, known = own_tiers(volume.own), api_tiers()
    wanted = (scenario.model or "").partition("@")[0].lower()
    same = tuple(tier for tier in known if tier.hub_id and tier.hub_id.lower() == wanted)
    if volume.models == SAME and same:
        return (*own, *same)
    ordered = sorted(known, key=lambda tier: (tier not in same, tier.usd_per_million_output))
    return (*own, *ordered[:MOST_COMPARED])


def _amounts(scenario: Scenario, millions: float) -> tuple[Decimal, Decimal, Decimal]:
    """(new input, cached input, output) in millions of tokens."""
    output = Decimal(repr(millions))
    into = output * scenario.prompt / scenario.output
    cached = into * Decimal(repr(scenario.prefix))
    return into - cached, cached, output


def api_usd(tier: ApiTier, scenario: Scenario, millions: float) -> Decimal:
    """What a tier asks for so many million output tokens, with the input and the cached input that come with them."""
    return sum(tier.usd(*_amounts(scenario, millions)), Decimal(0))


def _month(
    tier: ApiTier, scenario: Scenario, volume: Volume, curve: tuple[tuple[float, float], ...], machines: _Machines
) -> ApiMonth:
    parts = tier.usd(*_amounts(scenario, volume.millions))
    even = _break_even(float(api_usd(tier, scenario, 1.0)), curve, machines)
    return ApiMonth(
        tier=tier,
        input_usd=parts[0],
        cached_usd=parts[1],
        output_usd=parts[2],
        pays_from=even,
        utilisation=machines.utilisation(even) if even is not None else None,
    )


def _curve(machines: _Machines, millions: float) -> Iterator[tuple[float, float]]:
    for step in range(-STEPS_A_DECADE * DECADES_DOWN, STEPS_A_DECADE * DECADES_UP + 1):
        volume = millions * 10 ** (step / STEPS_A_DECADE)
        cost = machines.usd(volume)
        if cost is not None:
            yield volume, float(cost)


def _break_even(rate: float, curve: tuple[tuple[float, float], ...], machines: _Machines) -> float | None:
    """The volume from which machines cost no more than tokens, and do so at every larger one drawn.

    Between two drawn volumes it is halved; where the machines stay the same it is their month over the API's price of
    a million: $588 against $1 is 588 million.
    """
    paying = None
    for place in range(len(curve) - 1, -1, -1):
        volume, cost = curve[place]
        if cost > rate * volume:
            break
        paying = place
    if paying is None:
        return None
    high, cost = curve[paying]
    if paying == 0:
        return min(high, cost / rate)
    low = curve[paying - 1][0]
    for _ in range(HALVINGS):
        straight = cost / rate
        if low < straight <= high and machines.usd(straight) is not None and float(machines.usd(straight) or 0) == cost:
            return straight
        middle = (low * high) ** 0.5
        found = machines.usd(middle)
        if found is not None and float(found) <= rate * middle:
            high, cost = middle, float(found)
        else:
            low = middle
    return high


def rent_sentence(found: ApiOrMachines) -> str:
    """The verdict at this volume, and from which on machines pay."""
    into = found.volume.millions * found.scenario.prompt / found.scenario.output
    amount = (
        f"{significant(found.volume.millions)} million output tokens a month of {model_name(found.scenario)}, with "
        f"{significant(into)} million in"
    )
    best, machines = found.best, f"machines are {usd(found.machines_usd)} a month"
    if best is None:
        return f"{amount}: {machines}; no API is known to compare."
    beside = f"{best.tier.name} is {usd(best.usd)}"
    verdict = "rent tokens" if best.usd < found.machines_usd else "run machines"
    if best.pays_from is None:
        pays = f"tokens stay cheaper at every volume looked at{_first_beaten(found)}"
    else:
        used = f", {percent(best.utilisation)} of what they could make" if best.utilisation is not None else ""
        pays = f"machines pay from {_both(found.scenario, best.pays_from)} on{used}"
    return f"{amount}: {verdict}. {beside[0].upper()}{beside[1:]}, {machines}; {pays}."


def _first_beaten(found: ApiOrMachines) -> str:
    """Of the dearer APIs the one that machines beat first."""
    beaten = [(month.pays_from, month.tier.name) for month in found.months if month.pays_from is not None]
    if not beaten:
        return ""
    volume, name = min(beaten)
    return f", and machines are the cheaper first beside {name}, from {_both(found.scenario, volume)} on"


def rent_finding(found: ApiOrMachines) -> PageFinding:
    """Machines and every tier as the page, the terminal and the report show them."""
    chosen, precision = found.plan.chosen, found.plan.precision
    where = machine_phrase(chosen) if chosen else ""
    weights = f" in {precision_name(precision.weights)}" if precision else ""
    used = "" if found.utilisation is None else f"{percent(found.utilisation)} of what they could make"
    machines = (
        f"Machines: {where}{weights}",
        "",
        "",
        "",
        "",
        usd(found.machines_usd),
        _million(found, found.machines_usd),
        used,
    )
    return PageFinding(
        title="API or machines",
        sentence=rent_sentence(found),
        heads=(
            "",
            "Tier",
            "Input",
            "Cached input",
            "Output",
            "A month",
            "Per million output, with its input",
            "Machines pay from",
        ),
        rows=(machines, *(_row(found, month) for month in found.months)),
        notes=tuple(_notes(found)),
    )


def _million(found: ApiOrMachines, cost: Decimal) -> str:
    return usd(cost / Decimal(repr(found.volume.millions)))


def _both(scenario: Scenario, millions: float) -> str:
    """ "297 million out with 2,380 in"."""
    return f"{significant(millions)} million out with {significant(millions * scenario.prompt / scenario.output)} in"


def _row(found: ApiOrMachines, month: ApiMonth) -> tuple[str, ...]:
    tier = month.tier
    cached = "as input" if tier.usd_per_million_cached is None and month.cached_usd else ""
    even = "never here" if month.pays_from is None else _both(found.scenario, month.pays_from)
    if month.utilisation is not None:
        even += f"; {percent(month.utilisation)} used"
    return (
        tier.name,
        tier.tier,
        usd(month.input_usd),
        f"{usd(month.cached_usd)} {cached}".strip() if month.cached_usd else "",
        usd(month.output_usd),
        usd(month.usd),
        _million(found, month.usd),
        even,
    )


def _notes(found: ApiOrMachines) -> Iterator[str]:
    scenario, chosen = found.scenario, found.plan.chosen
    yield (
        f"Machines: {conditions(found.plan)}. They hold {found.volume.peak:g} times the mean of "
        f"{scenario.hours:g} hours, {significant(found.plan.asked.rate or 0.0)} requests a second of "
        f"{scenario.prompt:,} tokens in and {scenario.output:,} out; tokens are billed as they come."
    )
    per_million = found.machines_usd / Decimal(repr(found.volume.millions))
    of_any = per_million * scenario.output / (scenario.prompt + scenario.output)
    busy = chosen.cost.usd_per_million_output_tokens if chosen and chosen.cost else None
    bridge = f"; were the peak's load there in all hours, {usd(busy)}: the figure of the first screen" if busy else ""
    yield (
        f"A million output tokens with their input on these machines: {usd(per_million)}, or {usd(of_any)} for a "
        f"million of any kind{bridge}."
    )
    if scenario.prefix:
        yield f"{percent(scenario.prefix)} of the input is cached; where no price is said for that, it costs as input."
    dates = sorted({month.tier.as_of for month in found.months if month.tier.as_of is not None})
    sources = sorted({month.tier.source for month in found.months})
    if dates:
        span = dates[0].isoformat() if dates[0] == dates[-1] else f"{dates[0].isoformat()} to {dates[-1].isoformat()}"
        yield f"{plural(len(found.months), 'price')}, of {span}: {'; '.join(sources)}. Batch answers within a day."
    yield "What precision an API serves is mostly not said; rate limits, taxes and minimum fees come on top."
