"""Which points nobody beats on both axes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

P = TypeVar("P")


def front(points: Iterable[P], cost: Callable[[P], float], harm: Callable[[P], float]) -> tuple[P, ...]:
    """The points that are cheaper than every other of no more harm, dearest harm last: walk by cost, keep each that
    harms less than all before it.

    (1, 9), (2, 5), (3, 7), (4, 1) -> (1, 9), (2, 5), (4, 1).
    """
    kept: list[P] = []
    least = float("inf")
    for point in sorted(points, key=lambda p: (cost(p), harm(p))):
        if harm(point) < least:
            kept.append(point)
            least = harm(point)
    return tuple(kept)
