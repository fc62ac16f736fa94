"""What replicas do under a load: the steady states of many layouts side by side, or of a few one by one.

Every figure is the estimate's own: over arrays by the same formulas, for a few layouts by the estimate itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, cast

import numpy as np

from app.planning.budget import checkpoint
from app.planning.loads import workload_of
from app.planning.stacks import ARRAYS, Bools, Floats, Ints, Stack, is_kept, stack_of, taken
from app.planning.ways import Layout
from app.scenario import Scenario
from estimators.latency.model import solve
from estimators.latency.plan import ReplicaPlan
from estimators.latency.quantiles import alone, among_others, p95
from estimators.latency.serving import Scheduler, Server, Steady
from estimators.remembered import Remembered
from estimators.workload import Load, Workload

FEW = 16  # layouts that are sooner solved one by one: in arrays up to 400 take as long as some 25 so
ENDLESS = 1e12  # requests a second no replica serves
PACES_KEPT = 20_000  # each a row of a table, which stays as long as any of its rows
SERVERS_KEPT = 32  # sets of them


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


class PaceKept(NamedTuple):
    """What one server did: a row of a table; its plan, so that no other takes its identity over."""

    table: Floats
    row: int
    plan: ReplicaPlan


Key = tuple[int, float]  # identity of a server's plan, requests in flight


class Paces:
    """What single servers did with so many requests in flight: the cards of one question share most of their layouts,
    and a limit, a price or a region that changes leaves all of them as they were.

    Half of what is kept is dropped at once, the older half.
    """

    def __init__(self, most: int) -> None:
        self._most = most // 2
        self._newer: dict[Key, PaceKept] = {}
        self._older = self._newer

    def find(self, keys: Iterable[Key]) -> list[PaceKept | None]:
        """In the order of the keys."""
        newer, older = self._newer, self._older
        return [newer.get(key) or older.get(key) for key in keys]

    def keep(self, found: Mapping[Key, PaceKept]) -> None:
        """These too; where that is too many, the older half goes."""
        if len(self._newer) + len(found) > self._most:
            self._older, self._newer = self._newer, {}
        self._newer.update(found)


_PACES = Paces(PACES_KEPT)


@dataclass(frozen=True, slots=True)
class LoadKind:
    """What loads must share to be solved together."""

    load: Load
    searches: bool  # the number of replicas is open
    whole_batch: bool  # plain transformers: as many run as were asked for
    drafts: bool
    bounds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The servers of some layouts, one element each, and what no load, limit or price changes of them."""

    rows: Ints  # their places among the layouts
    plans: tuple[ReplicaPlan, ...]
    running: Floats  # requests one runs at once
    held: Floats  # requests one holds, and of the longest context that was asked for
    longest: Floats
    may_run: Floats  # requests up to which it may be used
    starts: Bools
    drafts: bool


_SERVERS: Remembered[Servers] = Remembered(SERVERS_KEPT)


def servers_of(layouts: Sequence[Layout]) -> Servers:
    """The servers of those layouts that have one."""
    return _SERVERS.of((layouts,), None, lambda: _servers(layouts)) if is_kept(layouts) else _servers(layouts)


def _servers(layouts: Sequence[Layout]) -> Servers:
    found = [(row, layout, plan) for row, layout in enumerate(layouts) if (plan := layout.laid.replica) is not None]
    return Servers(
        rows=np.array([row for row, _, _ in found], dtype=np.int64),
        plans=tuple(plan for _, _, plan in found),
        running=np.array([float(plan.scheduler.running) for _, _, plan in found]),
        held=np.array([float(layout.laid.max_concurrency) for _, layout, _ in found]),
        longest=np.array([float(layout.laid.longest_concurrency) for _, layout, _ in found]),
        may_run=np.array([layout.may_run for _, layout, _ in found]),
        starts=np.array([layout.laid.engine_starts for _, layout, _ in found], dtype=np.bool_),
        drafts=any(plan.draft is not None for _, _, plan in found),
    )


def side_by_side(several: Sequence[Servers]) -> Servers:
    """Those of all of them, in turn; `rows` are still places among each one's own layouts."""
    if len(several) == 1:
        return several[0]
    arrays = {
        name: np.concatenate([getattr(servers, name) for servers in several])
        for name in ("rows", "running", "held", "longest", "may_run", "starts")
    }
    plans = tuple(plan for servers in several for plan in servers.plans)
    return Servers(plans=plans, drafts=any(servers.drafts for servers in several), **arrays)


class Fleet:
    """Servers under the scenario of their `owner`, all of one kind of load."""

    def __init__(self, servers: Servers, scenarios: Sequence[Scenario], owner: Ints, kind: LoadKind) -> None:
        self.plans, self.running = servers.plans, servers.running
        self.kind = kind
        self._scenarios, self._owner = scenarios, owner
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
        flight = self.flight(which, copies)
        if self.kind.load is Load.CONCURRENCY:
            return self._population_paces(which, copies, flight)
        if len(which) <= FEW:
            return _joined(self._one_by_one(which, copies))
        server = self._server(which, flight if self.kind.load is Load.BATCH else None)
        if self.is_rate:
            return self._arrivals(server, which, self.rate[which] / copies)
        state = server.batch(flight) if self.kind.load is Load.BATCH else server.maximum()
        return self._percentiles(state, which, flight)

    def flight(self, which: Ints, copies: Ints) -> Floats:
        """Requests of a population on the fullest of so many copies."""
        flight: Floats = np.ceil(self.population[which] / copies)
        return flight

    def _population_paces(self, which: Ints, copies: Ints, flight: Floats) -> Pace:
        """Of servers each with so many requests in flight: those found before as they were, the others solved."""
        plans = [self.plans[row] for row in which.tolist()]
        keys = list(zip(map(id, plans), flight.tolist(), strict=True))
        known = _PACES.find(keys)
        new = {key: number for number, key in enumerate(keys) if known[number] is None}  # each once
        if 2 * len(new) > len(keys) > FEW:  # all in the arrays there are take no longer than these in new ones
            table = self._closed(which, copies, flight)
            _PACES.keep({key: PaceKept(table, number, plans[number]) for key, number in new.items()})
            return _from_table(table)
        if new:
            at = np.fromiter(new.values(), np.int64)
            table = self._closed(which[at], copies[at], flight[at])
            solved = {key: PaceKept(table, row, plans[number]) for row, (key, number) in enumerate(new.items())}
            _PACES.keep(solved)
            known = [one or solved[key] for key, one in zip(keys, known, strict=True)]
        return _from_table(
            np.array([one.table[one.row] for one in cast(list[PaceKept], known)]).reshape(-1, len(_NAMES))
        )

    def _closed(self, which: Ints, copies: Ints, flight: Floats) -> Floats:
        """[server, figure of a pace]"""
        if len(which) <= FEW:
            return _table(self._one_by_one(which, copies))
        made = self._percentiles(self._server(which, flight).closed(flight), which, flight)
        return np.stack([getattr(made, name) for name in _NAMES], axis=1, dtype=np.float64, casting="unsafe")

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

    def _one_by_one(self, which: Ints, copies: Ints) -> list[tuple[float, ...]]:
        pairs = zip(which.tolist(), copies.tolist(), strict=True)
        return [self._one(row, workload_of(self._of(row), count)) for row, count in pairs]

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


def _joined(rows: Sequence[tuple[float, ...]]) -> Pace:
    return _from_table(_table(rows))


def _table(rows: Sequence[tuple[float, ...]]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, len(_NAMES))


def _from_table(table: Floats) -> Pace:
    made: dict[str, Any] = {name: table[:, place].copy() for place, name in enumerate(_NAMES)}
    return Pace(**made | {"saturated": made["saturated"].astype(np.bool_)})
