"""How many replicas each layout needs for a load: the fewest that do, many layouts side by side, or a few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, cast

import numpy as np

from app.planning.fleet import Fleet, LoadKind, Pace, Servers, servers_of, side_by_side
from app.planning.loads import searches_replicas, workload_of
from app.planning.stacks import ARRAY_LENGTH, Bools, Floats, Ints, taken
from app.planning.ways import Laid, Layout
from app.scenario import Scenario
from estimators.latency.model import upper_factors
from estimators.workload import Engine, Load

MOST_REPLICAS = 10_000  # beyond this a population is refused rather than searched
MOST_DOUBLED = 2**14  # and a rate, which is searched by doubling
IDLE_RUNNING = 0.05  # requests in flight below which a replica is called idle
MOST_TRIES = 8
NO_CAP = 2**62
SLACK = 0.999  # of a bound from another solution of the same steady state, which is found to 1e-4


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
    kinds: dict[LoadKind, list[tuple[int, Servers]]] = {}
    for number, ask in enumerate(asks):
        servers = servers_of(ask.layouts)
        if servers.plans:
            kinds.setdefault(kind_of(ask, servers), []).append((number, servers))
    for kind, places in kinds.items():
        owner = np.repeat([number for number, _ in places], [len(servers.plans) for _, servers in places])
        servers = side_by_side([servers for _, servers in places])
        search = Search(servers, [ask.scenario for ask in asks], owner, kind)
        search.hold_upper_ends([(asks[number].highs, servers.rows) for number, servers in places])
        made = search.answer(partial(_caps, asks, owner, servers.rows))
        for number, own in places:
            mine = made if len(places) == 1 else taken(made, np.flatnonzero(owner == number))
            answers[number] = _placed(answers[number], mine, own.rows)
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


def kind_of(ask: Ask, servers: Servers) -> LoadKind:
    scenario = ask.scenario
    return LoadKind(
        load=workload_of(scenario, 1).load,
        searches=searches_replicas(scenario),
        whole_batch=scenario.engine is Engine.TRANSFORMERS,
        drafts=servers.drafts,
        bounds=ask.bounds,
    )


def most_held(laid: Laid, searches: bool) -> int:
    """Requests one replica's memory holds: where the copies are searched, each as long as the longest context that was
    asked for, so that 8 people who may go up to 32,768 tokens get machines that hold 8 such requests. A machine that is
    named is taken as it is: there requests of prompt + output count."""
    return laid.longest_concurrency if searches else laid.max_concurrency


class Search:
    """For the fewest copies of a fleet's layouts that hold its load, keep up with it and meet every objective."""

    def __init__(self, servers: Servers, scenarios: Sequence[Scenario], owner: Ints, kind: LoadKind) -> None:
        self._fleet, self._kind = Fleet(servers, scenarios, owner, kind), kind
        self._held = servers.longest if kind.searches else servers.held  # as `most_held` has it
        grows = servers.longest < servers.held if kind.searches else False
        self._longest = np.where(grows, servers.longest, np.inf)  # under a rate all may, beyond their own length
        self._may_run, self._starts = servers.may_run, servers.starts
        self._given = np.array([scenario.replicas or 1 for scenario in scenarios], dtype=np.int64)[owner]
        at_once = [s.max_num_seqs * s.dp if s.max_num_seqs else np.inf for s in scenarios]
        self._at_once = np.array(at_once, dtype=np.float64)[owner]  # what is more queues
        limits = [[s.ttft or np.inf, s.tpot or np.inf, s.e2e or np.inf] for s in scenarios]
        self._limits = np.array(limits, dtype=np.float64)[owner].T
        self._output = np.array([float(s.output) for s in scenarios])[owner]
        self._cap = MOST_DOUBLED if self._fleet.is_rate else MOST_REPLICAS
        self._highs: Floats | None = None

    def hold_upper_ends(self, highs: Sequence[tuple[Floats | None, Ints]]) -> None:
        """Hold the limits for the upper ends of the intervals, where these are given: (of some layouts, rows among
        them) in turn."""
        if any(ends is not None for ends, _ in highs):
            parts = [np.ones((3, len(rows))) if ends is None else ends[:, rows] for ends, rows in highs]
            self._highs = np.concatenate(parts, axis=1)

    def answer(self, caps: Callable[[Ints, Bools], Ints]) -> Served:
        """The fewest replicas of each layout, searched up to the caps that the fewest that might do give."""
        every, none = np.arange(len(self._held)), np.zeros(len(self._held))
        most = self._fleet.full_pace().requests_per_s if self._fleet.is_rate else none
        least = self._least(most) if self._kind.searches else self._given
        pace = self._fleet.pace(every, least)
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
                pace = _merged(pace, self._fleet.pace(again, copies[again]), again)
        return Served(replicas=copies, meets=meets, pace=pace, best=best, most_requests_per_s=most, in_flight=in_flight)

    def _search(self, rest: Ints, least: Ints, meets: Bools, pace: Pace, caps: Ints) -> tuple[Pace, Floats, Ints]:
        """(pace of idle replicas, requests in flight then, fewest copies that do or 0) with `rest` worked out."""
        idlest = self._idle_copies()[rest]
        idle = self._fleet.pace(rest, idlest)
        in_flight = np.zeros(len(least))
        in_flight[rest] = idle.running * idlest
        best = _merged(pace, idle, rest)
        copies = np.where(meets, least, 0)
        open_ = ~meets[rest] & self._good(rest, idlest, idle) & (least[rest] < caps[rest])
        which = rest[open_]
        if len(which):
            found = self._fewest(which, np.maximum(least[which] + 1, self._crowded(which, in_flight[which])), caps)
            stopped = np.full(len(which), self._cap, dtype=np.int64)
            if self._fleet.is_rate:  # idle at the power of two before: not worth doubling
                before = _power_below(found)
                running = self._fleet.pace(which, np.maximum(found, 1)).running
                idle_there = (found > 1) & (before >= least[which]) & (running * found / before < IDLE_RUNNING)
                found, stopped = np.where(idle_there, 0, found), np.where(idle_there, before, stopped)
            if (given_up := found == 0).any():  # shown as it stood where the search ended
                ended = which[given_up]
                best = _merged(best, self._fleet.pace(ended, stopped[given_up]), ended)
            copies[which] = found
        return best, in_flight, copies

    def _least(self, most: Floats) -> Ints:
        """Below R = floor(rate / most) + 1 the queue grows without end; a population takes as many as hold and run its
        shares at once."""
        if self._fleet.is_rate:
            needed = np.floor(self._fleet.rate / most) + 1
        else:
            needed = np.ceil(self._fleet.population / np.maximum(np.floor(self._share()), 1.0))
        return _whole(np.minimum(needed, self._cap))

    def _keeping_up(self, most: Floats) -> Ints:
        """Copies shown where no number meets the limits: for a rate the first power of two that keeps up, for a
        population those that hold it."""
        if self._fleet.is_rate:
            doubled = 2.0 ** np.ceil(np.log2(np.floor(self._fleet.rate / most) + 1))
            return _whole(np.where(self._starts, np.minimum(doubled, self._cap), 1))
        most_copies = np.minimum(self._fleet.population, self._cap)
        possible = self._starts & (self._held >= np.ceil(self._fleet.population / most_copies))
        return _whole(np.where(possible, np.ceil(self._fleet.population / np.maximum(self._held, 1)), 1))

    def _crowded(self, which: Ints, in_flight: Floats) -> Ints:
        """Copies below which more requests run than each may have: under a rate, requests take longer the busier the
        replicas are, so no fewer run than were all replicas idle."""
        if not self._fleet.is_rate:
            return np.ones(len(which), dtype=np.int64)
        needed = np.ceil(SLACK * in_flight / np.maximum(self._may_run[which], 1.0))
        return _whole(np.clip(needed, 1, self._cap))

    def _share(self) -> Floats:
        """Most requests of a population one replica may have: held, run at once, and drafting pays."""
        held: Floats = np.minimum(self._held, self._may_run)
        return held if self._kind.whole_batch else np.minimum(held, self._fleet.running)

    def _idle_copies(self) -> Ints:
        if self._fleet.is_rate:
            return np.full(len(self._held), MOST_REPLICAS * 1000, dtype=np.int64)
        return _whole(np.minimum(self._fleet.population, MOST_REPLICAS))

    def _fewest(self, which: Ints, least: Ints, caps: Ints) -> Ints:
        """Fewest copies, from `least` up, at which each of `which` is good; 0 where none below the cap is.

        Each round tries several numbers of copies per layout at once, doubling until one is good and then dividing
        what lies between; few layouts leave room for more tries in arrays of the same length.
        """
        found = np.zeros(len(self._held), dtype=np.int64)
        low = np.zeros(len(self._held), dtype=np.int64)
        low[which] = least - 1  # invariant: falls short
        pending, begun = which, False
        while len(pending):
            tries = int(np.clip(ARRAY_LENGTH // len(pending), 1, MOST_TRIES))
            copies = _probes(low[pending], found[pending], tries, begun=begun)
            begun = True
            rows = np.repeat(pending, tries)
            tried = copies.ravel()
            good = self._good(rows, tried, self._fleet.pace(rows, tried)).reshape(copies.shape)
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
            good &= self._fleet.flight(which, copies) <= self._held[which]
        if self._kind.load is Load.CONCURRENCY:
            most = self._share() if self._kind.searches else self._held  # what is named may queue
            good &= np.minimum(self._fleet.flight(which, copies), self._at_once[which]) <= most[which]
        late, factors = (pace.ttft_p95, pace.tpot_p95, pace.e2e_p95), self._upper_factors(which, pace)
        for limit, values, factor in zip(self._limits, late, factors, strict=True):
            good &= values * factor <= limit[which]
        if self._fleet.is_rate:
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


def _whole(values: Floats) -> Ints:
    whole: Ints = values.astype(np.int64)
    return whole


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
