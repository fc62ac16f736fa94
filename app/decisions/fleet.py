"""Many layouts served at once: the replicas each needs for a load, by the formulas of one estimate over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.loads import workload_of
from app.replicas import MOST_REPLICAS
from app.scenario import LoadMode, Scenario
from estimators.latency.numeric import ARRAYS
from estimators.latency.plan import ReplicaPlan
from estimators.latency.quantiles import p95
from estimators.latency.serving import Server, Steady

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ARRAY_LENGTH = 4096  # below this, numpy spends its time on calls rather than on numbers
MOST_TRIES = 8


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


class Fleet:
    """Layouts with a server each, under one scenario's load."""

    def __init__(self, plans: Sequence[ReplicaPlan], max_concurrency: Ints, scenario: Scenario) -> None:
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
        self._capacity = max_concurrency.astype(np.float64)
        self._scenario = scenario

    def answer(self) -> Outcome:
        """The fewest replicas of each layout: a lower bound from its full throughput, doubled, then halved back."""
        every = np.arange(len(self._plans))
        full = self._server(every).closed(self._parts[2].running)
        most = np.asarray(full.requests_per_s, dtype=np.float64)
        scenario = self._scenario
        if scenario.rate is None and (scenario.requests_in_flight is None or scenario.load is LoadMode.BATCH):
            copies = np.full(len(every), scenario.replicas or 1, dtype=np.int64)
            served = self.serve(every, copies)
            return Outcome(replicas=copies, meets=self._good(every, served), served=served, most_requests_per_s=most)
        least = np.ones(len(every), dtype=np.int64)
        if scenario.rate is not None:  # below R = floor(rate / most) + 1 the queue grows without end
            least = np.minimum(np.floor(scenario.rate / most) + 1, MOST_REPLICAS).astype(np.int64)
        idle = self.serve(every, np.full(len(every), self._idle_copies(), dtype=np.int64))
        possible = self._good(every, idle) & (least < MOST_REPLICAS)
        copies = self._fewest(every[possible], least)
        meets = possible & (copies > 0)
        copies = np.where(meets, copies, least)
        served = idle
        if meets.any():
            served = _merged(idle, self.serve(every[meets], copies[meets]), meets)
        return Outcome(replicas=copies, meets=meets, served=served, most_requests_per_s=most)

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
            good = self._good(rows, self.serve(rows, copies.ravel())).reshape(copies.shape)
            for row, tried, fine in zip(pending.tolist(), copies, good, strict=True):
                first = int(np.argmax(fine)) if fine.any() else tries
                if first < tries:
                    found[row] = tried[first]
                if first > 0:
                    low[row] = max(low[row], tried[first - 1])
            known = found[pending] > 0
            pending = pending[(known & (found[pending] - low[pending] > 1)) | (~known & (low[pending] < MOST_REPLICAS))]
        found[found > MOST_REPLICAS] = 0
        return found

    def serve(self, which: Ints, copies: Ints) -> Served:
        """Steady state of the layouts `which`, each with its number of copies, none of them overloaded."""
        scenario, server = self._scenario, self._server(which)
        if scenario.rate is not None:
            state = server.arrivals(scenario.rate / copies)
        elif scenario.load is LoadMode.MAX:
            state = server.maximum()
        else:
            flight = np.ceil((scenario.requests_in_flight or 1) / copies)
            state = server.batch(flight) if scenario.load is LoadMode.BATCH else server.closed(flight)
        return self._percentiles(which, copies, state)

    def _server(self, which: Ints) -> Server:
        everyone = len(which) == len(self._plans) and bool((which == np.arange(len(which))).all())
        parts = self._parts if everyone else tuple(taken(part, which) for part in self._parts)
        shard, rates, scheduler, request = parts
        return Server(shard, rates, scheduler, request, ARRAYS)

    def _percentiles(self, which: Ints, copies: Ints, state: Steady) -> Served:
        names = [f.name for f in fields(Steady)]
        columns = [np.broadcast_to(getattr(state, name), len(which)).tolist() for name in names]
        workloads = {count: workload_of(self._scenario, count) for count in set(copies.tolist())}
        late = [
            p95(Steady(**dict(zip(names, row, strict=True))), self._plans[index].request, workloads[count], False)
            for index, count, *row in zip(which.tolist(), copies.tolist(), *columns, strict=True)
        ]
        table = np.array(late, dtype=np.float64).reshape(-1, 3)
        return Served(
            ttft=table[:, 0],
            tpot=table[:, 1],
            e2e=table[:, 2],
            running=np.array(columns[names.index("running")], dtype=np.float64),
            requests_per_s=np.array(columns[names.index("requests_per_s")], dtype=np.float64),
        )

    def _good(self, which: Ints, served: Served) -> Bools:
        scenario = self._scenario
        good = np.ones(len(which), dtype=np.bool_)
        for limit, values in ((scenario.ttft, served.ttft), (scenario.tpot, served.tpot), (scenario.e2e, served.e2e)):
            if limit is not None:
                good &= values <= limit
        if scenario.load is not LoadMode.MAX:
            good &= np.ceil(served.running - 1e-9) <= self._capacity[which]
        return good


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


def _merged(base: Served, better: Served, where: Bools) -> Served:
    merged = {}
    for f in fields(Served):
        values = getattr(base, f.name).copy()
        values[where] = getattr(better, f.name)
        merged[f.name] = values
    return Served(**merged)
