"""How many replicas a load needs on one layout, and what each then holds and does. No Streamlit, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from app.planning.loads import settings_of, workload_of
from app.planning.plan import Machine, ObjectiveCheck
from app.scenario import LoadMode, Scenario
from estimators.latency import estimate_latency
from estimators.latency.estimate import LatencyEstimate
from estimators.memory import estimate_memory
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import Precision
from estimators.workload import EngineSettings, Load, Placement
from pricing.offers import PriceBook

MOST_REPLICAS = 10_000  # beyond this a rate is refused rather than searched
IDLE_RUNNING = 0.05  # requests in flight below which a replica is called idle


@dataclass
class Case:
    """One scenario being weighed over many machines; estimates are shared by machines with the same accelerator."""

    scenario: Scenario
    precision: Precision
    draft: Precision | None
    book: PriceBook
    served: dict[tuple[object, ...], Served] = field(default_factory=dict)

    @property
    def settings(self) -> EngineSettings:
        return settings_of(self.scenario)


@dataclass(frozen=True)
class Served:
    """A replica layout on an accelerator, with as many replicas as the load needs."""

    replicas: int
    memory: MemoryEstimate
    latency: LatencyEstimate | None


def serve(case: Case, machine: Machine, placement: Placement) -> Served:
    key = (machine.accelerator.name, machine.memory_bytes, placement)
    if key not in case.served:
        case.served[key] = _replicate(case, machine, placement)
    return case.served[key]


def _replicate(case: Case, machine: Machine, placement: Placement) -> Served:
    """One layout with the replicas it was given, or the fewest that keep up with the load and meet the objectives: for
    a rate always, for a population where the machine is chosen too (a machine that was named is one replica)."""
    scenario = case.scenario
    if scenario.replicas is None and _is_population(scenario) and scenario.gpu is None and scenario.instance is None:
        return spread(case, machine, placement, _estimate(case, machine, placement, 1))
    if scenario.replicas is not None or scenario.rate is None:
        return _estimate(case, machine, placement, scenario.replicas or 1)
    served = _estimate(case, machine, placement, 1)
    if not served.memory.fits or served.latency is None or _keeps_up(scenario, served.latency):
        return served
    low, enough = 1, served  # `low` falls short; `enough` is the first count that is not saturated
    while not _keeps_up(scenario, served.latency):
        low = served.replicas
        if low >= MOST_REPLICAS or _idle(served):
            return enough  # the rate is out of reach, or an objective is missed however idle the replicas are
        served = _estimate(case, machine, placement, 2 * low)
        if enough.latency is not None and enough.latency.saturated:
            enough = served
    high = served.replicas
    while high - low > 1:
        middle = (low + high) // 2
        tried = _estimate(case, machine, placement, middle)
        if _keeps_up(scenario, tried.latency):
            high, served = middle, tried
        else:
            low = middle
    return served


def _is_population(scenario: Scenario) -> bool:
    """Requests in flight, each replaced when it ends; a batch has no such share: it runs in waves."""
    return scenario.requests_in_flight is not None and scenario.load is not LoadMode.BATCH


def spread(case: Case, machine: Machine, placement: Placement, alone: Served) -> Served:
    """The fewest replicas whose share of the requests in flight is held, runs at once and meets the objectives.

    R >= ceil(C / held), and from there upwards; the one replica as it is where no number is enough. 25 requests of
    1,152 tokens fit an L4 beside an 8B in BF16, so 40 at once take two.
    """
    scenario = case.scenario
    flight = scenario.requests_in_flight or 1
    if _carries(scenario, alone) or flight == 1:
        return alone
    most = min(flight, MOST_REPLICAS)
    idlest = _estimate(case, machine, placement, most)
    if not _carries(scenario, idlest):
        held = idlest.memory.fits and idlest.latency is not None
        return _held(case, machine, placement, idlest) if held else replace(idlest, replicas=1)
    low = max(1, math.ceil(flight / max(1, idlest.memory.max_concurrency)) - 1)  # falls short
    high, step, served = most, 1, idlest
    while low + step < high:
        tried = _estimate(case, machine, placement, low + step)
        if _carries(scenario, tried):
            high, served = low + step, tried
            break
        low, step = low + step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        tried = _estimate(case, machine, placement, middle)
        if _carries(scenario, tried):
            high, served = middle, tried
        else:
            low = middle
    return served


def replicas_that_do(case: Case, machine: Machine, placement: Placement) -> int | None:
    """For a named machine whose one replica does not do for a population: how many would, if any number does."""
    scenario = case.scenario
    if scenario.replicas is not None or not _is_population(scenario) or scenario.requests_in_flight == 1:
        return None
    served = spread(case, machine, placement, serve(case, machine, placement))
    return served.replicas if served.replicas > 1 and _carries(scenario, served) else None


def _held(case: Case, machine: Machine, placement: Placement, idlest: Served) -> Served:
    """Where an objective is missed by every number: the fewest replicas that hold the load."""
    flight = case.scenario.requests_in_flight or 1
    least = math.ceil(flight / max(1, idlest.memory.max_concurrency))
    held = _estimate(case, machine, placement, least)
    return held if held.memory.fits else idlest


def _carries(scenario: Scenario, served: Served) -> bool:
    return served.memory.fits and served.latency is not None and _keeps_up(scenario, served.latency)


def _keeps_up(scenario: Scenario, latency: LatencyEstimate | None) -> bool:
    if latency is None:
        return True
    return not latency.saturated and all(check.met is not False for check in objectives(scenario, latency))


def _idle(served: Served) -> bool:
    """Each replica has next to nothing to do: what is missed now is missed with any number of them."""
    latency = served.latency
    return latency is not None and not latency.saturated and latency.running_requests < IDLE_RUNNING


def _estimate(case: Case, machine: Machine, placement: Placement, replicas: int) -> Served:
    workload = workload_of(case.scenario, replicas)
    settings = case.settings
    memory = estimate_memory(
        case.precision,
        machine.accelerator,
        placement,
        workload,
        settings,
        memory_bytes=machine.memory_bytes,
        draft=case.draft,
    )
    latency = None
    if memory.max_concurrency >= 1:
        latency = estimate_latency(
            case.precision, machine.accelerator, placement, workload, settings, memory, case.draft
        )
    if latency is not None and workload.load is Load.RATE:
        # Never more than the engine holds: what comes beyond waits, and `saturated` says so.
        running = min(math.ceil(latency.running_requests), memory.max_concurrency)
        flight = replace(workload, load=Load.CONCURRENCY, concurrency=max(1, running))
        memory = estimate_memory(
            case.precision,
            machine.accelerator,
            placement,
            flight,
            settings,
            memory_bytes=machine.memory_bytes,
            draft=case.draft,
        )
    return Served(replicas, memory, latency)


def objectives(scenario: Scenario, latency: LatencyEstimate | None) -> tuple[ObjectiveCheck, ...]:
    estimates = {
        "ttft": latency.ttft_p95_s if latency else None,
        "tpot": latency.tpot_p95_s if latency else None,
        "e2e": latency.e2e_p95_s if latency else None,
    }
    return tuple(
        ObjectiveCheck(key=key, limit=limit, estimate=estimate)
        for key, estimate in estimates.items()
        if (limit := getattr(scenario, key)) is not None
    )
