"""Of ways that are weighed: which comes first, what each plan costs at least, and which could still come first. Pure.

Two ways are one plan where model, precision, machine, region and way to pay are the same: how many machines, and how
the model is laid over them, follows the load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.planning.draft_bounds import least_usd
from app.planning.market import Chip, Market
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.stacks import Bools
from app.planning.ways import Benches, Cell
from app.planning.weigh import SAME_PRICE, ordered, taken, undominated, weigh
from app.planning.weigher import Weigher
from estimators.precision import Weights
from pricing.offers import PurchaseOption


class PlanKey(NamedTuple):
    """What one decides on."""

    model: str
    weights: Weights
    machine: str
    region: str
    option: PurchaseOption | None  # None: nobody sells it


def key_of(weigher: Weigher, way: int) -> PlanKey:
    layout = weigher.layouts[weigher.weighed.layout[way]]
    variant, purchase = weigher.variants[layout.variant], weigher.purchase(way)
    offer = purchase.offer
    return PlanKey(
        model=variant.model,
        weights=variant.precision.weights,
        machine=purchase.machine.name,
        region=offer.region if offer else "",
        option=offer.option if offer else None,
    )


def first(weigher: Weigher, which: Bools | None = None) -> int | None:
    """What `Weigher.choice` puts first, of a mask where one is given, without ordering what costs more; of those the
    model and format that the question favours, where they are among them."""
    w = weigher.weighed
    rows = np.flatnonzero(w.passing if which is None else w.passing & which)
    if not len(rows):
        return None
    rows = rows[w.gone[rows] == w.gone[rows].min()]
    rows = rows[w.usd[rows] <= w.usd[rows].min() * (1 + SAME_PRICE)]
    favoured = [(v.model, v.precision.weights) == weigher.question.favoured for v in weigher.variants]
    if (kept := rows[np.array(favoured, dtype=np.bool_)[w.variant[w.layout[rows]]]]).size:
        rows = kept
    in_order = ordered(weigher.question, w, weigher.market, weigher.quality, rows)
    return int(undominated(w, weigher.quality, in_order, taken(weigher.question, w, in_order))[0])


def cheapest_by_plan(weigher: Weigher) -> Mapping[PlanKey, float]:
    """Dollars a month of the cheapest way of each plan that meets every limit; a spot price too old to choose by has
    none."""
    w = weigher.weighed
    rows = np.flatnonzero(w.passing & ~w.gone & np.isfinite(w.usd))
    rows = rows[np.argsort(w.usd[rows], kind="stable")]
    places = np.stack([w.variant[w.layout[rows]], w.chip[w.layout[rows]], w.machine[rows]])
    _, once = np.unique(places, axis=1, return_index=True)
    found: dict[PlanKey, float] = {}
    for way in rows[np.sort(once)].tolist():
        found.setdefault(key_of(weigher, way), float(w.usd[way]))
    return found


def contenders(weigher: Weigher, benches: Sequence[Benches], usd: float) -> frozenset[Cell]:
    """The cells that cost `usd` a month or less at this load, drafting or not: under a load that is no lighter none of
    the others comes before a plan of that price."""
    w, question = weigher.weighed, weigher.question
    most = usd * (1 + SAME_PRICE)
    good = np.array([judged.passes for judged in weigher.judgements], dtype=np.bool_)[w.variant]
    kept = np.zeros(len(w.layouts), dtype=np.bool_)
    kept[w.layout[w.passing & (w.usd <= most)]] = True
    draftings = [tuple(bench.drafting) for bench in benches]
    for drafting in dict.fromkeys(one for several in draftings for one in several):
        able = np.array([drafting in several for several in draftings])
        rows = np.flatnonzero(w.runs & ~w.drafts & good & able[w.variant])
        least, possible = least_usd(question, w, weigher.market, drafting, rows)
        kept[rows[possible & (least <= most)]] = True
    cells = (w.layouts[row] for row in np.flatnonzero(kept).tolist())
    return frozenset(Cell(layout.variant, layout.chip, layout.laid.placement) for layout in cells)


def reweighed(
    weigher: Weigher,
    question: Question,
    chips: Sequence[Chip],
    market: Market,
    judgements: Sequence[Judgement] | None = None,
) -> Weigher:
    """The same layouts, served as they are, at other prices or against another bar."""
    other = Weigher(question, weigher.variants, chips, market, judgements or weigher.judgements)
    other.weighed = weigh(question, weigher.layouts, weigher.weighed.served, market, other.judgements)
    return other
