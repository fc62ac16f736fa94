"""Percentiles of a steady state, from the spread of what its means are made of."""

from __future__ import annotations

import math
from statistics import NormalDist

from estimators.latency.numeric import FLOATS, Number, Numeric
from estimators.latency.serving import Request, Steady
from estimators.workload import Load, Workload

LATE = 0.95  # the percentile that limits are set on
_MACHINE = 0.02  # by which a machine's 95th percentile exceeds its mean where nothing else varies
_TOGETHER = 0.61  # correlation of arrivals during a stay with the mean number running: (1/2) / sqrt(2/3)


def p95(state: Steady, request: Request, workload: Workload, saturated: bool) -> tuple[float, float, float]:
    """(TTFT, TPOT, end to end) not exceeded by 95 % of requests of these lengths."""
    if workload.load is Load.BATCH:
        return float(state.ttft), float(state.tpot), float(state.e2e)
    if workload.load is Load.CONCURRENCY and (workload.concurrency or 1) <= 1:
        ttft, tpot, e2e = alone(state)
    else:
        ttft, tpot, e2e = among_others(state, request, workload.load, saturated, FLOATS)
    return float(ttft), float(tpot), float(e2e)


def alone(state: Steady, level: float = LATE) -> tuple[Number, Number, Number]:
    """With one request in flight nothing varies but the machine."""
    machine = _machine(level)
    return machine * state.ttft, machine * state.tpot, machine * state.e2e


def among_others(
    state: Steady, request: Request, load: Load, saturated: bool, n: Numeric, level: float = LATE
) -> tuple[Number, Number, Number]:
    """The same at any level where other requests wait and run too, for one steady state or for arrays of them.

    TPOT varies with the number of others met (`swing`) and with their prompts: steps that carry one strike at random,
    so their number in the (O - 1) / accepted steps of a stay is Poisson, and many arrivals do both at once. The whole
    request is late by both of its parts at right angles.
    """
    machine = _machine(level)
    late = _first(state, load, saturated, n, level)
    steps = n.maximum(1.0, request.output - 1.0)
    passes = steps / request.accepted
    struck = state.mixed_share * passes / (1.0 - (1.0 - state.mixes) * state.mixed_share)
    each = n.maximum(0.0, state.mixed_step - state.mixes * state.decode_step)
    prompts = n.sqrt(struck) * each / steps
    others = state.swing * state.tpot
    deviation = n.sqrt(prompts * prompts + others * others + 2.0 * _TOGETHER * prompts * others)
    slow = n.maximum(state.tpot + _deviations(level) * deviation, machine * state.tpot)
    spread = n.hypot(n.maximum(0.0, late - state.ttft), n.maximum(0.0, slow - state.tpot) * steps)
    return late, slow, n.maximum(machine * state.e2e, state.e2e + spread)


def _first(state: Steady, load: Load, saturated: bool, n: Numeric, level: float) -> Number:
    """TTFT at a level: the step under way, where one is, is caught at a moment as likely as any other; and the wait for
    prompts.

    In a closed population that wait is taken as twice its mean at 95 %, and as exponential.
    """
    under_way = (level - 0.5) * state.decode_step * n.minimum(state.running, 1.0)
    if load is not Load.RATE:
        waiting = 0.0 if saturated else 0.5 * state.waiting
        times = 2.0 * math.log(1.0 - level) / math.log(1.0 - LATE)
        return state.ttft + (times - 1.0) * state.queue + under_way + waiting
    own = _machine(level) * (state.ttft - state.queue)
    return own + n.maximum(under_way, _wait(state.queue, state.busy, n, level))


def _wait(queue: Number, busy: Number, n: Numeric, level: float) -> Number:
    """What 1 - level of Poisson arrivals wait for other prompts at least: nothing where fewer meet one, else W / busy.

    Of those that meet one, all meet the same at low load, at a moment of its step as likely as any other (a uniform
    wait), and at high load a queue of them (an exponential one): between the two by the share of time that is busy.
    A fifth busy, 2 ms of mean wait: at 95 % a quarter of those that wait, 10 ms x (0.8 x 2 x 0.75 + 0.2 x 1.39) = 14.8.
    """
    meets = n.maximum(busy, 1e-9)
    share = n.minimum(1.0, (1.0 - level) / meets)  # of those that meet one, who wait longer
    return queue / meets * ((1.0 - meets) * 2.0 * (1.0 - share) - meets * n.log(share))


def _deviations(level: float) -> float:
    return _NORMAL.inv_cdf(level)


def _machine(level: float) -> float:
    return 1.0 + _MACHINE * _deviations(level) / _deviations(LATE)


_NORMAL = NormalDist()
