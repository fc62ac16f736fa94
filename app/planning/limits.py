"""Where a way stands against every limit: what it holds, how fast it is, what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from app.planning.budget import checkpoint
from app.planning.loads import searches_replicas
from app.planning.market import Purchase
from app.planning.plan import Holding, Limit
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.replicas import MOST_REPLICAS, most_held
from app.planning.weigh import Weighed
from app.scenario import LoadMode, Scenario
from estimators.workload import Engine


def holding(scenario: Scenario, weighed: Weighed, row: int) -> Holding | None:
    """What a replica of the layout holds; None of one that was not laid."""
    laid = weighed.layouts[row].laid
    if laid.refusal is not None or laid.skipped:
        return None
    share = share_of(scenario, weighed, row)
    return Holding(
        memory_bytes=laid.demand(share),
        budget_bytes=laid.budget_bytes,
        max_concurrency=laid.max_concurrency,
        fits=laid.starts and share <= most_held(laid, searches_replicas(scenario)),
    )


def share_of(scenario: Scenario, weighed: Weighed, row: int) -> int:
    """Requests in flight that one replica's memory has to hold."""
    served = weighed.served
    held = most_held(weighed.layouts[row].laid, searches_replicas(scenario))
    if scenario.load is LoadMode.MAX:
        return 1
    if scenario.rate is not None:
        running = served.pace.running[row]
        return max(1, min(int(np.ceil(running)), held)) if np.isfinite(running) else 1
    flight = scenario.requests_in_flight or 1
    share = math.ceil(flight / int(served.replicas[row]))
    if scenario.max_num_seqs is not None:  # what is more queues
        share = min(share, scenario.max_num_seqs * scenario.dp)
    if scenario.load is LoadMode.BATCH:  # in waves, but for plain transformers
        return share if scenario.engine is Engine.TRANSFORMERS else max(1, min(share, held))
    if share > held and searches_replicas(scenario):  # no number of copies holds it: the least that was tried
        return math.ceil(flight / min(flight, MOST_REPLICAS))
    return share


def limits_of(
    question: Question,
    weighed: Weighed,
    way: int,
    *,
    judged: Judgement,
    bought: Purchase,
    held: Holding | None,
    best: bool = False,
) -> Iterator[Limit]:
    """Where the way stands; with `best`, in as many copies as help."""
    checkpoint()
    row = int(weighed.layout[way])
    layout = weighed.layouts[row]
    if layout.laid.refusal is not None:
        return
    if not layout.laid.skipped:
        yield from _speed_limits(question.scenario, weighed, row, held, best)
    if question.bar is not None and judged.result is not None:
        bar = question.bar.minimum_ratio
        known = judged.known and judged.result.margin is not None
        value = bar + (judged.result.margin or 0.0) if known else None
        yield Limit(key="quality", limit=bar, value=value, floor=True)
    usd = float(weighed.usd[way])
    if not np.isfinite(usd):
        if bought.machine.instance is not None or question.owned:
            yield Limit(key="offer", limit=1.0, value=0.0, floor=True)
    elif question.budget_usd_per_month is not None:
        yield Limit(key="budget", limit=float(question.budget_usd_per_month), value=usd)


def _speed_limits(asked: Scenario, weighed: Weighed, row: int, held: Holding | None, best: bool) -> Iterator[Limit]:
    layout = weighed.layouts[row]
    if held is not None:
        yield Limit(key="memory", limit=held.budget_bytes, value=held.memory_bytes)
    if layout.laid.replica is None:
        return
    pace = weighed.served.best if best else weighed.served.pace
    for key, values in (("ttft", pace.ttft_p95), ("tpot", pace.tpot_p95), ("e2e", pace.e2e_p95)):
        limit = getattr(asked, key)
        if limit is not None:
            yield Limit(key=key, limit=limit, value=float(values[row]))
    if asked.rate is not None:
        able = float(weighed.served.most_requests_per_s[row]) * int(weighed.served.replicas[row])
        yield Limit(key="rate", limit=asked.rate, value=able, floor=True)
    yield from _capacity_limit(asked, weighed, row)
    if layout.drafting is not None:
        running = float(np.ceil(pace.running[row] - 1e-9))
        yield Limit(key="speculation", limit=layout.drafting.pays_until, value=running)


def _capacity_limit(asked: Scenario, weighed: Weighed, row: int) -> Iterator[Limit]:
    """Of a population, the share of one replica against what it holds and runs at once."""
    laid = weighed.layouts[row].laid
    if asked.requests_in_flight is None or asked.load is LoadMode.BATCH or laid.replica is None:
        return
    held = most_held(laid, searches_replicas(asked))
    most = min(float(held), float(np.floor(laid.replica.scheduler.running)))
    yield Limit(key="capacity", limit=most, value=float(share_of(asked, weighed, row)))
