"""95th percentiles of a steady state, from the spread of what its means are made of."""

from __future__ import annotations

import math

from estimators.latency.serving import Request, Steady
from estimators.workload import Load, Workload


def p95(state: Steady, request: Request, workload: Workload, saturated: bool) -> tuple[float, float, float]:
    """(TTFT, TPOT, end to end) not exceeded by 95 % of requests of these lengths.

    TTFT: the wait for other prompts is taken as exponential given its mean (3.00 times the mean at 95 %), the step
    under way as uniform (0.95 of a step against a half). TPOT: steps that carry a prompt strike a request at
    random, so their number in O steps is Poisson: + 1.645 sqrt(n) of the extra they cost. With one request in
    flight nothing varies but the machine, taken as 2 %.
    """
    ttft, tpot, e2e = float(state.ttft), float(state.tpot), float(state.e2e)
    queue, waiting = float(state.queue), float(state.waiting)
    others = workload.load is not Load.CONCURRENCY or (workload.concurrency or 1) > 1
    if workload.load is Load.BATCH:
        return ttft, tpot, e2e
    if not others:
        return 1.02 * ttft, 1.02 * tpot, 1.02 * e2e
    poisson_wait = 2.0 if workload.load is Load.RATE else 1.0
    late = ttft + poisson_wait * queue + 0.5 * float(state.decode_step) + (0.5 * waiting if not saturated else 0.0)
    steps = max(1.0, float(request.output) - 1.0)
    struck = float(state.mixed_share) * steps
    extra = max(0.0, float(state.mixed_step) - float(state.decode_step))
    slow = tpot + 1.645 * math.sqrt(struck) * extra / steps
    slow = max(slow, 1.02 * tpot)
    return late, slow, max(1.02 * e2e, e2e + math.hypot(late - ttft, (slow - tpot) * steps))
