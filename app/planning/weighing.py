"""Layouts weighed side by side: served, bought, and whether each meets every limit, one array element each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from app.planning.fleet import Bools, Fleet, Floats, Ints, Outcome, Served
from app.planning.layouts import Layout
from app.planning.purchase import Purchase
from app.planning.quality_bar import Judgement
from app.planning.question import Question

Market = tuple[tuple[Purchase, ...], ...]  # of each chip, the machines that carry it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """Per layout: its cheapest machine, how many, and what they cost a month; infinite where it is not offered."""

    machine: Ints
    instances: Ints
    usd: Floats
    offers: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """One element per layout. `speed`: offered, and fast enough in some number; `passing`: meets every limit."""

    layouts: tuple[Layout, ...]
    variant: Ints
    chip: Ints
    tp: Ints
    runs: Bools
    drafts: Bools
    outcome: Outcome
    bought: Bought
    speed: Bools
    passing: Bools


def weigh(question: Question, layouts: Sequence[Layout], market: Market, judgements: tuple[Judgement, ...]) -> Weighing:
    """Every layout with the fewest replicas that do the job, on the machines that then cost least."""
    variant = np.array([layout.variant for layout in layouts], dtype=np.int64)
    chip = np.array([layout.chip for layout in layouts], dtype=np.int64)
    tp = np.array([layout.laid.tp for layout in layouts], dtype=np.int64)
    outcome = _serve(question, layouts)
    bought = buy(market, chip, tp, outcome.replicas)
    good = np.array([judged.passes for judged in judgements], dtype=np.bool_)[variant]
    budget = question.budget_usd_per_month
    afford = bought.usd <= (float("inf") if budget is None else float(budget))
    speed = outcome.meets & np.isfinite(bought.usd)
    return Weighing(
        layouts=tuple(layouts),
        variant=variant,
        chip=chip,
        tp=tp,
        runs=np.array([layout.laid.replica is not None for layout in layouts], dtype=np.bool_),
        drafts=np.array([layout.drafting is not None for layout in layouts], dtype=np.bool_),
        outcome=outcome,
        bought=bought,
        speed=speed,
        passing=speed & good & afford,
    )


def joined(first: Weighing, second: Weighing) -> Weighing:
    """The layouts of both, the first's in front."""
    return Weighing(**{f.name: _both(getattr(first, f.name), getattr(second, f.name)) for f in fields(Weighing)})


def _both(first: Any, second: Any) -> Any:
    if isinstance(first, np.ndarray):
        return np.concatenate([first, second])
    if isinstance(first, tuple):
        return (*first, *second)
    names = [f.name for f in fields(first)]
    return type(first)(**{name: _both(getattr(first, name), getattr(second, name)) for name in names})


def _serve(question: Question, layouts: Sequence[Layout]) -> Outcome:
    """The fleet's outcome, over all layouts: those without a server never meet."""
    runs = [i for i, layout in enumerate(layouts) if layout.laid.replica is not None]
    if len(runs) == len(layouts) and runs:
        return _fleet(question, layouts)
    total = len(layouts)
    nowhere = Served(**{f.name: np.full(total, np.nan) for f in fields(Served)})
    none = Outcome(
        replicas=np.ones(total, dtype=np.int64),
        meets=np.zeros(total, dtype=np.bool_),
        served=nowhere,
        most_requests_per_s=np.zeros(total),
        idle=nowhere,
        in_flight=np.zeros(total),
    )
    if not runs:
        return none
    placed: Outcome = _placed(none, _fleet(question, [layouts[i] for i in runs]), np.array(runs, dtype=np.int64))
    return placed


def _fleet(question: Question, layouts: Sequence[Layout]) -> Outcome:
    plans = [layout.laid.replica for layout in layouts if layout.laid.replica is not None]
    running = np.array([layout.most_running for layout in layouts])
    held = np.array([float(layout.laid.max_concurrency) for layout in layouts])
    return Fleet(plans, running, held, question.scenario).answer()


def _placed(base: Any, values: Any, rows: Ints) -> Any:
    """`base` with `values` in `rows`, array by array."""
    if isinstance(base, np.ndarray):
        filled = base.copy()
        filled[rows] = values
        return filled
    names = [f.name for f in fields(base)]
    return type(base)(**{name: _placed(getattr(base, name), getattr(values, name), rows) for name in names})


def buy(market: Market, chip: Ints, tp: Ints, replicas: Ints) -> Bought:
    """For each row, the machine that carries its replicas for least; ties go to the first."""
    total = len(chip)
    machine, instances = np.full(total, -1, dtype=np.int64), np.zeros(total, dtype=np.int64)
    usd, offers = np.full(total, np.inf), np.zeros(total, dtype=np.int64)
    for c, sold in enumerate(market):
        rows = np.flatnonzero(chip == c)
        for m, purchase in enumerate(sold):
            possible = rows[tp[rows] <= (purchase.most or purchase.gpus)]
            offers[possible] += purchase.offers
            needed = _machines(replicas[possible], tp[possible], purchase)
            cost = needed * purchase.usd_per_month
            if purchase.most is not None:
                cost = np.where(needed <= purchase.most, cost, np.inf)
            cheaper = (cost < usd[possible]) | (machine[possible] < 0)
            rows_now = possible[cheaper]
            machine[rows_now], instances[rows_now], usd[rows_now] = m, needed[cheaper], cost[cheaper]
    return Bought(machine=machine, instances=instances, usd=usd, offers=offers)


def _machines(replicas: Ints, tp: Ints, purchase: Purchase) -> Ints:
    """Machines for the replicas: ceil(R / floor(g / tp)); owned accelerators are counted one by one."""
    if purchase.most is not None:
        return replicas * tp
    return -(-replicas // (purchase.gpus // tp))
