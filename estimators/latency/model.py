"""The speed of one replica under its load, with intervals and the terms behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from estimators.hardware.accelerator import Accelerator
from estimators.latency.estimate import Interval, LatencyEstimate
from estimators.latency.evidence import Evidence, evidence_for
from estimators.latency.explain import LatencyExplanation
from estimators.latency.intervals import Spread, around, find_spread, rate_around
from estimators.latency.numeric import ARRAYS, FLOATS, Number, Numeric
from estimators.latency.physical_floor import Floor, physical_floor
from estimators.latency.plan import ReplicaPlan, resolve
from estimators.latency.quantiles import p95
from estimators.latency.serving import Server, Steady
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import Precision
from estimators.remembered import Remembered
from estimators.workload import EngineSettings, Load, Placement, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One concurrency of the throughput-latency curve."""

    concurrency: float
    ttft_s: Interval
    tpot_s: Interval
    e2e_s: Interval
    output_tok_per_s: Interval
    req_per_s: Interval
    waits_for_memory: bool  # more requests than the replica runs at once


def estimate_latency(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    memory: MemoryEstimate,
    draft_model: Precision | None = None,
) -> LatencyEstimate:
    """TTFT, TPOT, end to end and throughput of one replica in steady state, each with its 80 % interval.

    `draft_model` is the model that drafts, where one does and the catalogue does not hold it.
    Raises `Refusal` for lengths, loads and accelerators that have no answer.
    """
    plan = resolve(precision, accelerator, placement, workload, settings, memory, draft_model=draft_model)
    state, saturated, notes = solve(plan, workload)
    kind = kind_of(workload)
    evidence = evidence_for(accelerator, plan.steps.engine, str(plan.shard.linear.path))
    floor = physical_floor(plan.shard, plan.request, float(state.running))
    ranges = _ranges(plan, state, kind, evidence, floor, workload)
    ttft95, tpot95, e2e95 = p95(state, plan.request, workload, saturated)
    return LatencyEstimate(
        ttft_s=ranges["ttft"],
        tpot_s=ranges["tpot"],
        e2e_s=ranges["e2e"],
        ttft_p95_s=ttft95,
        tpot_p95_s=tpot95,
        e2e_p95_s=e2e95,
        output_tok_per_s=ranges["throughput"],
        req_per_s=ranges["requests"],
        running_requests=float(state.running),
        saturated=saturated,
        evidence=evidence.sentence,
        notes=(*plan.notes, *notes),
        explanation=LatencyExplanation(plan=plan, state=state, source=evidence.sentence),
    )


def solve(plan: ReplicaPlan, workload: Workload) -> tuple[Steady, bool, tuple[str, ...]]:
    """Steady state under the load; whether demand exceeds what the replica serves; what to say of it."""
    server, limit = _server(plan, workload), float(plan.scheduler.running)
    if workload.load is Load.BATCH:
        size = float(workload.concurrency or 1)
        waves = math.ceil(size / limit)
        notes = (
            (f"The cache holds {limit:.0f} of the {size:.0f} requests: they run in {waves} waves.",)
            if waves > 1
            else ()
        )
        return server.batch(size), False, notes
    if workload.load is Load.MAX:
        sentence = (
            f"Maximum throughput, {limit:.0f} requests running, as long offline runs show it: a steady load of as many "
            f"would by its steps alone reach {float(1.0 / plan.server.rates.filling):.2f} times that."
        )
        return server.maximum(), False, (sentence,)
    if workload.load is Load.CONCURRENCY:
        population = float(workload.concurrency or 1)
        waiting = population > limit
        notes = (f"Only {limit:.0f} of {population:.0f} requests run at once; the rest wait.",) if waiting else ()
        return server.closed(max(1.0, population)), waiting, notes
    return _poisson(plan, server, float(workload.requests_per_second or 0.0))


def _server(plan: ReplicaPlan, workload: Workload) -> Server:
    """Drafting costs depend on the load, so a speculating server is made for it."""
    if plan.draft is None:
        return plan.server
    running = float(workload.concurrency or plan.scheduler.running)
    request = plan.draft.request(plan.request, min(running, float(plan.scheduler.running)))
    return Server(plan.shard, plan.server.rates, plan.scheduler, request, FLOATS)


_FULL: Remembered[Steady] = Remembered(2048)  # the same server is asked for one rate after another


def _poisson(plan: ReplicaPlan, server: Server, rate: float) -> tuple[Steady, bool, tuple[str, ...]]:
    most = _FULL.of((server.shard, server.rates), (server.scheduler, server.request), server.full)
    limit = float(most.requests_per_s)
    if rate >= limit:
        sentence = (
            f"Arrivals of {rate:.3g}/s exceed the {limit:.3g}/s this replica serves: its queue grows without end, "
            "and the times are of the full server without the queue. "
            f"{math.ceil(rate / (0.9 * limit))} replicas keep up."
        )
        return most, True, (sentence,)
    return server.arrivals(rate), False, ()


def kind_of(workload: Workload) -> str:
    """The kind of measurement that would show this load, as the calibration table names it."""
    if workload.load is Load.CONCURRENCY:
        return "single_stream" if (workload.concurrency or 1) <= 1 else "concurrency"
    return {Load.RATE: "concurrency", Load.MAX: "max_throughput", Load.BATCH: "static_batch"}[workload.load]


def _ranges(
    plan: ReplicaPlan, state: Steady, kind: str, evidence: Evidence, floor: Floor, workload: Workload
) -> dict[str, Interval]:
    path = str(plan.shard.expert.path if plan.shard.has_experts else plan.shard.linear.path)
    output = float(workload.output_tokens)
    rate = float(state.requests_per_s)
    ttft = around(float(state.ttft), find_spread(kind, "ttft", evidence.level, path), floor.ttft_s)
    tpot = around(float(state.tpot), find_spread(kind, "tpot", evidence.level, path), floor.tpot_s)
    e2e = around(float(state.e2e), find_spread(kind, "e2e", evidence.level, path), floor.e2e_s)
    ttft, tpot, e2e = _in_accord(ttft, tpot, e2e, max(0.0, output - 1.0), floor.tpot_s)
    if workload.load is Load.RATE:
        requests = Interval(value=rate, low=rate, high=rate)
    elif workload.load is Load.MAX:
        requests = rate_around(rate, find_spread(kind, "throughput", evidence.level, path))
    else:  # what is in flight is given, so throughput varies as the end-to-end time does
        requests = Interval(value=rate, low=rate * e2e.value / e2e.high, high=rate * e2e.value / max(e2e.low, 1e-12))
    scaled = Interval(value=requests.value * output, low=requests.low * output, high=requests.high * output)
    return {"ttft": ttft, "tpot": tpot, "e2e": e2e, "requests": requests, "throughput": scaled}


def _in_accord(
    ttft: Interval, tpot: Interval, e2e: Interval, steps: float, least_tpot: float
) -> tuple[Interval, Interval, Interval]:
    """The three ranges, widened where they contradict each other; each comes from measurements of its own.

    A request ends no earlier than its first token, and so do the ends of its range. And where most of it is decoding,
    its range lies within the sum of its parts' ends, which hold if both parts are at their worst at once.
    """
    high = _late_ends((ttft.high, tpot.high, e2e.high), (ttft.value, tpot.value, e2e.value), steps, FLOATS)
    ttft = Interval(value=ttft.value, low=min(ttft.low, e2e.low), high=high[0])
    e2e = Interval(value=e2e.value, low=e2e.low, high=high[2])
    if steps * tpot.value > 0.5 * e2e.value:
        low = max(least_tpot, min(tpot.low, (e2e.low - ttft.low) / steps))
        tpot = Interval(value=tpot.value, low=min(low, tpot.value), high=high[1])
        e2e = Interval(value=e2e.value, low=max(e2e.low, ttft.low + steps * tpot.low), high=e2e.high)
    return ttft, tpot, e2e


def _late_ends(
    high: tuple[Number, Number, Number], mean: tuple[Number, Number, Number], steps: Number, n: Numeric
) -> tuple[Number, Number, Number]:
    """Upper ends of TTFT, TPOT and end to end in accord, for one case or arrays of them."""
    ttft, tpot, e2e = high[0], high[1], n.maximum(high[2], high[0])
    decoding = steps * mean[1] > 0.5 * mean[2]
    slowest = n.maximum(tpot, (e2e - ttft) / n.maximum(steps, 1.0))
    return ttft, n.where(decoding, slowest, tpot), e2e


def spread_highs(plan: ReplicaPlan, accelerator: Accelerator, kind: str) -> tuple[float, float, float]:
    """e^q90 of TTFT, TPOT and end to end: by what the upper end of each range exceeds its mean before they accord."""
    return _spread_highs(kind, *_evidence_of(plan, accelerator))


def spread_of(plan: ReplicaPlan, accelerator: Accelerator, kind: str, metric: str) -> Spread:
    """How far "ttft", "tpot" or "e2e" of such a case was measured from its estimate."""
    return find_spread(kind, metric, *_evidence_of(plan, accelerator))


_EVIDENCE: Remembered[tuple[str, str]] = Remembered(2_048)  # the same servers are held against every limit


def _evidence_of(plan: ReplicaPlan, accelerator: Accelerator) -> tuple[str, str]:
    """(level of evidence, path of its products), as the table of intervals has them."""

    def found() -> tuple[str, str]:
        level = evidence_for(accelerator, plan.steps.engine, str(plan.shard.linear.path)).level
        return level, str(plan.shard.expert.path if plan.shard.has_experts else plan.shard.linear.path)

    return _EVIDENCE.of((plan, accelerator), None, found)


@cache
def _spread_highs(kind: str, level: str, path: str) -> tuple[float, float, float]:
    ttft, tpot, e2e = (around(1.0, find_spread(kind, name, level, path)).high for name in ("ttft", "tpot", "e2e"))
    return ttft, tpot, e2e


def upper_factors(
    highs: tuple[Number, Number, Number], means: tuple[Number, Number, Number], output_tokens: Number
) -> tuple[Number, Number, Number]:
    """Upper ends of the 80 % intervals of (TTFT, TPOT, end to end) over their means, as `estimate_latency` has them;
    over arrays of cases, whose `highs` are those of `spread_highs`."""
    ends = tuple(mean * high for mean, high in zip(means, highs, strict=True))
    steps = ARRAYS.maximum(0.0, output_tokens - 1.0)
    late = _late_ends((ends[0], ends[1], ends[2]), means, steps, ARRAYS)
    return tuple(ARRAYS.where(mean > 0, end / mean, 1.0) for end, mean in zip(late, means, strict=True))


def curve(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    memory: MemoryEstimate,
    concurrencies: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    draft_model: Precision | None = None,
) -> tuple[CurvePoint, ...]:
    """Throughput and latency of the plan at each concurrency, whatever load the workload states.

    The last point is the first beyond what the replica runs at once; more requests only wait.
    """
    points: list[CurvePoint] = []
    base = Workload(
        prompt_tokens=workload.prompt_tokens, output_tokens=workload.output_tokens, prefix_share=workload.prefix_share
    )
    plan = resolve(precision, accelerator, placement, base, settings, memory, draft_model=draft_model)
    for population in concurrencies:
        load = Workload(
            prompt_tokens=workload.prompt_tokens,
            output_tokens=workload.output_tokens,
            prefix_share=workload.prefix_share,
            concurrency=population,
        )
        state, waiting, _ = solve(plan, load)
        kind = kind_of(load)
        evidence = evidence_for(accelerator, plan.steps.engine, str(plan.shard.linear.path))
        floor = physical_floor(plan.shard, plan.request, float(state.running))
        ranges = _ranges(plan, state, kind, evidence, floor, load)
        points.append(
            CurvePoint(
                concurrency=population,
                ttft_s=ranges["ttft"],
                tpot_s=ranges["tpot"],
                e2e_s=ranges["e2e"],
                output_tok_per_s=ranges["throughput"],
                req_per_s=ranges["requests"],
                waits_for_memory=waiting,
            )
        )
        if waiting:
            break
    return tuple(points)
