"""Which assumption moves the monthly cost most, and where it changes the machine. No Streamlit, no own I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from app.exploring.decision_link import unpinned
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.scenario import Scenario
from estimators.latency.estimate import TIMES

SWING = 1.5  # each assumption is divided and multiplied by this
FARTHEST = 4.0  # how far a flip is looked for, as a factor
PRECISION = 1.05  # a flip is found to within 5 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One input that people argue about."""

    key: str
    name: str
    value: float
    scaled: Callable[[Scenario, float], Scenario]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """The monthly cost at the assumption's two ends; None where no machine does the job."""

    assumption: Assumption
    usd_low: float | None
    usd_high: float | None
    usd_now: float
    flips_at: float | None  # the nearest value with another cheapest machine, if within `FARTHEST`
    flips_to: str

    @property
    def width(self) -> float:
        """Dollars between the ends; an end without a machine counts as the widest."""
        if self.usd_low is None or self.usd_high is None:
            return float("inf")
        return abs(self.usd_high - self.usd_low)


def assumptions_of(scenario: Scenario) -> Iterator[Assumption]:
    """The assumptions that a scenario makes: load, lengths, hours and the limits it sets."""
    if scenario.rate is not None:
        yield Assumption(key="rate", name="Requests a second", value=scenario.rate, scaled=_rate)
    elif scenario.requests_in_flight is not None:
        yield Assumption(
            key="concurrency", name="Requests at a time", value=float(scenario.requests_in_flight), scaled=_flight
        )
    yield Assumption(key="prompt", name="Tokens in", value=float(scenario.prompt), scaled=_prompt)
    yield Assumption(key="output", name="Tokens out", value=float(scenario.output), scaled=_output)
    if not scenario.buy.committed:
        yield Assumption(key="hours", name="Hours a month", value=float(scenario.hours), scaled=_hours)
    for key, name in TIMES.items():
        limit = getattr(scenario, key)
        if limit is not None:
            yield Assumption(key=key, name=f"{name}, limit in s", value=limit, scaled=_limit(key))


def _rate(scenario: Scenario, factor: float) -> Scenario:
    return replace(scenario, rate=(scenario.rate or 1.0) * factor)


def _flight(scenario: Scenario, factor: float) -> Scenario:
    return replace(scenario, concurrency=max(1, round((scenario.requests_in_flight or 1) * factor)))


def _prompt(scenario: Scenario, factor: float) -> Scenario:
    return replace(scenario, prompt=max(1, round(scenario.prompt * factor)))


def _output(scenario: Scenario, factor: float) -> Scenario:
    return replace(scenario, output=max(1, round(scenario.output * factor)))


def _hours(scenario: Scenario, factor: float) -> Scenario:
    return replace(scenario, hours=min(Decimal(744), Decimal(str(round(float(scenario.hours) * factor, 3)))))


def _limit(key: str) -> Callable[[Scenario, float], Scenario]:
    def scaled(scenario: Scenario, factor: float) -> Scenario:
        changes: dict[str, float] = {key: getattr(scenario, key) * factor}
        return replace(scenario, **changes)  # type: ignore[arg-type]

    return scaled


def swings(plan: Plan, sources: VersionedSources) -> tuple[Swing, ...]:
    """Every assumption's swing on the cheapest machine for it, the widest first."""
    scenario = unpinned(plan.asked)
    now = _answer(scenario, sources)
    if now is None:
        return ()
    found = [_swing(scenario, assumption, now, sources) for assumption in assumptions_of(scenario)]
    return tuple(sorted(found, key=lambda swing: -swing.width))


def _answer(scenario: Scenario, sources: VersionedSources) -> tuple[str, float] | None:
    """(machine, USD a month) of the cheapest plan, or None."""
    chosen = remembered_plan(scenario, sources).chosen
    if chosen is None or not chosen.eligible or chosen.cost is None:
        return None
    return chosen.label, float(chosen.cost.usd_per_month)


def _swing(scenario: Scenario, assumption: Assumption, now: tuple[str, float], sources: VersionedSources) -> Swing:
    ends = [_answer(assumption.scaled(scenario, factor), sources) for factor in (1 / SWING, SWING)]
    flip = _nearest_flip(scenario, assumption, now[0], sources)
    return Swing(
        assumption=assumption,
        usd_low=ends[0][1] if ends[0] else None,
        usd_high=ends[1][1] if ends[1] else None,
        usd_now=now[1],
        flips_at=assumption.value * flip[0] if flip else None,
        flips_to=flip[1] if flip else "",
    )


def _nearest_flip(
    scenario: Scenario, assumption: Assumption, machine: str, sources: VersionedSources
) -> tuple[float, str] | None:
    """(factor, machine) of the nearest change of machine, up or down, to within `PRECISION`."""
    found = []
    for step in (SWING, 1 / SWING):
        factor, reached = 1.0, machine
        while 1 / FARTHEST <= factor * step <= FARTHEST:
            factor *= step
            reached = _machine(assumption.scaled(scenario, factor), sources)
            if reached != machine:
                found.append(_between(scenario, assumption, machine, (factor / step, factor, reached), sources))
                break
    return min(found, key=lambda pair: max(pair[0], 1 / pair[0]), default=None)


def _between(
    scenario: Scenario,
    assumption: Assumption,
    machine: str,
    bracket: tuple[float, float, str],
    sources: VersionedSources,
) -> tuple[float, str]:
    inside, outside, reached = bracket
    while max(inside / outside, outside / inside) > PRECISION:
        middle = (inside * outside) ** 0.5
        here = _machine(assumption.scaled(scenario, middle), sources)
        if here == machine:
            inside = middle
        else:
            outside, reached = middle, here
    return outside, reached


def _machine(scenario: Scenario, sources: VersionedSources) -> str:
    answer = _answer(scenario, sources)
    return answer[0] if answer else "no machine"
