"""Which assumption moves the monthly cost most, on the cheapest machine for it. No Streamlit, no own I/O."""

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
MOST_HOURS = Decimal(744)  # of the longest month


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One input that people argue about: `at` is the scenario with another value of it."""

    key: str
    name: str
    value: float
    at: Callable[[Scenario, float], Scenario]
    whole: bool = False  # counted in whole numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """The monthly cost at the assumption's two ends; None where no machine does the job."""

    assumption: Assumption
    usd_low: float | None
    usd_high: float | None
    usd_now: float

    @property
    def width(self) -> float:
        """Dollars between the ends; an end without a machine counts as the widest."""
        if self.usd_low is None or self.usd_high is None:
            return float("inf")
        return abs(self.usd_high - self.usd_low)


def assumptions_of(scenario: Scenario) -> Iterator[Assumption]:
    """The assumptions that a scenario makes: load, lengths, hours and the limits it sets."""
    if scenario.rate is not None:
        yield Assumption(key="rate", name="Requests a second", value=scenario.rate, at=_field("rate"))
    elif (flight := scenario.requests_in_flight) is not None:
        name = "Requests at a time"
        yield Assumption(key="concurrency", name=name, value=float(flight), at=_whole("concurrency"), whole=True)
    for key, name in (("prompt", "Tokens in"), ("output", "Tokens out")):
        yield Assumption(key=key, name=name, value=float(getattr(scenario, key)), at=_whole(key), whole=True)
    if not scenario.buy.committed:
        yield Assumption(key="hours", name="Hours a month", value=float(scenario.hours), at=_hours)
    for key, name in TIMES.items():
        limit = getattr(scenario, key)
        if limit is not None:
            yield Assumption(key=key, name=f"{name}, limit in s", value=limit, at=_field(key))


def _field(key: str) -> Callable[[Scenario, float], Scenario]:
    return lambda scenario, value: replace(scenario, **{key: value})  # type: ignore[arg-type]


def _whole(key: str) -> Callable[[Scenario, float], Scenario]:
    return lambda scenario, value: replace(scenario, **{key: max(1, round(value))})  # type: ignore[arg-type]


def _hours(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, hours=min(MOST_HOURS, Decimal(str(round(value, 3)))))


def swings(plan: Plan, sources: VersionedSources) -> tuple[Swing, ...]:
    """Every assumption's swing on the cheapest machine for it, the widest first."""
    scenario = unpinned(plan.asked)
    now = _answer(scenario, sources)
    if now is None:
        return ()
    found = [_swing(scenario, assumption, now, sources) for assumption in assumptions_of(scenario)]
    return tuple(sorted(found, key=lambda swing: -swing.width))


def _answer(scenario: Scenario, sources: VersionedSources) -> float | None:
    """USD a month of the cheapest plan, or None."""
    chosen = remembered_plan(scenario, sources).chosen
    if chosen is None or not chosen.eligible or chosen.cost is None:
        return None
    return float(chosen.cost.usd_per_month)


def _swing(scenario: Scenario, assumption: Assumption, now: float, sources: VersionedSources) -> Swing:
    ends = [_answer(assumption.at(scenario, assumption.value * factor), sources) for factor in (1 / SWING, SWING)]
    return Swing(
        assumption=assumption,
        usd_low=ends[0],
        usd_high=ends[1],
        usd_now=now,
    )
