"""Which plain layouts are weighed once more with drafting: all that could come out ahead, by bounds. Pure.

A layout that drafts is built only if it could be the cheapest of its model, precision and accelerator. Nothing else
is left out, because within the model of a step
- a step that drafts and verifies is never faster than a plain one and yields `gained` tokens on average, so times
  after the first token shrink by `gained` at most and the time to first token not at all;
- hence a replica serves at most `gained` times the requests, by Little's law;
- requests in flight over all replicas are at least those of idle replicas, over `gained`, and no replica may have
  more of them than drafting is published to pay at.
These bound the replicas, and so the cost, from below. Where no plain layout meets every limit all are built.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.planning.fleet import SLACK, Bools, Floats, Ints
from app.planning.layouts import Variant
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.replicas import MOST_REPLICAS
from app.planning.speculation import Drafting
from app.planning.weighing import Market, Weighing, buy
from estimators.latency.speculative import tokens_per_step


def group_of(variants: Sequence[Variant], plain: Weighing) -> Ints:
    """A number per model, weights and accelerator: the plans of a group compete, one of each is shown."""
    names: dict[tuple[str, str], int] = {}
    of_variant = np.array([names.setdefault((v.model, v.precision.weights.value), len(names)) for v in variants])
    return of_variant[plain.variant] * (int(plain.chip.max(initial=0)) + 1) + plain.chip


def worth_building(
    question: Question,
    variants: Sequence[Variant],
    plain: Weighing,
    market: Market,
    judgements: tuple[Judgement, ...],
    draftings: Sequence[Sequence[Drafting]],
) -> list[tuple[int, Drafting]]:
    """(row of a plain layout, how it drafts) for all that could be the cheapest of their group."""
    everything = not plain.passing.any()
    best = _best_of_group(variants, plain, judgements)
    found: list[tuple[int, Drafting]] = []
    for drafting in dict.fromkeys(one for several in draftings for one in several):
        able = np.array([drafting in several for several in draftings])
        rows = np.flatnonzero(plain.runs & able[plain.variant])
        if not everything:
            rows = rows[_could_win(question, plain, market, drafting, rows, best)]
        found += [(row, drafting) for row in rows.tolist()]
    return sorted(found, key=lambda pair: pair[0])


def _best_of_group(variants: Sequence[Variant], plain: Weighing, judgements: tuple[Judgement, ...]) -> Floats:
    """Per row, the cost that a drafting layout has to stay under: the cheapest plain plan of the group that passes, or
    where quality fails anyway, that is fast enough."""
    group = group_of(variants, plain)
    good = np.array([judged.passes for judged in judgements], dtype=np.bool_)[plain.variant]
    least = {}
    for name, which in (("passing", plain.passing), ("speed", plain.speed)):
        table = np.full(int(group.max(initial=0)) + 1, np.inf)
        np.minimum.at(table, group[which], plain.bought.usd[which])
        least[name] = table[group]
    return np.where(good, least["passing"], least["speed"])


def _could_win(
    question: Question, plain: Weighing, market: Market, drafting: Drafting, rows: Ints, best: Floats
) -> Bools:
    asked, outcome = question.scenario, plain.outcome
    row = drafting.drafted
    gained = tokens_per_step(row.per_token, row.tokens)
    idle = outcome.idle
    ttft, tpot = idle.ttft[rows], idle.tpot[rows] / gained
    e2e = ttft + (idle.e2e[rows] - ttft) / gained
    possible = np.ones(len(rows), dtype=np.bool_)
    for limit, least in ((asked.ttft, ttft), (asked.tpot, tpot), (asked.e2e, e2e)):
        if limit is not None:
            possible &= SLACK * least <= limit
    copies = np.ones(len(rows), dtype=np.int64)
    if asked.rate is not None:
        served = np.floor(SLACK * asked.rate / (gained * outcome.most_requests_per_s[rows])) + 1
        crowded = np.ceil(SLACK * outcome.in_flight[rows] / (gained * drafting.pays_until))
        copies = np.clip(np.maximum(served, crowded), 1, MOST_REPLICAS).astype(np.int64)
    elif asked.replicas is not None or asked.requests_in_flight is None:
        copies = outcome.replicas[rows]
    least_usd = buy(market, plain.chip[rows], plain.tp[rows], copies).usd
    return possible & (least_usd < best[rows])
