"""Repeating a run until its spread is known, within a time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WARM_UPS = 2  # the first call takes 1.5 to 2 times as long
FEWEST, MOST = 5, 15
KNOWN_WITHIN = 0.02  # relative standard error of the mean at which repeating ends
PATIENCE_S = 20.0  # for that: what a busy machine does not settle by then it does not settle

Progress = Callable[[int, int, float | None], None]  # runs done, runs expected, seconds left


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: a prompt, then tokens one by one. Seconds."""

    prefill_s: float
    step_s: float  # median over the run's decode steps
    extra_s: tuple[float, ...] = ()  # whatever else the caller timed, in its own order


def relative_error(readings: Sequence[float]) -> float:
    """Standard error over the mean: s / (mean sqrt n); 1, 2, 3 give 1 / (2 x 1.732) = 0.289."""
    if len(readings) < 2:
        return math.inf
    mean = statistics.fmean(readings)
    return statistics.stdev(readings) / (mean * math.sqrt(len(readings))) if mean else math.inf


def repeat(run: Callable[[], Run], clock: Callable[[], float], seconds: float, told: Progress) -> list[Run]:
    """Warm-ups, then 5 to 15 runs: until prefill and step are known within 2 %, for 20 s. At least one, whatever the
    time."""
    over = (began := clock()) + seconds
    kept: list[Run] = []
    for number in range(WARM_UPS + MOST):
        started = clock()
        done = run()
        spent = clock() - started
        if number >= WARM_UPS or clock() + spent > over:
            kept.append(done)
        expected = WARM_UPS + FEWEST
        told(number + 1, max(expected, number + 2), spent * max(1, expected - number - 1))
        if kept and clock() + spent > over:
            break
        known = max(relative_error([k.prefill_s for k in kept]), relative_error([k.step_s for k in kept]))
        if len(kept) >= FEWEST and (known <= KNOWN_WITHIN or clock() - began > PATIENCE_S):
            break
    return kept


def at_full_depth(shallow: float, deep: float, shallow_layers: int, deep_layers: int, layers: int) -> float:
    """Time at `layers` from two depths, linear in depth: t(k) + (t(k) - t(h)) / (k - h) x (L - k).

    10 ms at 2 layers, 14 ms at 4 and 80 layers: 14 + 2 x 76 = 166 ms. Never less than the deeper run.
    """
    per_layer = max(0.0, (deep - shallow) / (deep_layers - shallow_layers))
    return deep + per_layer * (layers - deep_layers)
