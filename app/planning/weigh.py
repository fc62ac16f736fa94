"""Ways weighed side by side: layouts served, put on machines, bought, and held against every limit. Arrays only.

A *layout* is a variant over a chip; a *way* is a layout on one machine that carries the chip, at its cheapest offer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from app.planning.loads import workload_of
from app.planning.market import Market
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.replicas import Served
from app.planning.stacks import Bools, Floats, Ints, is_kept
from app.planning.ways import Layout
from estimators.latency.model import kind_of, spread_highs, upper_factors
from estimators.remembered import Remembered

SAME_PRICE = 1e-9  # relative
LAYOUTS_KEPT = 32  # sets of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """The first arrays have one element per layout, those from `layout` on one per way."""

    layouts: tuple[Layout, ...]
    variant: Ints
    chip: Ints
    gpus: Ints
    runs: Bools  # it has a server
    drafts: Bools
    served: Served
    layout: Ints
    machine: Ints  # of the chip's carriers
    instances: Ints
    usd: Floats  # a month; infinite where it is not offered
    gone: Bools  # at a spot price too old to choose by
    offers: Ints  # ways to buy it
    speed: Bools  # runs here, is to be had, and fast enough in some number
    passing: Bools  # meets every limit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrays:
    """Layouts as arrays."""

    variant: Ints
    chip: Ints
    gpus: Ints
    tp: Ints
    supported: Bools
    runs: Bools
    drafts: Bools


_ARRAYS: Remembered[_Arrays] = Remembered(LAYOUTS_KEPT)


def _as_arrays(layouts: Sequence[Layout]) -> _Arrays:
    def made() -> _Arrays:
        return _Arrays(
            variant=np.array([layout.variant for layout in layouts], dtype=np.int64),
            chip=np.array([layout.chip for layout in layouts], dtype=np.int64),
            gpus=np.array([layout.laid.placement.gpus for layout in layouts], dtype=np.int64),
            tp=np.array([layout.laid.placement.tp for layout in layouts], dtype=np.int64),
            supported=np.array([not layout.unsupported for layout in layouts], dtype=np.bool_),
            runs=np.array([layout.laid.replica is not None for layout in layouts], dtype=np.bool_),
            drafts=np.array([layout.drafting is not None for layout in layouts], dtype=np.bool_),
        )

    return _ARRAYS.of((layouts,), None, made) if is_kept(layouts) else made()


def weigh(
    question: Question,
    layouts: Sequence[Layout],
    served: Served,
    market: Market,
    judgements: Sequence[Judgement],
) -> Weighed:
    """Every layout, served with the fewest replicas that do the job, on each machine that carries it."""
    is_ = _as_arrays(layouts)
    way = buy(market, is_.chip, is_.gpus, served.replicas, named=question.scenario.gpus is not None)
    good = np.array([judged.passes for judged in judgements], dtype=np.bool_)[is_.variant]
    speed = (served.meets & is_.supported)[way.layout] & way.sold & (is_.tp[way.layout] <= way.carried)
    budget = question.budget_usd_per_month
    return Weighed(
        layouts=tuple(layouts),
        variant=is_.variant,
        chip=is_.chip,
        gpus=is_.gpus,
        runs=is_.runs,
        drafts=is_.drafts,
        served=served,
        layout=way.layout,
        machine=way.machine,
        instances=way.instances,
        usd=way.usd,
        gone=way.gone,
        offers=way.offers,
        speed=speed,
        passing=speed & good[way.layout] & (budget is None or way.usd <= float(budget or 0)),
    )


def joined(first: Weighed, second: Weighed) -> Weighed:
    """The layouts and ways of both, the first's in front."""
    both = {f.name: _both(getattr(first, f.name), getattr(second, f.name)) for f in fields(Weighed)}
    both["layout"] = np.concatenate([first.layout, second.layout + len(first.layouts)])
    return Weighed(**both)


def _both(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    if isinstance(first, tuple):
        return (*first, *second)
    names = [f.name for f in fields(first)]
    return type(first)(**{name: _both(getattr(first, name), getattr(second, name)) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """Per way: its layout, the machine and how many, and what they cost a month."""

    layout: Ints
    machine: Ints
    instances: Ints
    usd: Floats
    offers: Ints
    gone: Bools
    sold: Bools
    carried: Ints  # accelerators of the machine, or owned


def buy(market: Market, chip: Ints, gpus: Ints, replicas: Ints, *, named: bool = False) -> Bought:
    """Every layout on every machine that carries its replicas: n = ceil(R / floor(g / k)) machines of g accelerators
    for replicas of k, or R ceil(k / g) where the size was `named` and a replica spans several.

    An accelerator AWS does not sell is one machine per replica; owned accelerators are counted one by one.
    """
    counts = market.counts[chip]
    layout = np.repeat(np.arange(len(chip)), counts)
    ends = np.cumsum(counts)
    stall = np.arange(len(layout)) - np.repeat(ends - counts, counts) + np.repeat(market.first[chip], counts)
    if not named:
        carries = gpus[layout] <= market.gpus[stall]
        layout, stall = layout[carries], stall[carries]
    size, copies, most = gpus[layout], replicas[layout], market.gpus[stall]
    inside = np.maximum(most // size, 1)
    needed = np.where(size <= most, -(-copies // inside), copies * -(-size // most))
    needed = np.where(market.owned[stall], copies * size, np.where(market.loose[stall], copies, needed))
    usd = needed * market.usd[stall]
    usd[market.owned[stall] & (needed > most)] = np.inf
    return Bought(
        layout=layout,
        machine=market.place[stall],
        instances=needed,
        usd=usd,
        offers=market.offers[stall],
        gone=market.gone[stall],
        sold=np.isfinite(usd) | market.unpriced[stall],
        carried=most,
    )


def clears(question: Question, weighed: Weighed, market: Market, ways: Ints) -> Bools:
    """Whether the upper ends of the intervals stay within every objective too."""
    scenario, pace = question.scenario, weighed.served.pace
    limits = (scenario.ttft, scenario.tpot, scenario.e2e)
    rows = weighed.layout[ways]
    runs = weighed.runs[rows]
    clear = np.ones(len(ways), dtype=np.bool_)
    if all(limit is None for limit in limits) or not runs.any():
        return clear
    rows = rows[runs]
    each, place = np.unique(rows, return_inverse=True)  # a layout has a way for every machine that carries it
    kinds = {count: kind_of(workload_of(scenario, count)) for count in set(weighed.served.replicas[each].tolist())}
    highs = np.array([_spread_highs(weighed, market, row, kinds) for row in each.tolist()])[place].T
    means = (pace.ttft[rows], pace.tpot[rows], pace.e2e[rows])
    factors = upper_factors((highs[0], highs[1], highs[2]), means, float(scenario.output))
    within = np.ones(len(rows), dtype=np.bool_)
    for limit, late, factor in zip(limits, (pace.ttft_p95, pace.tpot_p95, pace.e2e_p95), factors, strict=True):
        if limit is not None:
            within &= late[rows] * factor <= limit
    clear[runs] = within
    return clear


def _spread_highs(weighed: Weighed, market: Market, row: int, kinds: Mapping[int, str]) -> tuple[float, float, float]:
    replica = weighed.layouts[row].laid.replica
    if replica is None:
        return 1.0, 1.0, 1.0
    accelerator = market.sold[int(weighed.chip[row])][0].machine.accelerator
    return spread_highs(replica, accelerator, kinds[int(weighed.served.replicas[row])])


def ordered(
    question: Question, weighed: Weighed, market: Market, quality: Floats, ways: Ints, *, fewest: bool = False
) -> Ints:
    """Ways in the planner's one order: price; then limits cleared by the whole interval; then quality; then speed;
    then fewer GPUs. What is equal in all goes without drafting, on fewer machines.

    Hardware one has is paid for: of one price, what leaves more of it free comes first. A spot price too old to choose
    by comes after every other. With `fewest`, the size of an accelerator that was named: price, then the fewest that
    do.
    """
    layout = weighed.layout[ways]
    gpus, usd = weighed.gpus[layout], np.where(np.isfinite(weighed.usd[ways]), weighed.usd[ways], np.inf)
    if fewest:
        return ways[np.lexsort((weighed.machine[ways], weighed.instances[ways], gpus, usd, weighed.gone[ways]))]
    tied = _tied(usd, weighed.gone[ways])
    clear = np.ones(len(ways), dtype=np.bool_)
    clear[tied] = clears(question, weighed, market, ways[tied])
    keys = (
        weighed.machine[ways],
        layout,
        weighed.instances[ways],
        weighed.drafts[layout],
        gpus,
        np.round(weighed.served.pace.e2e_p95[layout], 12),
        -quality[weighed.variant[layout]],
        ~clear,
        taken(question, weighed, ways),
        usd,
        weighed.gone[ways],
    )
    return ways[np.lexsort(keys)]


def taken(question: Question, weighed: Weighed, ways: Ints) -> Ints:
    """How many of one's own accelerators each way keeps busy; 0 for what is rented."""
    return weighed.instances[ways] if question.owned else np.zeros(len(ways), dtype=np.int64)


def _tied(usd: Floats, gone: Bools) -> Bools:
    """Elements that share their price with another."""
    in_turn = np.lexsort((usd, gone))
    prices, ages = usd[in_turn], gone[in_turn]
    same = (prices[1:] == prices[:-1]) & (ages[1:] == ages[:-1])
    shared = np.zeros(len(usd), dtype=np.bool_)
    shared[in_turn[1:][same]] = shared[in_turn[:-1][same]] = True
    return shared


def undominated(weighed: Weighed, quality: Floats, in_order: Ints, busy: Ints) -> Ints:
    """`in_order` with its first element one that no other of its price beats or equals in quality, first token and
    time per token, and strictly in one; `busy` as `taken` counts it."""
    if not len(in_order):
        return in_order
    layout = weighed.layout[in_order]
    cheapest = (weighed.usd[in_order] <= weighed.usd[in_order[0]] * (1 + SAME_PRICE)) & (
        weighed.gone[in_order] == weighed.gone[in_order[0]]
    )
    cheapest &= busy == busy[0]
    rivals = np.flatnonzero(cheapest) if np.isfinite(weighed.usd[in_order[0]]) else np.zeros(1, dtype=np.int64)
    pace = weighed.served.pace
    harm = np.stack([-quality[weighed.variant[layout]], pace.ttft_p95[layout], pace.tpot_p95[layout]])[:, rivals]
    for place in range(len(rivals)):
        mine = harm[:, place : place + 1]
        if not bool(((harm <= mine).all(axis=0) & (harm < mine).any(axis=0)).any()):
            first = int(rivals[place])
            return np.concatenate([in_order[first : first + 1], np.delete(in_order, first)])
    return in_order
