"""What replicas do under a load: the steady states of many layouts side by side, or of a few one by one.

Every figure is the estimate's own: over arrays by the same formulas, for a few layouts by the estimate itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from app.planning.budget import checkpoint
from app.planning.loads import workload_of
from app.planning.stacks import ARRAYS, Bools, Floats, Ints, Stack, stack_of, taken
from app.planning.ways import Layout
from app.scenario import Scenario
from estimators.latency.model import solve
from estimators.latency.plan import ReplicaPlan
from estimators.latency.quantiles import alone, among_others, p95
from estimators.latency.serving import Scheduler, Server, Steady
from estimators.workload import Load, Workload

FEW = 6  # layouts that are sooner solved one by one
ENDLESS = 1e12  # requests a second no replica serves
PACES_KEPT = 20_000  # of half a kilobyte


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One element per layout: means and 95th percentiles in seconds, requests running in one replica and served by it
    a second. `saturated`: more arrive than it serves, and the times are those of a full replica without the queue."""

    ttft: Floats
    tpot: Floats
    e2e: Floats
    ttft_p95: Floats
    tpot_p95: Floats
    e2e_p95: Floats
    running: Floats
    requests_per_s: Floats
    saturated: Bools


class Paces:
    """What single servers did with so many requests in flight: the cards of one question share most of their layouts,
    and a limit, a price or a region that changes leaves all of them as they were.

    Half of what is kept is dropped at once, the older half.
    """

    def __init__(self, most: int) -> None:
        self._most = most // 2
        self._newer: dict[tuple[int, float], tuple[ReplicaPlan, tuple[float, ...]]] = {}
        self._older = self._newer

    def find(self, plans: Sequence[ReplicaPlan], flight: Floats) -> list[tuple[float, ...] | None]:
        newer, older = self._newer, self._older
        keys = zip(map(id, plans), flight.tolist(), strict=True)
        return [known[1] if (known := newer.get(key) or older.get(key)) else None for key in keys]

    def keep(self, plans: Sequence[ReplicaPlan], flight: Floats, rows: Iterable[tuple[float, ...]]) -> None:
        """With the plans beside them, so that no other takes their identity over."""
        if len(self._newer) + len(plans) > self._most:
            self._older, self._newer = self._newer, {}
        keys = zip(map(id, plans), flight.tolist(), strict=True)
        self._newer.update(zip(keys, zip(plans, rows, strict=True), strict=True))


_PACES = Paces(PACES_KEPT)


@dataclass(frozen=True, slots=True)
class LoadKind:
    """What loads must share to be solved together."""

    load: Load
    searches: bool  # the number of replicas is open
    whole_batch: bool  # plain transformers: as many run as were asked for
    drafts: bool
    bounds: bool


class Fleet:
    """Layouts with a server each, under the scenario of their `owner`, all of one kind of load."""

    def __init__(self, layouts: Sequence[Layout], scenarios: Sequence[Scenario], owner: Ints, kind: LoadKind) -> None:
        self.plans = [layout.laid.replica for layout in layouts if layout.laid.replica is not None]
        self.kind = kind
        self._scenarios, self._owner = scenarios, owner
        self.running = np.array([float(plan.scheduler.running) for plan in self.plans])
        self.population = np.array([float(scenario.requests_in_flight or 1) for scenario in scenarios])[owner]
        self.rate = np.array([scenario.rate or 0.0 for scenario in scenarios])[owner]
        self._parts: Stack | None = None
        self._full: Pace | None = None

    @property
    def is_rate(self) -> bool:
        return self.kind.load is Load.RATE

    def pace(self, which: Ints, copies: Ints) -> Pace:
        """Steady state of the layouts `which`, each with its number of copies."""
        checkpoint()
        if len(which) <= FEW:
            pairs = zip(which.tolist(), copies.tolist(), strict=True)
            return _joined([self._one(row, workload_of(self._of(row), count)) for row, count in pairs])
        flight = self.flight(which, copies)
        if self.kind.load is Load.CONCURRENCY:
            return self._population_paces(which, flight)
        server = self._server(which, flight if self.kind.load is Load.BATCH else None)
        if self.is_rate:
            return self._arrivals(server, which, self.rate[which] / copies)
        state = server.batch(flight) if self.kind.load is Load.BATCH else server.maximum()
        return self._percentiles(state, which, flight)

    def flight(self, which: Ints, copies: Ints) -> Floats:
        """Requests of a population on the fullest of so many copies."""
        flight: Floats = np.ceil(self.population[which] / copies)
        return flight

    def _population_paces(self, which: Ints, flight: Floats) -> Pace:
        """Of servers each with so many requests in flight: those found before as they were, the others solved."""
        plans = [self.plans[row] for row in which.tolist()]
        rows = _PACES.find(plans, flight)
        new = np.array([number for number, row in enumerate(rows) if row is None], dtype=np.int64)
        if len(new):
            at = flight[new]
            made = self._percentiles(self._server(which[new], at).closed(at), which[new], at)
            solved = list(zip(*(getattr(made, name).tolist() for name in _NAMES), strict=True))
            _PACES.keep([plans[number] for number in new.tolist()], at, solved)
            for number, row in zip(new.tolist(), solved, strict=True):
                rows[number] = row
        return _joined(cast(list[tuple[float, ...]], rows))

    def _arrivals(self, server: Server, which: Ints, rate: Floats) -> Pace:
        """Poisson arrivals; a replica that more reach than it serves is shown full."""
        full = taken(self.full_pace(), which)
        waits = rate >= full.requests_per_s
        state = server.arrivals(np.where(waits, 0.5 * full.requests_per_s, rate))
        pace = self._percentiles(state, which, np.full(len(which), 2.0))
        if not waits.any():
            return pace
        mixed = {f.name: np.where(waits, getattr(full, f.name), getattr(pace, f.name)) for f in fields(Pace)}
        return Pace(**mixed | {"saturated": waits})

    def full_pace(self) -> Pace:
        """Every layout with as many requests as it runs at once, always replaced."""
        if self._full is None:
            every = np.arange(len(self.plans))
            if len(every) <= FEW:
                loads = [replace(workload_of(self._of(row), 1), requests_per_second=ENDLESS) for row in every.tolist()]
                self._full = _joined([self._one(row, load) for row, load in enumerate(loads)])
            else:
                state = self._server(every, None).closed(self.running)
                self._full = self._percentiles(state, every, np.full(len(every), np.inf))
        return self._full

    def _of(self, row: int) -> Scenario:
        return self._scenarios[int(self._owner[row])]

    def _one(self, row: int, workload: Workload) -> tuple[float | bool, ...]:
        """The same of one layout, by the estimate itself."""
        plan = self.plans[row]
        if self.kind.whole_batch and workload.concurrency is not None:
            plan = replace(plan, scheduler=replace(plan.scheduler, running=max(1.0, workload.concurrency)))
            plan = replace(plan, server=_scheduled(plan.server, plan.scheduler))
        state, waits, _ = solve(plan, workload)
        late = p95(state, plan.request, workload, waits)
        means = (float(state.ttft), float(state.tpot), float(state.e2e))
        return (*means, *late, float(state.running), float(state.requests_per_s), waits and self.is_rate)

    def _server(self, which: Ints, flight: Floats | None) -> Server:
        """The servers of `which`; drafting is timed at `flight` requests, or, as in one estimate, at a full server."""
        stack, flights = self._stack(), flight if self.kind.whole_batch else None
        every = len(which) == len(self.plans) and bool((np.diff(which) == 1).all())
        if every and flights is None and stack.draft is None:
            return stack.server
        shard, rates, scheduler, request = (
            taken(part, which) for part in (stack.shard, stack.rates, stack.scheduler, stack.request)
        )
        if flights is not None:
            scheduler = replace(scheduler, running=np.maximum(1.0, flights))
        if stack.draft is not None:
            draft = taken(stack.draft, which)
            running = scheduler.running if flight is None else np.minimum(flight, scheduler.running)
            request = draft.request(request, running, ARRAYS.minimum)
        return Server(shard, rates, scheduler, request, ARRAYS)

    def _stack(self) -> Stack:
        if self._parts is None:
            self._parts = stack_of(self.plans)
        return self._parts

    def _percentiles(self, state: Steady, which: Ints, flight: Floats) -> Pace:
        """The pace of a steady state. Where more are in flight than run at once, the wait for a place is in the means
        and is not counted again."""
        full = np.isinf(flight)
        if self.kind.load is Load.BATCH:
            late = state.ttft, state.tpot, state.e2e
        else:
            crowds = (flight > self.running[which]) & (not self.kind.whole_batch)
            waiting = np.where(full | crowds, 0.0, state.waiting)
            request = taken(self._stack().request, which)
            late = among_others(replace(state, waiting=waiting), request, self.kind.load, False, ARRAYS)
            if self.kind.load is Load.CONCURRENCY:  # those with one request in flight wait for nobody
                lonely = alone(state)
                late = tuple(np.where(flight <= 1.0, one, many) for one, many in zip(lonely, late, strict=True))
        values = (state.ttft, state.tpot, state.e2e, *late, state.running, state.requests_per_s)
        arrays = [np.broadcast_to(np.asarray(value, dtype=np.float64), len(which)) for value in values]
        return Pace(**dict(zip(_NAMES, (*arrays, full), strict=True)))


_NAMES = tuple(f.name for f in fields(Pace))


def _scheduled(server: Server, scheduler: Scheduler) -> Server:
    return Server(server.shard, server.rates, scheduler, server.request, server.n)


def _joined(rows: Sequence[tuple[float | bool, ...]]) -> Pace:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_NAMES)
    made: dict[str, Any] = {
        name: np.array(column, dtype=np.float64) for name, column in zip(_NAMES, columns, strict=True)
    }
    return Pace(**made | {"saturated": made["saturated"].astype(np.bool_)})
