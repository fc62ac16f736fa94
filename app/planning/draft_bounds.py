"""Which plain layouts are weighed once more with drafting: all that could come out ahead, by bounds. Pure.

A layout that drafts is built only if it could be the cheapest of its model, precision and accelerator, or as cheap as
the cheapest plan of all, whose speed then decides. Nothing else is left out, because within the model of a step
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

from app.planning.drafting import Drafting
from app.planning.loads import searches_replicas
from app.planning.market import Market
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.replicas import MOST_REPLICAS, SLACK
from app.planning.stacks import Bools, Floats, Ints
from app.planning.ways import Variant
from app.planning.weigh import Weighed, buy
from estimators.latency.speculative import tokens_per_step


def worth_building(
    question: Question,
    variants: Sequence[Variant],
    plain: Weighed,
    market: Market,
    judgements: Sequence[Judgement],
    draftings: Sequence[Sequence[Drafting]],
) -> list[tuple[int, Drafting]]:
    """(a plain layout, how it drafts) for all that could be the cheapest of their group, or of all."""
    everything = not plain.passing.any()
    good = np.array([judged.passes for judged in judgements], dtype=np.bool_)[plain.variant]
    under = _best_of_group(variants, plain, good)
    level = np.where(good, plain.usd[plain.passing].min(initial=np.inf), -np.inf)
    found: list[tuple[int, Drafting]] = []
    for drafting in dict.fromkeys(one for several in draftings for one in several):
        able = np.array([drafting in several for several in draftings])
        rows = np.flatnonzero(plain.runs & able[plain.variant])
        if not everything:
            least, possible = least_usd(question, plain, market, drafting, rows)
            rows = rows[possible & ((least < under[rows]) | (least <= level[rows]))]
        found += [(row, drafting) for row in rows.tolist()]
    return sorted(found, key=lambda pair: pair[0])


def group_of(variants: Sequence[Variant], plain: Weighed) -> Ints:
    """A number per model, weights and accelerator: the plans of a group compete, one of each is shown."""
    names: dict[tuple[str, str], int] = {}
    of_variant = np.array([names.setdefault((v.model, v.precision.weights.value), len(names)) for v in variants])
    return of_variant[plain.variant] * (int(plain.chip.max(initial=0)) + 1) + plain.chip


def _best_of_group(variants: Sequence[Variant], plain: Weighed, good: Bools) -> Floats:
    """Per layout, the cost that one that drafts has to stay under: the cheapest plain plan of the group that passes, or
    where quality fails anyway, that is fast enough."""
    group = group_of(variants, plain)
    least = {}
    for name, which in (("passing", plain.passing), ("speed", plain.speed)):
        table = np.full(int(group.max(initial=0)) + 1, np.inf)
        np.minimum.at(table, group[plain.layout[which]], plain.usd[which])
        least[name] = table[group]
    return np.where(good, least["passing"], least["speed"])


def least_usd(
    question: Question, plain: Weighed, market: Market, drafting: Drafting, rows: Ints
) -> tuple[Floats, Bools]:
    """(what drafting costs at least in each of `rows`, whether it could meet the limits at all)."""
    asked, served = question.scenario, plain.served
    row = drafting.drafted
    gained = tokens_per_step(row.per_token, row.tokens)
    ttft, tpot = served.best.ttft_p95[rows], served.best.tpot_p95[rows] / gained
    e2e = ttft + (served.best.e2e_p95[rows] - ttft) / gained
    possible = np.ones(len(rows), dtype=np.bool_)
    for limit, least in ((asked.ttft, ttft), (asked.tpot, tpot), (asked.e2e, e2e)):
        if limit is not None:
            possible &= SLACK * least <= limit
    copies = np.ones(len(rows), dtype=np.int64)
    if not searches_replicas(asked):
        copies = served.replicas[rows]
    elif asked.rate is not None:
        enough = np.floor(SLACK * asked.rate / (gained * served.most_requests_per_s[rows])) + 1
        crowded = np.ceil(SLACK * served.in_flight[rows] / (gained * drafting.pays_until))
        copies = np.clip(np.maximum(enough, crowded), 1, MOST_REPLICAS).astype(np.int64)
    bought = buy(market, plain.chip[rows], plain.gpus[rows], copies, named=asked.gpus is not None)
    cheapest = np.full(len(rows), np.inf)
    np.minimum.at(cheapest, bought.layout, bought.usd)
    return cheapest, possible
