"""How many replicas each layout needs for a load, and what each then does: many layouts side by side, or a few.

Every figure is the estimate's own: over arrays by the same formulas, for a few layouts by the estimate itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, cast

import numpy as np

from app.planning.budget import checkpoint
from app.planning.loads import searches_replicas, workload_of
from app.planning.stacks import ARRAY_LENGTH, Bools, Floats, Ints, Stack, stack_of, taken
from app.planning.ways import Laid, Layout
from app.scenario import Scenario
from estimators.latency.model import solve, upper_factors
from estimators.latency.numeric import ARRAYS
from estimators.latency.plan import ReplicaPlan
from estimators.latency.quantiles import alone, among_others, p95
from estimators.latency.serving import Scheduler, Server, Steady
from estimators.workload import Engine, Load, Workload

MOST_REPLICAS = 10_000  # beyond this a population is refused rather than searched
MOST_DOUBLED = 2**14  # and a rate, which is searched by doubling
IDLE_RUNNING = 0.05  # requests in flight below which a replica is called idle
FEW = 6  # layouts that are sooner solved one by one
MOST_TRIES = 8
NO_CAP = 2**62
ENDLESS = 1e12  # requests a second no replica serves
SLACK = 0.999  # of a bound from another solution of the same steady state, which is found to 1e-4
PACES_KEPT = 20_000  # of half a kilobyte


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What each layout came to: the fewest replicas that keep up and meet every objective, where any number does.

    Where none does (`meets` False), `replicas` merely keep up, `pace` is theirs, and `best` is the pace of all but
    idle replicas: what no number of machines improves on.
    """

    replicas: Ints
    meets: Bools
    pace: Pace
    best: Pace
    most_requests_per_s: Floats  # one replica, when full; 0 where nothing arrives
    in_flight: Floats  # requests decoding over all replicas, were they all but idle; 0 where replicas are given


@dataclass(frozen=True, slots=True)
class Ask:
    """Layouts to be served under one scenario. `bounds`: `best` is wanted for every layout, not only where no number
    of replicas does. `affordable`, from what the fewest replicas came to, gives the copies beyond which a layout is of
    no interest. `highs`, [ttft, tpot, e2e] by layout as `spread_highs` has them: the limits hold for the upper ends."""

    scenario: Scenario
    layouts: Sequence[Layout]
    bounds: bool = False
    affordable: Callable[[Ints, Bools], Ints] | None = None
    highs: Floats | None = None


def serve(asks: Sequence[Ask]) -> list[Served]:
    """Each ask's layouts served, all of one kind of load together: one array element each, or one by one where they
    are few. A layout without a server never meets."""
    answers = [unserved(ask) for ask in asks]
    kinds: dict[LoadKind, list[tuple[int, int]]] = {}
    for number, ask in enumerate(asks):
        kind = kind_of(ask)
        places = [(number, i) for i, layout in enumerate(ask.layouts) if layout.laid.replica is not None]
        if places:
            kinds.setdefault(kind, []).extend(places)
    for kind, places in kinds.items():
        owner = np.array([number for number, _ in places], dtype=np.int64)
        row = np.array([i for _, i in places], dtype=np.int64)
        fleet = Fleet([asks[n].layouts[i] for n, i in places], [ask.scenario for ask in asks], owner, kind)
        fleet.hold_upper_ends([None if (highs := asks[n].highs) is None else highs[:, i] for n, i in places])
        made = fleet.answer(partial(_caps, asks, owner, row))
        for number in sorted(set(owner.tolist())):
            mine = owner == number
            answers[number] = _placed(answers[number], taken(made, np.flatnonzero(mine)), row[mine])
    return answers


def _caps(asks: Sequence[Ask], owner: Ints, row: Ints, least: Ints, meets: Bools) -> Ints:
    """Copies up to which each layout is searched."""
    caps = np.full(len(owner), NO_CAP, dtype=np.int64)
    for number in sorted(set(owner.tolist())):
        ask, mine = asks[number], np.flatnonzero(owner == number)
        if ask.affordable is not None:
            copies, does = np.zeros(len(ask.layouts), dtype=np.int64), np.zeros(len(ask.layouts), dtype=np.bool_)
            copies[row[mine]], does[row[mine]] = least[mine], meets[mine]
            caps[mine] = ask.affordable(copies, does)[row[mine]]
    return caps


def unserved(ask: Ask) -> Served:
    total = len(ask.layouts)
    nothing = {f.name: np.full(total, np.nan) for f in fields(Pace)} | {"saturated": np.zeros(total, dtype=np.bool_)}
    nowhere = Pace(**nothing)
    return Served(
        replicas=np.full(total, ask.scenario.replicas or 1, dtype=np.int64),
        meets=np.zeros(total, dtype=np.bool_),
        pace=nowhere,
        best=nowhere,
        most_requests_per_s=np.zeros(total),
        in_flight=np.zeros(total),
    )


def _placed(base: Any, values: Any, rows: Ints) -> Any:
    """`base` with `values` in `rows`, array by array."""
    if isinstance(base, np.ndarray):
        if len(rows) == len(base):
            return values
        filled = base.copy()
        filled[rows] = values
        return filled
    names = [f.name for f in fields(base)]
    return type(base)(**{name: _placed(getattr(base, name), getattr(values, name), rows) for name in names})


@dataclass(frozen=True, slots=True)
class LoadKind:
    """What loads must share to be solved together."""

    load: Load
    searches: bool  # the number of replicas is open
    whole_batch: bool  # plain transformers: as many run as were asked for
    drafts: bool
    bounds: bool


def kind_of(ask: Ask) -> LoadKind:
    scenario = ask.scenario
    return LoadKind(
        load=workload_of(scenario, 1).load,
        searches=searches_replicas(scenario),
        whole_batch=scenario.engine is Engine.TRANSFORMERS,
        drafts=any(layout.laid.replica is not None and layout.laid.replica.draft is not None for layout in ask.layouts),
        bounds=ask.bounds,
    )


def most_held(laid: Laid, searches: bool) -> int:
    """Requests one replica's memory holds: where the copies are searched, each as long as the longest context that was
    asked for, so that 8 people who may go up to 32,768 tokens get machines that hold 8 such requests. A machine that is
    named is taken as it is: there requests of prompt + output count."""
    return laid.longest_concurrency if searches else laid.max_concurrency


def _growing(laid: Laid) -> float:
    """Requests under a rate that may all grow to a longest context beyond their own length; unbounded without one."""
    return float(laid.longest_concurrency) if laid.longest_concurrency < laid.max_concurrency else math.inf


class Fleet:
    """Layouts with a server each, under the scenario of their `owner`, all of one kind of load."""

    def __init__(self, layouts: Sequence[Layout], scenarios: Sequence[Scenario], owner: Ints, kind: LoadKind) -> None:
        self._plans = [layout.laid.replica for layout in layouts if layout.laid.replica is not None]
        self._scenarios, self._owner, self._kind = scenarios, owner, kind
        self._held = np.array([float(most_held(layout.laid, kind.searches)) for layout in layouts])
        self._longest = np.array([_growing(layout.laid) if kind.searches else np.inf for layout in layouts])
        self._may_run = np.array([layout.may_run for layout in layouts])
        self._starts = np.array([layout.laid.engine_starts for layout in layouts], dtype=np.bool_)
        self._running = np.array([float(plan.scheduler.running) for plan in self._plans])
        self._population = np.array([float(scenario.requests_in_flight or 1) for scenario in scenarios])[owner]
        self._rate = np.array([scenario.rate or 0.0 for scenario in scenarios])[owner]
        self._given = np.array([scenario.replicas or 1 for scenario in scenarios], dtype=np.int64)[owner]
        at_once = [s.max_num_seqs * s.dp if s.max_num_seqs else np.inf for s in scenarios]
        self._at_once = np.array(at_once, dtype=np.float64)[owner]  # what is more queues
        limits = [[s.ttft or np.inf, s.tpot or np.inf, s.e2e or np.inf] for s in scenarios]
        self._limits = np.array(limits, dtype=np.float64)[owner].T
        self._is_rate, self._cap = kind.load is Load.RATE, MOST_DOUBLED if kind.load is Load.RATE else MOST_REPLICAS
        self._parts: Stack | None = None
        self._full: Pace | None = None
        self._highs: Floats | None = None

    def hold_upper_ends(self, highs: Sequence[Floats | None]) -> None:
        """Hold the limits for the upper ends of the intervals, where these are given."""
        if any(ends is not None for ends in highs):
            self._highs = np.array([np.ones(3) if ends is None else ends for ends in highs]).T
            self._output = np.array([float(s.output) for s in self._scenarios])[self._owner]

    def answer(self, caps: Callable[[Ints, Bools], Ints]) -> Served:
        """The fewest replicas of each layout, searched up to the caps that the fewest that might do give."""
        every, none = np.arange(len(self._plans)), np.zeros(len(self._plans))
        most = self._full_pace().requests_per_s if self._is_rate else none
        least = self._least(most) if self._kind.searches else self._given
        pace = self.pace(every, least)
        meets = self._good(every, least, pace)
        best, in_flight, copies = pace, none, least
        rest = every if self._kind.bounds else np.flatnonzero(~meets)
        if self._kind.searches and len(rest):
            best, in_flight, copies = self._search(rest, least, meets, pace, np.minimum(caps(least, meets), self._cap))
            changed = copies != least
            meets = copies > 0
            copies = np.where(meets, copies, self._keeping_up(most))
            again = np.flatnonzero(changed & (copies != least))
            if len(again):
                pace = _merged(pace, self.pace(again, copies[again]), again)
        return Served(replicas=copies, meets=meets, pace=pace, best=best, most_requests_per_s=most, in_flight=in_flight)

    def _search(self, rest: Ints, least: Ints, meets: Bools, pace: Pace, caps: Ints) -> tuple[Pace, Floats, Ints]:
        """(pace of idle replicas, requests in flight then, fewest copies that do or 0) with `rest` worked out."""
        idlest = self._idle_copies()[rest]
        idle = self.pace(rest, idlest)
        in_flight = np.zeros(len(least))
        in_flight[rest] = idle.running * idlest
        best = _merged(pace, idle, rest)
        copies = np.where(meets, least, 0)
        open_ = ~meets[rest] & self._good(rest, idlest, idle) & (least[rest] < caps[rest])
        which = rest[open_]
        if len(which):
            found = self._fewest(which, np.maximum(least[which] + 1, self._crowded(which, in_flight[which])), caps)
            stopped = np.full(len(which), self._cap, dtype=np.int64)
            if self._is_rate:  # idle at the power of two before: not worth doubling
                before = _power_below(found)
                running = self.pace(which, np.maximum(found, 1)).running
                idle_there = (found > 1) & (before >= least[which]) & (running * found / before < IDLE_RUNNING)
                found, stopped = np.where(idle_there, 0, found), np.where(idle_there, before, stopped)
            if (given_up := found == 0).any():  # shown as it stood where the search ended
                ended = which[given_up]
                best = _merged(best, self.pace(ended, stopped[given_up]), ended)
            copies[which] = found
        return best, in_flight, copies

    def _least(self, most: Floats) -> Ints:
        """Below R = floor(rate / most) + 1 the queue grows without end; a population takes as many as hold and run its
        shares at once."""
        if self._is_rate:
            needed = np.floor(self._rate / most) + 1
        else:
            needed = np.ceil(self._population / np.maximum(np.floor(self._share()), 1.0))
        return _whole(np.minimum(needed, self._cap))

    def _keeping_up(self, most: Floats) -> Ints:
        """Copies shown where no number meets the limits: for a rate the first power of two that keeps up, for a
        population those that hold it."""
        if self._is_rate:
            doubled = 2.0 ** np.ceil(np.log2(np.floor(self._rate / most) + 1))
            return _whole(np.where(self._starts, np.minimum(doubled, self._cap), 1))
        most_copies = np.minimum(self._population, self._cap)
        possible = self._starts & (self._held >= np.ceil(self._population / most_copies))
        return _whole(np.where(possible, np.ceil(self._population / np.maximum(self._held, 1)), 1))

    def _crowded(self, which: Ints, in_flight: Floats) -> Ints:
        """Copies below which more requests run than each may have: under a rate, requests take longer the busier the
        replicas are, so no fewer run than were all replicas idle."""
        if not self._is_rate:
            return np.ones(len(which), dtype=np.int64)
        needed = np.ceil(SLACK * in_flight / np.maximum(self._may_run[which], 1.0))
        return _whole(np.clip(needed, 1, self._cap))

    def _share(self) -> Floats:
        """Most requests of a population one replica may have: held, run at once, and drafting pays."""
        held: Floats = np.minimum(self._held, self._may_run)
        return held if self._kind.whole_batch else np.minimum(held, self._running)

    def _idle_copies(self) -> Ints:
        if self._is_rate:
            return np.full(len(self._plans), MOST_REPLICAS * 1000, dtype=np.int64)
        return _whole(np.minimum(self._population, MOST_REPLICAS))

    def _fewest(self, which: Ints, least: Ints, caps: Ints) -> Ints:
        """Fewest copies, from `least` up, at which each of `which` is good; 0 where none below the cap is.

        Each round tries several numbers of copies per layout at once, doubling until one is good and then dividing
        what lies between; few layouts leave room for more tries in arrays of the same length.
        """
        found = np.zeros(len(self._plans), dtype=np.int64)
        low = np.zeros(len(self._plans), dtype=np.int64)
        low[which] = least - 1  # invariant: falls short
        pending, begun = which, False
        while len(pending):
            tries = int(np.clip(ARRAY_LENGTH // len(pending), 1, MOST_TRIES))
            copies = _probes(low[pending], found[pending], tries, begun=begun)
            begun = True
            rows = np.repeat(pending, tries)
            tried = copies.ravel()
            good = self._good(rows, tried, self.pace(rows, tried)).reshape(copies.shape)
            first = np.where(good.any(axis=1), good.argmax(axis=1), tries)
            line = np.arange(len(pending))
            hit, missed = first < tries, first > 0
            found[pending[hit]] = copies[line[hit], first[hit]]
            short = copies[line[missed], first[missed] - 1]
            low[pending[missed]] = np.maximum(low[pending[missed]], short)
            known = found[pending] > 0
            more = np.where(known, found[pending] - low[pending] > 1, low[pending] < caps[pending])
            pending = pending[more]
        found[found > caps] = 0
        return found[which]

    def _good(self, which: Ints, copies: Ints, pace: Pace) -> Bools:
        """Whether so many copies do: the load is held and kept up with, and every objective is met."""
        good: Bools = self._starts[which] & (self._held[which] >= 1) & ~pace.saturated
        if self._kind.load is Load.BATCH and self._kind.whole_batch:
            good &= self._flight(which, copies) <= self._held[which]
        if self._kind.load is Load.CONCURRENCY:
            most = self._share() if self._kind.searches else self._held  # what is named may queue
            good &= np.minimum(self._flight(which, copies), self._at_once[which]) <= most[which]
        late, factors = (pace.ttft_p95, pace.tpot_p95, pace.e2e_p95), self._upper_factors(which, pace)
        for limit, values, factor in zip(self._limits, late, factors, strict=True):
            good &= values * factor <= limit[which]
        if self._is_rate:
            good &= np.ceil(pace.running - 1e-9) <= self._longest[which]
        if self._kind.load is not Load.MAX:
            good &= np.ceil(pace.running - 1e-9) <= self._may_run[which]
        return good

    def _upper_factors(self, which: Ints, pace: Pace) -> Sequence[Floats | float]:
        if self._highs is None:
            return 1.0, 1.0, 1.0
        ttft, tpot, e2e = self._highs[:, which]
        means = (pace.ttft, pace.tpot, pace.e2e)
        return cast(Sequence[Floats], upper_factors((ttft, tpot, e2e), means, self._output[which]))

    def _flight(self, which: Ints, copies: Ints) -> Floats:
        """Requests of a population on the fullest of so many copies."""
        flight: Floats = np.ceil(self._population[which] / copies)
        return flight

    def pace(self, which: Ints, copies: Ints) -> Pace:
        """Steady state of the layouts `which`, each with its number of copies."""
        checkpoint()
        if len(which) <= FEW:
            pairs = zip(which.tolist(), copies.tolist(), strict=True)
            return _joined([self._one(row, workload_of(self._of(row), count)) for row, count in pairs])
        flight = self._flight(which, copies)
        if self._kind.load is Load.CONCURRENCY:
            return self._population_paces(which, flight)
        server = self._server(which, flight if self._kind.load is Load.BATCH else None)
        if self._is_rate:
            return self._arrivals(server, which, self._rate[which] / copies)
        state = server.batch(flight) if self._kind.load is Load.BATCH else server.maximum()
        return self._percentiles(state, which, flight)

    def _population_paces(self, which: Ints, flight: Floats) -> Pace:
        """Of servers each with so many requests in flight: those found before as they were, the others solved."""
        plans = [self._plans[row] for row in which.tolist()]
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
        full = taken(self._full_pace(), which)
        waits = rate >= full.requests_per_s
        state = server.arrivals(np.where(waits, 0.5 * full.requests_per_s, rate))
        pace = self._percentiles(state, which, np.full(len(which), 2.0))
        if not waits.any():
            return pace
        mixed = {f.name: np.where(waits, getattr(full, f.name), getattr(pace, f.name)) for f in fields(Pace)}
        return Pace(**mixed | {"saturated": waits})

    def _full_pace(self) -> Pace:
        """Every layout with as many requests as it runs at once, always replaced."""
        if self._full is None:
            every = np.arange(len(self._plans))
            if len(every) <= FEW:
                loads = [replace(workload_of(self._of(row), 1), requests_per_second=ENDLESS) for row in every.tolist()]
                self._full = _joined([self._one(row, load) for row, load in enumerate(loads)])
            else:
                state = self._server(every, None).closed(self._running)
                self._full = self._percentiles(state, every, np.full(len(every), np.inf))
        return self._full

    def _of(self, row: int) -> Scenario:
        return self._scenarios[int(self._owner[row])]

    def _one(self, row: int, workload: Workload) -> tuple[float | bool, ...]:
        """The same of one layout, by the estimate itself."""
        plan = self._plans[row]
        if self._kind.whole_batch and workload.concurrency is not None:
            plan = replace(plan, scheduler=replace(plan.scheduler, running=max(1.0, workload.concurrency)))
            plan = replace(plan, server=_scheduled(plan.server, plan.scheduler))
        state, waits, _ = solve(plan, workload)
        late = p95(state, plan.request, workload, waits)
        means = (float(state.ttft), float(state.tpot), float(state.e2e))
        return (*means, *late, float(state.running), float(state.requests_per_s), waits and self._is_rate)

    def _server(self, which: Ints, flight: Floats | None) -> Server:
        """The servers of `which`; drafting is timed at `flight` requests, or, as in one estimate, at a full server."""
        stack, flights = self._stack(), flight if self._kind.whole_batch else None
        every = len(which) == len(self._plans) and bool((np.diff(which) == 1).all())
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
            self._parts = stack_of(self._plans)
        return self._parts

    def _percentiles(self, state: Steady, which: Ints, flight: Floats) -> Pace:
        """The pace of a steady state. Where more are in flight than run at once, the wait for a place is in the means
        and is not counted again."""
        full = np.isinf(flight)
        if self._kind.load is Load.BATCH:
            late = state.ttft, state.tpot, state.e2e
        else:
            crowds = (flight > self._running[which]) & (not self._kind.whole_batch)
            waiting = np.where(full | crowds, 0.0, state.waiting)
            request = taken(self._stack().request, which)
            late = among_others(replace(state, waiting=waiting), request, self._kind.load, False, ARRAYS)
            if self._kind.load is Load.CONCURRENCY:  # those with one request in flight wait for nobody
                lonely = alone(state)
                late = tuple(np.where(flight <= 1.0, one, many) for one, many in zip(lonely, late, strict=True))
        values = (state.ttft, state.tpot, state.e2e, *late, state.running, state.requests_per_s)
        arrays = [np.broadcast_to(np.asarray(value, dtype=np.float64), len(which)) for value in values]
        return Pace(**dict(zip(_NAMES, (*arrays, full), strict=True)))


_NAMES = tuple(f.name for f in fields(Pace))


def _whole(values: Floats) -> Ints:
    whole: Ints = values.astype(np.int64)
    return whole


def _scheduled(server: Server, scheduler: Scheduler) -> Server:
    return Server(server.shard, server.rates, scheduler, server.request, server.n)


def _joined(rows: Sequence[tuple[float | bool, ...]]) -> Pace:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_NAMES)
    made: dict[str, Any] = {
        name: np.array(column, dtype=np.float64) for name, column in zip(_NAMES, columns, strict=True)
    }
    return Pace(**made | {"saturated": made["saturated"].astype(np.bool_)})


def _probes(low: Ints, high: Ints, tries: int, *, begun: bool = False) -> Ints:
    """Numbers of copies to try, rising along each row: doubling above `low` where no good number is known (`high` 0),
    else evenly between the two. Once `begun`, the first is doubled too, or a single try a round would count by ones."""
    steps = np.arange(1, tries + 1)
    doubled = (low[:, None] + 1) * 2 ** (steps - 1 + begun)[None, :]
    between = low[:, None] + np.maximum(1, (high - low)[:, None] * steps[None, :] // (tries + 1))
    tried: Ints = np.where(
        (high > 0)[:, None], np.minimum(between, high[:, None]), np.minimum(doubled, 2 * MOST_DOUBLED)
    )
    return tried


def _power_below(copies: Ints) -> Ints:
    """The power of two below each number of copies: where a search that doubles stood before it found them. Replicas
    that are idle there, with n / 2^j of the requests in flight each, were not worth doubling."""
    return np.maximum(2.0 ** (np.ceil(np.log2(np.maximum(copies, 2))) - 1.0), 1.0).astype(np.int64)


def _merged(base: Pace, better: Pace, where: Ints) -> Pace:
    merged = {}
    for f in fields(Pace):
        values = getattr(base, f.name).copy()
        values[where] = getattr(better, f.name)
        merged[f.name] = values
    return Pace(**merged)
