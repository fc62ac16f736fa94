"""95th percentiles of a steady state, from the spread of what its means are made of."""

from __future__ import annotations

from estimators.latency.numeric import FLOATS, Number, Numeric
from estimators.latency.serving import Request, Steady
from estimators.workload import Load, Workload


def p95(state: Steady, request: Request, workload: Workload, saturated: bool) -> tuple[float, float, float]:
    """(TTFT, TPOT, end to end) not exceeded by 95 % of requests of these lengths.

    TTFT: the wait for other prompts is taken as exponential given its mean (3.00 times the mean at 95 %), the step
    under way as uniform (0.95 of a step against a half). TPOT: steps that carry a prompt strike a request at
    random, so their number in O steps is Poisson: + 1.645 sqrt(n) of the extra they cost. With one request in
    flight nothing varies but the machine, taken as 2 %.
    """
    if workload.load is Load.BATCH:
        return float(state.ttft), float(state.tpot), float(state.e2e)
    if workload.load is Load.CONCURRENCY and (workload.concurrency or 1) <= 1:
        ttft, tpot, e2e = alone(state)
    else:
        ttft, tpot, e2e = among_others(state, request, workload.load, saturated, FLOATS)
    return float(ttft), float(tpot), float(e2e)


def alone(state: Steady) -> tuple[Number, Number, Number]:
    """With one request in flight nothing varies but the machine."""
    return 1.02 * state.ttft, 1.02 * state.tpot, 1.02 * state.e2e


def among_others(
    state: Steady, request: Request, load: Load, saturated: bool, n: Numeric
) -> tuple[Number, Number, Number]:
    """Where other requests wait and run too, for one steady state or for arrays of them."""
    poisson_wait = 2.0 if load is Load.RATE else 1.0
    waiting = 0.0 if saturated else 0.5 * state.waiting
    late = state.ttft + poisson_wait * state.queue + 0.5 * state.decode_step + waiting
    steps = n.maximum(1.0, request.output - 1.0)
    extra = n.maximum(0.0, state.mixed_step - state.decode_step)
    slow = state.tpot + 1.645 * n.sqrt(state.mixed_share * steps) * extra / steps
    slow = n.maximum(slow, 1.02 * state.tpot)
    spread = n.hypot(late - state.ttft, (slow - state.tpot) * steps)
    return late, slow, n.maximum(1.02 * state.e2e, state.e2e + spread)
