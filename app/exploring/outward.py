"""The nearest number at which another plan comes first, looked for outward from the present one. Pure.

A search asks for what comes first at a few numbers at a time and is sent the answers, so that whoever drives several of
them may have what all ask next weighed together.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.exploring.standing import Winner
from app.planning.plan import Candidate

STEPS = 8  # of a search before it is divided: 19 % each
TOGETHER = 4  # values weighed at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """At `value` another plan comes first; at `before`, the nearest number looked at on this side of it, the plan does.

    `to` None: no plan meets every limit there.
    """

    value: float
    before: float
    to: Candidate | None


class Stretch(NamedTuple):
    """Numbers to look at, in order. `before` and `value` are the same while all on the way kept the plan: then the way
    goes on from there."""

    points: Sequence[float]
    before: float
    value: float


def outward(
    now: float,
    end: float,
    stays: Callable[[Winner | None], bool],
    *,
    whole: bool = False,
    digits: int = 3,
) -> Generator[Stretch, Sequence[Winner | None], Flip | None]:
    """The nearest flip from `now` towards `end`, in numbers of so many digits; asks for what comes first at each step.

    In `STEPS` even steps of the logarithm, `TOGETHER` weighed at once, then in as many parts of the first step that
    changes, and so on: from 1 to 8, what fails from 5 on is found between 4.76 and 6.17, 4.76 and 5.08, at last at 5.
    What comes and goes within a step is not seen.
    """
    before, value, there = now, now, None
    path = _between(now, end, STEPS, whole, digits, closed=True)
    while path and value == now:
        points, path = path[:TOGETHER], path[TOGETHER:]
        before, value, there = _first_change(before, now, points, (yield Stretch(points, before, before)), stays)
    while value != now and (points := _between(before, value, TOGETHER, whole, digits)):
        before, changed, other = _first_change(before, value, points, (yield Stretch(points, before, value)), stays)
        there = there if changed == value else other
        value = changed
    return None if value == now else Flip(value=value, before=before, to=None if there is None else there.candidate())


def looked_for(
    search: Generator[Stretch, Sequence[Winner | None], Flip | None],
    firsts: Callable[[Sequence[float]], Sequence[Winner | None]],
) -> Flip | None:
    """What `outward` comes to where `firsts` says what comes first."""
    found: Sequence[Winner | None] | None = None
    while True:
        try:
            found = firsts((search.send(found) if found is not None else next(search)).points)
        except StopIteration as ended:
            flip: Flip | None = ended.value
            return flip


def _first_change(
    before: float,
    value: float,
    points: Sequence[float],
    found: Sequence[Winner | None],
    stays: Callable[[Winner | None], bool],
) -> tuple[float, float, Winner | None]:
    """(the last point that stays, the first that does not, what comes first there); `value` where all stay."""
    for point, winner in zip(points, found, strict=True):
        if not stays(winner):
            return before, point, winner
        before = point
    return before, value, None


def _between(before: float, value: float, parts: int, whole: bool, digits: int, *, closed: bool = False) -> list[float]:
    """Numbers that divide the way into even parts by its logarithm, its end among them where it is `closed`."""
    points = []
    for step in range(1, parts + closed):
        point = before * (value / before) ** (step / parts)
        point = float(max(1, round(point))) if whole and point < 10**digits else float(f"{point:.{digits}g}")
        inside = min(before, value) < point < max(before, value) or (closed and point == value)
        if inside and point not in points:
            points.append(point)
    return points
