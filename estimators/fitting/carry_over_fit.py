"""How far carrying over was from published measurements: `python -m estimators.fitting.carry_over_fit`.

Pairs of published rows of one chip, engine, GPU count and precision, with batches within a factor of two. One is
carried over to the other by the ratio of their rooflines; the logarithm of what it then misses is spread by
s = hypot(a, b fold), where fold is the logarithm of that ratio. `a` holds 80 % of the pairs that hardly differ, `b`
80 % of the rest.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from estimators.fitting.latency_measured import Row, rows
from estimators.measuring.narrowing import MOST_BATCH_RATIO, Z80, roofline
from estimators.provenance import Refusal

ALIKE = 0.1  # folds below this are the same shape for a roofline
PAIRS_OF_A_BENCH = 2000  # drawn, so that no single campaign decides
METRICS = {"ttft_s": "ttft_s", "itl_s": "tpot_s", "e2e_s": "e2e_s"}

Point = tuple[float, float, float]  # logarithms of the time, of its roofline, of the batch
Pair = tuple[float, float]  # fold, logarithm of what carrying over misses


def benches(metric: str) -> Iterator[list[Point]]:
    """Points that may be carried over to one another."""
    found: defaultdict[tuple[object, ...], list[Point]] = defaultdict(list)
    for row in rows():
        seconds = getattr(row, METRICS[metric])
        floor = _floor(row, metric) if seconds else None
        if floor:
            key = (row.kind, row.accelerator.name, row.engine, row.placement.gpus, row.weights)
            batch = float(row.workload.concurrency or 1)
            found[key].append((math.log(seconds), math.log(floor), math.log(batch)))
    yield from found.values()


def _floor(row: Row, metric: str) -> float | None:
    if row.kind not in ("single_stream", "static_batch", "concurrency"):
        return None
    try:
        line = roofline(
            row.precision,
            row.accelerator,
            row.placement,
            prompt_tokens=row.workload.prompt_tokens,
            output_tokens=row.workload.output_tokens,
            batch=float(row.workload.concurrency or 1),
            prompts_together=row.kind == "static_batch",
        )
    except Refusal:
        return None
    found: float = getattr(line, metric)
    return found


def pairs(metric: str, seed: int = 1) -> list[Pair]:
    """Fold and miss of pairs of each bench."""
    draw, made = random.Random(seed), []  # noqa: S311
    for bench in benches(metric):
        near = [
            (abs(a[1] - b[1]), (a[0] - a[1]) - (b[0] - b[1]))
            for a, b in itertools.combinations(bench, 2)
            if abs(a[2] - b[2]) <= math.log(MOST_BATCH_RATIO) + 1e-9
        ]
        made += draw.sample(near, min(len(near), PAIRS_OF_A_BENCH))
    return made


def spread_of(found: Sequence[Pair]) -> tuple[float, float]:
    """a and b, each the value within whose 80 % interval 80 % of its pairs lie."""
    alike = sorted(abs(miss) for fold, miss in found if fold < ALIKE)
    a = alike[math.ceil(0.8 * len(alike)) - 1] / Z80
    needed = sorted(math.sqrt(max(0.0, (miss / Z80) ** 2 - a * a)) / fold for fold, miss in found if fold >= ALIKE)
    return a, needed[math.ceil(0.8 * len(needed)) - 1]


def main() -> int:
    for metric in METRICS:
        found = pairs(metric)
        a, b = spread_of(found)
        print(f"{metric}: sibling {a:.3f}, per fold {b:.3f}, from {len(found):,} pairs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
