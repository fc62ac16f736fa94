"""Quantiles of held-out errors per cell of kind, figure, evidence and path, and how often they hold elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST = 25  # rows from which a cell has quantiles of its own
# A path's cell is made of few models or accelerators, whose rows err alike: it takes more rows, of enough of them.
LEAST_OF_PATH, LEAST_GROUPS = 100, 4
_LOW, _HIGH = 0.10, 0.90
_NARROW = 1.0 / 3.0  # least share of the wider side on the narrower one: a cell that erred one way may err the other

Array = NDArray[np.float64]
Cell = tuple[str, str, str, str]  # kind, metric, evidence, path


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """One log error (measured over estimated) of a fit that never saw its group."""

    cell: Cell
    group: str  # what was left out together
    error: float


def parents(cell: Cell) -> tuple[Cell, Cell, Cell]:
    """A cell, the same for every path, and the same for every evidence."""
    kind, metric, evidence, _ = cell
    return cell, (kind, metric, evidence, ""), (kind, metric, "", "")


def quantiles(errors: Iterable[HeldOut]) -> Mapping[Cell, tuple[int, float, float]]:
    """rows, 10 % and 90 % of every cell with enough rows (and groups); the coarsest cells whatever their rows."""
    values: dict[Cell, list[HeldOut]] = defaultdict(list)
    for held in errors:
        for cell in parents(held.cell):
            values[cell].append(held)
    return {
        cell: (len(found), *_ends([held.error for held in found]))
        for cell, found in values.items()
        if _speaks(cell, found)
    }


def _speaks(cell: Cell, found: Sequence[HeldOut]) -> bool:
    _, _, evidence, path = cell
    if path:
        return len(found) >= LEAST_OF_PATH and len({held.group for held in found}) >= LEAST_GROUPS
    return not evidence or len(found) >= LEAST


def _ends(errors: Sequence[float]) -> tuple[float, float]:
    """10 % and 90 % quantiles, either side of zero: the estimate lies inside its own interval."""
    low, high = float(np.quantile(errors, _LOW)), float(np.quantile(errors, _HIGH))
    return min(low, -_NARROW * high), max(high, -_NARROW * low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often 80 % intervals made without a group held its measurements, and their median half width."""

    kind: str
    metric: str
    evidence: str  # "chip": the model was left out; "class", "none": the accelerator was, its class measured or not
    rows: int
    covered: float
    half_width: float  # (high - low) / 2 over the estimate


Family = tuple[str, str, str]  # kind, metric, evidence


def family_of(held: HeldOut) -> Family:
    return held.cell[0], held.cell[1], held.cell[2]


def nested(errors: Sequence[HeldOut]) -> dict[Family, Array]:
    """Per family rows of (error, low, high): the quantiles a row is judged by come from all other groups."""
    by_group: dict[tuple[bool, str], list[HeldOut]] = defaultdict(list)
    for held in errors:
        by_group[held.cell[2] == "chip", held.group].append(held)
    seen: dict[Family, list[tuple[float, float, float]]] = defaultdict(list)
    for key, members in by_group.items():
        table = quantiles(h for h in errors if (h.cell[2] == "chip", h.group) != key)
        for held in members:
            found = next((table[cell] for cell in parents(held.cell) if cell in table), None)
            if found is not None:
                seen[family_of(held)].append((held.error, min(0.0, found[1]), max(0.0, found[2])))
    return {family: np.array(marks) for family, marks in seen.items()}


def widening(marks: Array, share: float = 0.8) -> float:
    """Factor on the quantiles' distance from the estimate that makes them hold `share` of other groups' rows.

    Errors of one group resemble each other, so quantiles over rows alone hold too few of a group never seen.
    """
    error, low, high = marks.T
    needed = np.where(error < 0.0, error / np.minimum(low, -1e-3), error / np.maximum(high, 1e-3))
    return float(np.clip(np.quantile(needed, share), 0.5, 2.0))


def coverage(errors: Sequence[HeldOut], factors: Mapping[Family, float] | None = None) -> list[Coverage]:
    """Nested coverage and width of the intervals, widened by the factors in use (1 where none is given)."""
    result = []
    for family, marks in sorted(nested(errors).items()):
        error, low, high = marks.T
        factor = (factors or {}).get(family, 1.0)
        inside = (factor * low <= error) & (error <= factor * high)
        width = (np.exp(factor * high) - np.exp(factor * low)) / 2.0
        result.append(
            Coverage(
                kind=family[0],
                metric=family[1],
                evidence=family[2],
                rows=len(marks),
                covered=float(np.mean(inside)),
                half_width=float(np.median(width)),
            )
        )
    return result
