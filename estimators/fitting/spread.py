"""Quantiles of held-out errors per cell of kind, figure, evidence and path, and how often they hold elsewhere.

Errors of one publication resemble each other, so quantiles over rows alone hold too few of a publication never seen:
a publication counts as a power of its rows, few publications say less than many, and what is then still too narrow is
widened by what the other publications needed of one another.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from estimators.latency.evidence import LEVELS

LEAST, LEAST_GROUPS = 40, 3  # rows and groups from which a cell has quantiles of its own
LEAST_OF_PATH, LEAST_GROUPS_OF_PATH = 100, 4
_LOW, _HIGH = 0.10, 0.90
_SHARE = 0.8
_ALIKE = 0.25  # a publication of n rows weighs n^0.75
_NARROW = 0.5  # least share of the wider side on the narrower one: a cell that erred one way may err the other
# Bounds on the factor. The lower counts today, but for the whole request and time per token of single streams. It was
# chosen so that no kind of 100 rows falls below 75 %: what few publications needed of one another allows no less.
_WIDEST, _NARROWEST = 2.5, 0.70
_FEWEST = 2.2  # publications that fewer count as: of less than that no spread between them can be told

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Cell = tuple[str, str, str, str]  # kind, metric, evidence, path
Family = tuple[str, str]  # kind, metric


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One log error (measured over estimated) of a fit that never saw its group."""

    cell: Cell
    group: str  # what was left out together
    publication: str
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """10 % and 90 % quantiles of a cell, and what they come from."""

    low: float
    high: float
    rows: int
    groups: int


def parents(cell: Cell) -> tuple[Cell, Cell, Cell]:
    """A cell, the same for every path, and the same for every evidence."""
    kind, metric, evidence, _ = cell
    return cell, (kind, metric, evidence, ""), (kind, metric, "", "")


class Pool:
    """Held-out errors of one kind of figure as arrays, so that leaving publications out is a mask."""

    def __init__(self, errors: Sequence[HeldOut]) -> None:
        self.errors = np.array([held.error for held in errors])
        self.names = sorted({held.publication for held in errors})
        place = {name: number for number, name in enumerate(self.names)}
        self.publications = np.array([place[held.publication] for held in errors], dtype=np.int64)
        self.members: dict[Cell, Indices] = {}
        found: dict[Cell, list[int]] = defaultdict(list)
        for number, held in enumerate(errors):
            for cell in dict.fromkeys(parents(held.cell)):
                found[cell].append(number)
        for cell, numbers in found.items():
            ordered = np.array(numbers, dtype=np.int64)
            self.members[cell] = ordered[np.argsort(self.errors[ordered], kind="stable")]

    def quantiles(self, without: tuple[int, ...] = ()) -> dict[Cell, Ends]:
        """Quantiles of every cell with enough rows and publications, the coarsest whatever they hold; never narrower
        where an estimate rests on less."""
        made = {}
        for cell, members in self.members.items():
            own = self.publications[members]
            kept = np.ones(len(members), dtype=np.bool_)
            for publication in without:
                kept &= own != publication
            counts = np.bincount(own[kept], minlength=len(self.names))
            if counts.any() and _speaks(cell, int(counts.sum()), int(np.count_nonzero(counts))):
                weights = np.power(counts[own[kept]], -_ALIKE, dtype=np.float64)
                made[cell] = _ends(self.errors[members[kept]], weights, counts, _speaking(counts))
        return _never_narrower(made)

    def factor(self, judged: Mapping[int, Sequence[HeldOut]], without: tuple[int, ...] = ()) -> float:
        """The factor on quantiles made without a publication that holds 80 % of its rows, over all but `without`."""
        needed: list[Array] = []
        weights: list[Array] = []
        for publication, rows in judged.items():
            if publication in without:
                continue
            table = self.quantiles((*without, publication))
            marks = [_needed(held.error, ends) for held in rows if (ends := _found(table, held.cell)) is not None]
            needed.append(np.array(marks))
            weights.append(np.full(len(marks), len(rows) ** -_ALIKE))
        if not needed or not sum(map(len, needed)):
            return 1.0
        values, weight = np.concatenate(needed), np.concatenate(weights)
        order = np.argsort(values, kind="stable")
        return min(_WIDEST, max(_NARROWEST, _quantile(values[order], weight[order], _SHARE)))

    def spreads(self, judged: Mapping[int, Sequence[HeldOut]], without: tuple[int, ...] = ()) -> dict[Cell, Ends]:
        """The quantiles, widened: what an interval is made with."""
        factor = self.factor(judged, without)
        return {
            cell: Ends(low=ends.low * factor, high=ends.high * factor, rows=ends.rows, groups=ends.groups)
            for cell, ends in self.quantiles(without).items()
        }

    def by_publication(self, rows: Iterable[HeldOut]) -> dict[int, list[HeldOut]]:
        place = {name: number for number, name in enumerate(self.names)}
        found: dict[int, list[HeldOut]] = {}
        for held in rows:
            found.setdefault(place[held.publication], []).append(held)
        return found


def _speaks(cell: Cell, rows: int, groups: int) -> bool:
    _, _, evidence, path = cell
    if path:
        return rows >= LEAST_OF_PATH and groups >= LEAST_GROUPS_OF_PATH
    return not evidence or (rows >= LEAST and groups >= LEAST_GROUPS)


def _never_narrower(made: Mapping[Cell, Ends]) -> dict[Cell, Ends]:
    """Where an estimate rests on less, its ends lie at least as far out as where it rests on more.

    What an accelerator left out shows is kinder than one never measured: publications that ran it stay, on others.
    """
    wider = dict(made)
    families = sorted({(kind, metric, path) for kind, metric, _, path in made})  # any path, "", first
    for kind, metric, path in families:
        better: Ends | None = None
        for level in LEVELS:
            cell = (kind, metric, level, path)
            own = _found(wider, cell)
            if own is not None and better is not None and (own.low > better.low or own.high < better.high):
                own = replace(own, low=min(own.low, better.low), high=max(own.high, better.high))
                wider[cell] = own
            better = own or better
    return wider


def _quantile(ordered: Array, weights: Array, share: float) -> float:
    reached = (np.cumsum(weights) - 0.5 * weights) / np.sum(weights)
    return float(np.interp(share, reached, ordered))


def _speaking(counts: Indices) -> float:
    """How many publications of equal weight say as much: (sum w)^2 / sum w^2, w = rows^0.75. Of ten, two of
    which hold nearly all the rows, little more than two."""
    weights = np.power(counts[counts > 0], 1.0 - _ALIKE, dtype=np.float64)
    return float(np.sum(weights) ** 2 / np.sum(weights * weights))


def _few(publications: float) -> float:
    """By how much the range for one more publication is wider than the quantiles of k: t(0.9, k - 1) / z(0.9) times
    sqrt(1 + 1/k), as for one more draw of k; t by its expansion in 1 / (k - 1). 1.69 for 3; 1.10 for 12."""
    publications = max(_FEWEST, publications)
    z, free = 1.2816, publications - 1
    t = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    t += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return t / z * math.sqrt(1 + 1 / publications)


def _ends(ordered: Array, weights: Array, counts: Indices, speaking: float) -> Ends:
    """The quantiles, either side of zero: the estimate lies inside its own interval."""
    few = _few(speaking)
    low, high = (few * _quantile(ordered, weights, share) for share in (_LOW, _HIGH))
    return Ends(
        low=min(low, -_NARROW * high), high=max(high, -_NARROW * low), rows=int(counts.sum()),
        groups=int(np.count_nonzero(counts)),
    )  # fmt: skip


def _needed(error: float, ends: Ends) -> float:
    side = ends.low if error < 0.0 else ends.high
    return error / side if abs(side) > 1e-3 else 1.0


def _found(table: Mapping[Cell, Ends], cell: Cell) -> Ends | None:
    return next((table[parent] for parent in parents(cell) if parent in table), None)


def _families(rows: Iterable[HeldOut]) -> dict[Family, list[HeldOut]]:
    found: dict[Family, list[HeldOut]] = defaultdict(list)
    for held in rows:
        found[held.cell[0], held.cell[1]].append(held)
    return found


def spreads_of(errors: Sequence[HeldOut]) -> dict[Cell, Ends]:
    """What intervals of every cell are made with."""
    made: dict[Cell, Ends] = {}
    for rows in _families(errors).values():
        pool = Pool(rows)
        made |= pool.spreads(pool.by_publication(rows))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often 80 % intervals, quantiles and widening both made without a publication, held its measurements."""

    kind: str
    metric: str
    rows: int
    publications: int
    covered: float  # of the rows
    alike: float  # the same with publications weighing alike, however many rows they print
    half_width: float  # median of (high - low) / 2 over the estimate


def coverage(errors: Sequence[HeldOut], judged: Sequence[HeldOut]) -> list[Coverage]:
    """Nested: the interval of each judged row comes from the errors of the other publications alone."""
    found, every = [], _families(errors)
    for family, rows in sorted(_families(judged).items()):
        pool = Pool(every[family])
        own, widening = pool.by_publication(rows), pool.by_publication(every[family])
        inside: list[list[bool]] = []
        widths = []
        for publication, members in own.items():
            table = pool.spreads(widening, (publication,))
            found_ends = [(held, ends) for held in members if (ends := _found(table, held.cell)) is not None]
            widths += [(math.exp(ends.high) - math.exp(ends.low)) / 2.0 for _, ends in found_ends]
            if found_ends:
                inside.append([ends.low <= held.error <= ends.high for held, ends in found_ends])
        found.append(
            Coverage(
                kind=family[0], metric=family[1], rows=len(widths), publications=len(own),
                covered=float(np.mean(np.concatenate(inside))), alike=float(np.mean([np.mean(one) for one in inside])),
                half_width=float(np.median(widths)),
            )
        )  # fmt: skip
    return found
