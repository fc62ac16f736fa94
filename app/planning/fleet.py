"""Many layouts served at once: the replicas each needs for a load, by the formulas of one estimate over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.planning.loads import workload_of
from app.planning.replicas import IDLE_RUNNING, MOST_REPLICAS
from app.scenario import LoadMode, Scenario
from estimators.latency.numeric import ARRAYS
from estimators.latency.plan import ReplicaPlan
from estimators.latency.quantiles import alone, among_others
from estimators.latency.serving import Server, Steady
from estimators.latency.sharding import Product, Shard
from estimators.workload import Load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ARRAY_LENGTH = 2048  # below this, numpy spends its time on calls rather than on numbers
MOST_TRIES = 8
SLACK = 0.999  # of a bound from another solution of the same steady state, which is found to 1e-4


def stacked(items: Sequence[Any]) -> Any:
    """The dataclass whose numbers are arrays over `items`; names and flags, which no formula reads, are the first's."""
    first = items[0]
    if is_dataclass(first) and not isinstance(first, type):
        return replace(first, **{f.name: stacked([getattr(item, f.name) for item in items]) for f in fields(first)})
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return np.array(items, dtype=np.float64)
    return first


def taken(stack: Any, which: Ints) -> Any:
    """The elements `which` of every array of a stack."""
    if is_dataclass(stack) and not isinstance(stack, type):
        return replace(stack, **{f.name: taken(getattr(stack, f.name), which) for f in fields(stack)})
    return stack[which] if isinstance(stack, np.ndarray) else stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One element per layout: 95th percentiles in seconds, requests running in one replica, requests/s of one."""

    ttft: Floats
    tpot: Floats
    e2e: Floats
    running: Floats
    requests_per_s: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What each layout came to: the fewest replicas that keep up and meet every objective, where any number does.

    `served` is at `replicas`; where `meets` is False it is of an all but idle replica, so it shows the best that more
    machines could do, and `replicas` are those that merely keep up.
    """

    replicas: Ints
    meets: Bools
    served: Served
    most_requests_per_s: Floats  # one replica, when full
    idle: Served  # an all but idle replica; where replicas are given, as `served`
    in_flight: Floats  # requests decoding over all replicas, were they all but idle; 0 where replicas are given


class Fleet:
    """Layouts with a server each, under one scenario's load. `most_running` is what each may have decoding, `most_held`
    the requests of full length its cache holds."""

    def __init__(
        self, plans: Sequence[ReplicaPlan], most_running: Floats, most_held: Floats, scenario: Scenario
    ) -> None:
        self._plans = plans
        self._parts = tuple(
            stacked(parts)
            for parts in (
                [plan.shard for plan in plans],
                [plan.server.rates for plan in plans],
                [plan.scheduler for plan in plans],
                [plan.request for plan in plans],
            )
        )
        self._draft = _drafts(plans, self._parts[1]) if any(plan.draft for plan in plans) else None
        self._capacity = most_running
        self._share = np.minimum(most_held, self._parts[2].running)  # of a population: held, and run at once
        self._scenario = scenario

    def answer(self) -> Outcome:
        """The fewest replicas of each layout: a lower bound from its full throughput, doubled, then halved back."""
        every = np.arange(len(self._plans))
        running = self._parts[2].running
        full = self._server(every, running).closed(running)
        most = np.asarray(full.requests_per_s, dtype=np.float64)
        scenario = self._scenario
        if scenario.rate is None and (scenario.requests_in_flight is None or scenario.load is LoadMode.BATCH):
            copies = np.full(len(every), scenario.replicas or 1, dtype=np.int64)
            served = self.serve(every, copies)
            meets, none = self._good(every, copies, served), np.zeros(len(every))
            return Outcome(
                replicas=copies, meets=meets, served=served, most_requests_per_s=most, idle=served, in_flight=none
            )
        least = np.ones(len(every), dtype=np.int64)
        if scenario.rate is not None:  # below R = floor(rate / most) + 1 the queue grows without end
            least = np.minimum(np.floor(scenario.rate / most) + 1, MOST_REPLICAS).astype(np.int64)
        else:
            shares = np.ceil((scenario.requests_in_flight or 1) / np.maximum(np.floor(self._share), 1.0))
            least = np.minimum(shares, MOST_REPLICAS).astype(np.int64)
        many = np.full(len(every), self._idle_copies(), dtype=np.int64)
        idle = self.serve(every, many)
        in_flight = idle.running * self._idle_copies()
        possible = self._good(every, many, idle) & (least < MOST_REPLICAS)
        copies = self._fewest(every[possible], np.maximum(least, self._crowded(in_flight)))
        meets, served = possible & (copies > 0), idle
        given_up = np.where(possible & ~meets, MOST_REPLICAS, 0)  # where the search ended, were it without success
        copies = np.where(meets, copies, least)
        if meets.any():
            served = _merged(idle, self.serve(every[meets], copies[meets]), meets)
            before = _power_below(copies)
            idling = served.running * copies / before < IDLE_RUNNING
            wasted = meets & (scenario.rate is not None) & (copies > 1) & idling
            meets, given_up = meets & ~wasted, np.where(wasted, before, given_up)
        if (short := given_up > 0).any():  # shown as it stood there: all but idle, and a limit missed
            copies = np.where(short, given_up, copies)
            served = _merged(served, self.serve(every[short], copies[short]), short)
        return Outcome(
            replicas=copies, meets=meets, served=served, most_requests_per_s=most, idle=idle, in_flight=in_flight
        )

    def _crowded(self, in_flight: Floats) -> Ints:
        """Copies below which more requests run than each may have: under a rate, requests take longer the busier the
        replicas are, so no fewer run than were all replicas idle."""
        if self._scenario.rate is None:
            return np.ones(len(in_flight), dtype=np.int64)
        needed = np.ceil(SLACK * in_flight / np.maximum(self._capacity, 1.0))
        return np.clip(needed, 1, MOST_REPLICAS).astype(np.int64)

    def _flight(self, copies: Ints) -> Floats:
        """Requests of a population on the fullest of so many copies."""
        return np.ceil((self._scenario.requests_in_flight or 1) / copies)

    def _idle_copies(self) -> int:
        flight = self._scenario.requests_in_flight
        return MOST_REPLICAS * 1000 if flight is None else flight

    def _fewest(self, which: Ints, least: Ints) -> Ints:
        """Fewest copies, from `least` up, at which each of `which` is good; 0 where none below the limit is.

        Each round tries several numbers of copies per layout at once, doubling until one is good and then dividing
        what lies between; few layouts leave room for more tries in arrays of the same length.
        """
        found = np.zeros(len(least), dtype=np.int64)
        low = least - 1  # invariant: falls short
        pending = which
        while len(pending):
            tries = int(np.clip(ARRAY_LENGTH // len(pending), 1, MOST_TRIES))
            copies = _probes(low[pending], found[pending], tries)
            rows = np.repeat(pending, tries)
            tried = copies.ravel()
            good = self._good(rows, tried, self.serve(rows, tried)).reshape(copies.shape)
            first = np.where(good.any(axis=1), good.argmax(axis=1), tries)
            line = np.arange(len(pending))
            hit, missed = first < tries, first > 0
            found[pending[hit]] = copies[line[hit], first[hit]]
            short = copies[line[missed], first[missed] - 1]
            low[pending[missed]] = np.maximum(low[pending[missed]], short)
            known = found[pending] > 0
            pending = pending[(known & (found[pending] - low[pending] > 1)) | (~known & (low[pending] < MOST_REPLICAS))]
        found[found > MOST_REPLICAS] = 0
        return found

    def serve(self, which: Ints, copies: Ints) -> Served:
        """Steady state of the layouts `which`, each with its number of copies, none of them overloaded."""
        scenario = self._scenario
        flight = self._flight(copies)
        server = self._server(which, None if scenario.requests_in_flight is None else flight)
        if scenario.rate is not None:
            state = server.arrivals(scenario.rate / copies)
        elif scenario.load is LoadMode.MAX:
            state = server.maximum()
        else:
            state = server.batch(flight) if scenario.load is LoadMode.BATCH else server.closed(flight)
        return self._percentiles(which, flight, state)

    def _server(self, which: Ints, flight: Floats | None) -> Server:
        """The servers of `which`; drafting is timed at `flight` requests, or, as in one estimate, at a full server."""
        everyone = len(which) == len(self._plans) and bool((which == np.arange(len(which))).all())
        parts = self._parts if everyone else tuple(taken(part, which) for part in self._parts)
        shard, rates, scheduler, request = parts
        if self._draft is not None:
            draft = self._draft if everyone else taken(self._draft, which)
            running = scheduler.running if flight is None else np.minimum(flight, scheduler.running)
            request = draft.request(request, running, ARRAYS.minimum)
        return Server(shard, rates, scheduler, request, ARRAYS)

    def _percentiles(self, which: Ints, flight: Floats, state: Steady) -> Served:
        scenario, request = self._scenario, taken(self._parts[3], which)
        if scenario.load is LoadMode.BATCH:
            late = state.ttft, state.tpot, state.e2e
        else:
            late = among_others(state, request, self._load, False, ARRAYS)
            if self._load is Load.CONCURRENCY:  # those with one request in flight wait for nobody
                lonely = alone(state)
                late = tuple(np.where(flight <= 1.0, one, many) for one, many in zip(lonely, late, strict=True))
        ttft, tpot, e2e, running, rate = (
            np.broadcast_to(np.asarray(values, dtype=np.float64), len(which))
            for values in (*late, state.running, state.requests_per_s)
        )
        return Served(ttft=ttft, tpot=tpot, e2e=e2e, running=running, requests_per_s=rate)

    @property
    def _load(self) -> Load:
        return workload_of(self._scenario, 1).load

    def _good(self, which: Ints, copies: Ints, served: Served) -> Bools:
        scenario = self._scenario
        good = np.ones(len(which), dtype=np.bool_)
        if self._load is Load.CONCURRENCY:
            good &= self._flight(copies) <= self._share[which]
        for limit, values in ((scenario.ttft, served.ttft), (scenario.tpot, served.tpot), (scenario.e2e, served.e2e)):
            if limit is not None:
                good &= values <= limit
        if scenario.load is not LoadMode.MAX:
            good &= np.ceil(served.running - 1e-9) <= self._capacity[which]
        return good


def _drafts(plans: Sequence[ReplicaPlan], rates: Any) -> Any:
    """What drafts, over all plans: one without drafting drafts no token, in no time, and gains one a step."""
    first = next(plan.draft for plan in plans if plan.draft is not None)
    nothing = Product()
    empty = Shard(linear=nothing, wide=nothing, expert=nothing, head=nothing)
    none = replace(first, tokens=0, acceptance=0.0, gained=1.0, shard=empty, host_s=0.0)
    drafts = [plan.draft or none for plan in plans]
    shards = stacked([draft.shard or empty for draft in drafts])
    numbers: dict[str, Any] = {
        name: np.array([getattr(draft, name) for draft in drafts], dtype=np.float64)
        for name in ("tokens", "acceptance", "gained", "host_s")
    }
    return replace(first, shard=shards, rates=rates, **numbers)


def _probes(low: Ints, high: Ints, tries: int) -> Ints:
    """Numbers of copies to try, rising along each row: doubling above `low` where no good number is known (`high` 0),
    else evenly between the two."""
    steps = np.arange(1, tries + 1)
    doubled = (low[:, None] + 1) * 2 ** (steps - 1)[None, :]
    doubled = np.where(low[:, None] == 0, 2 ** (steps - 1)[None, :], doubled)
    between = low[:, None] + np.maximum(1, (high - low)[:, None] * steps[None, :] // (tries + 1))
    tried: Ints = np.where(
        (high > 0)[:, None], np.minimum(between, high[:, None]), np.minimum(doubled, 2 * MOST_REPLICAS)
    )
    return tried


def _power_below(copies: Ints) -> Ints:
    """The power of two below each number of copies: where a search that doubles stood before it found them. Replicas
    that are idle there, with n / 2^j of the requests in flight each, were not worth doubling."""
    return np.maximum(2.0 ** (np.ceil(np.log2(np.maximum(copies, 2))) - 1.0), 1.0).astype(np.int64)


def _merged(base: Served, better: Served, where: Bools) -> Served:
    merged = {}
    for f in fields(Served):
        values = getattr(base, f.name).copy()
        values[where] = getattr(better, f.name)
        merged[f.name] = values
    return Served(**merged)
