"""Quantiles of held-out errors per cell of kind, figure, evidence and precision. Development only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from estimators.latency.calibration import chip_class
from estimators.latency.fit_cases import Array, Case
from estimators.latency.fit_solver import Problem

_LEAST = 25  # rows from which a cell has quantiles of its own
_LOW, _HIGH = 0.10, 0.90

Cell = tuple[str, str, str, str]


def path_of(case: Case) -> str:
    return str(case.shard.expert.path if case.shard.has_experts else case.shard.linear.path)


def kind_of(case: Case) -> str:
    return "concurrency" if case.row.kind == "open_loop" else case.row.kind


def residual_cells(problem: Problem, by_model: Array, by_chip: Array) -> list[list[tuple[Cell, float]]]:
    """For every observation the cells it speaks for, with its held-out log error (measured over estimated).

    An accelerator that was measured is judged by the fit without the model; one whose class was measured by the
    fit without the accelerator, where its class has others; the rest stand for a chip nothing is known of.
    """
    chips: dict[str, set[str]] = defaultdict(set)
    for bench in problem.benches:
        for case in bench.cases:
            chips[chip_class(case.row.accelerator)].add(case.row.accelerator.name)
    found: list[list[tuple[Cell, float]]] = []
    for n, o in enumerate(problem.observations):
        case = problem.case_of(n)
        metric = o.metric.removesuffix("_median")
        level = "class" if len(chips[chip_class(case.row.accelerator)]) > 1 else "none"
        found.append(
            [
                ((kind_of(case), metric, "chip", path_of(case)), o.value - float(by_model[n])),
                ((kind_of(case), metric, level, path_of(case)), o.value - float(by_chip[n])),
            ]
        )
    return found


def quantiles(cells: Iterable[tuple[Cell, float]]) -> Mapping[Cell, tuple[int, float, float]]:
    """rows, 10 % and 90 % per cell, and per cell without its path and without its evidence."""
    values: dict[Cell, list[float]] = defaultdict(list)
    for (kind, metric, evidence, path), error in cells:
        values[kind, metric, evidence, path].append(error)
        values[kind, metric, evidence, ""].append(error)
        values[kind, metric, "", ""].append(error)
    return {
        cell: (len(errors), float(np.quantile(errors, _LOW)), float(np.quantile(errors, _HIGH)))
        for cell, errors in values.items()
        if len(errors) >= _LEAST or not cell[2]
    }


def interval_rows(problem: Problem, by_model: Array, by_chip: Array) -> list[tuple[object, ...]]:
    flat = [pair for pairs in residual_cells(problem, by_model, by_chip) for pair in pairs]
    return [(*cell, n, f"{low:.4f}", f"{high:.4f}") for cell, (n, low, high) in sorted(quantiles(flat).items())]
