"""Fit the latency calibration to published measurements: `python -m estimators.fitting.latency_fit`.

Needs numpy only, takes some minutes on one core, and is deterministic. Writes operators.csv (fitted to kernels alone),
constants.csv (the effects of served runs), evidence.csv (how many rows stand behind each chip), cross_validation.csv
(every published figure beside what fits without its publication, its model, its accelerator with its engine, and its
accelerator predict) and intervals.csv. With --intervals only the last, from the committed cross-validation: for a
change of the interval method, which moves no estimate.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from datetime import date

import numpy as np

from estimators.fitting.held_out import held_out, nested_record
from estimators.fitting.kernel_fit import write_operators
from estimators.fitting.latency_cases import Array, FitCase, floor_of, make_case
from estimators.fitting.latency_measured import excluded, rows
from estimators.fitting.latency_solver import FitProblem
from estimators.fitting.spread import spreads_of
from estimators.fitting.tables import LATENCY_TABLES, RECORDS, write_table
from estimators.latency.chip_classes import chip_class
from estimators.latency.evidence import level_of

_SOURCE = "fit to measured.csv"
_HELD_OUT = "cross_validation.csv"
_ALIKE = 30.0  # figures of one publication that count in full
_ASSUMED = 0.4


def path_of(case: FitCase) -> str:
    """The path an estimate's interval is looked up by: of the experts where there are any."""
    return str(case.shard.expert.path if case.shard.has_experts else case.shard.linear.path)


def architecture_of(case: FitCase) -> tuple[int, ...]:
    """Models of one architecture are left out together: every precision and every fine-tune of Llama-3.1-8B."""
    spec = case.row.precision.spec
    return spec.hidden_size, spec.layer_count, spec.vocab_size, spec.active_params


def publication_of(case: FitCase) -> Hashable:
    return case.row.publication


def cell_of(case: FitCase) -> Hashable:
    return case.row.accelerator.name, case.row.engine


def chip_of(case: FitCase) -> Hashable:
    return case.row.accelerator.name


# What is left out together, by the name its predictions have in the table.
LEFT_OUT: Mapping[str, Callable[[FitCase], Hashable]] = {
    "publication": publication_of, "model": architecture_of, "cell": cell_of, "chip": chip_of,
}  # fmt: skip


def evidence_without(problem: FitProblem, name: str) -> list[str]:
    """Per observation, what its estimate rests on once its group is left out: see `evidence.level_of`."""
    cases = [case for bench in problem.benches for case in bench.cases]
    every = Counter((c.row.accelerator.name, c.row.engine) for c in cases)
    groups: dict[Hashable, Counter[tuple[str, str]]] = {}
    for case in cases:
        groups.setdefault(LEFT_OUT[name](case), Counter())[case.row.accelerator.name, case.row.engine] += 1
    levels: dict[tuple[Hashable, str, str], str] = {}
    for group, own in groups.items():
        left = every - own
        for chip, engine in own:
            levels[group, chip, engine] = level_of(left, chip, engine)
    found = []
    for number in range(len(problem.y)):
        case = problem.case_of(number)
        found.append(levels[LEFT_OUT[name](case), case.row.accelerator.name, case.row.engine])
    return found


def fit_weights(problem: FitProblem, wrong: Container[str]) -> Array:
    """Weight of every figure in the fit: rows of one publication err alike, so they count less the more there are.

    A publication's figures of one kind weigh together as much as the square root of (their number x 30) rows that
    know nothing of each other; a row that assumes what its source does not state weighs less than half.
    """
    counts: Counter[tuple[str, int, str]] = Counter()
    for number, o in enumerate(problem.observations):
        counts[problem.case_of(number).row.publication, o.bench, o.metric] += 1
    weight = problem.weight.copy()
    for number, o in enumerate(problem.observations):
        row = problem.case_of(number).row
        together = counts[row.publication, o.bench, o.metric]
        weight[number] *= min(1.0, math.sqrt(_ALIKE / together)) * (_ASSUMED if row.assumed else 1.0)
        weight[number] *= row.id not in wrong
    return weight


def left_out(problem: FitProblem, theta: Array, key: Callable[[FitCase], Hashable], weight: Array) -> Array:
    """Predictions of every observation by a fit that never saw its group.

    Each fold starts from the full fit and solves the problem linearised there without the group; a large group moves
    it far, so it is linearised again where it went.
    """
    f, jacobian = problem.linearise(theta)
    groups: dict[Hashable, list[int]] = {}
    for number in range(len(problem.y)):
        groups.setdefault(key(problem.case_of(number)), []).append(number)
    predicted = np.zeros(len(problem.y))
    folds = problem.solve_without(theta, f, jacobian, weight, list(groups.values()))
    for members, aim in zip(groups.values(), folds, strict=True):
        rest = weight.copy()
        rest[members] = 0.0
        fold = _toward(problem, theta, f, aim, rest)
        if len(members) > len(problem.y) // 50:
            again, jacobian_again = problem.linearise(fold)
            aim = problem.solve(fold, again, jacobian_again, rest)
            fold = _toward(problem, fold, again, aim, rest)
        predicted[members] = problem.predict(fold, asked=True)[members]
    return predicted


def _toward(problem: FitProblem, start: Array, at_start: Array, aim: Array, weight: Array) -> Array:
    """Effects as far towards `aim` as the loss falls: a linear step may go too far."""
    least = problem.loss(start, at_start, weight)
    for share in (1.0, 0.6, 0.3):
        point = start + share * (aim - start)
        if problem.loss(point, problem.predict(point), weight) < least:
            return point
    return start


def main() -> None:
    parser = argparse.ArgumentParser(prog="estimators.fitting.latency_fit", description="Fit the latency calibration.")
    parser.add_argument("--intervals", action="store_true", help="only the intervals, from the committed table")
    today = date.today().isoformat()  # noqa: DTZ011
    if parser.parse_args().intervals:
        write_intervals(today)
        return
    begun = time.monotonic()
    write_operators(today)
    cases = [case for case in map(make_case, rows()) if case is not None]
    problem = FitProblem(cases)
    weight = fit_weights(problem, excluded())
    theta = problem.fit(weight)
    print(f"{len(cases)} rows, {len(problem.y)} figures, {len(theta)} effects, {time.monotonic() - begun:.0f} s")
    write_table(
        LATENCY_TABLES / "constants.csv",
        ("effect", "value", "rows", "source", "as_of"),
        [
            (name, f"{value:.4f}", int(count), _SOURCE, today)
            for name, value, count in sorted(zip(problem.names, theta, problem.counts(), strict=True))
        ],
    )
    _write_evidence(cases, today)
    predicted = {"fit": problem.predict(theta, asked=True)}
    for name, key in LEFT_OUT.items():
        predicted[f"without_{name}"] = left_out(problem, theta, key, weight)
        print(f"without its {name}: {time.monotonic() - begun:.0f} s")
    _write_record(problem, predicted, today)
    write_intervals(today)
    print(f"done in {time.monotonic() - begun:.0f} s", file=sys.stderr)


def _write_record(problem: FitProblem, predicted: Mapping[str, Array], today: str) -> None:
    resting = {name: evidence_without(problem, name) for name in ("publication", "cell", "chip")}
    write_table(
        RECORDS / "cross_validation.csv",
        ("id", "metric", "fitted_to", "architecture", "path", *(f"evidence_{name}" for name in resting), "floor",
         "published", *predicted, "source", "as_of"),
        [
            (
                problem.case_of(n).row.id,
                o.metric,
                int(problem.weight[n] > 0.0),
                "-".join(str(part) for part in architecture_of(problem.case_of(n))),
                path_of(problem.case_of(n)),
                *(levels[n] for levels in resting.values()),
                f"{floor_of(problem.case_of(n), o.metric.removesuffix('_median')):.4g}",
                *(f"{np.exp(v):.4g}" for v in (o.value, *(column[n] for column in predicted.values()))),
                "measured.csv",
                today,
            )
            for n, o in enumerate(problem.observations)
        ],
    )  # fmt: skip


def write_intervals(today: str) -> None:
    """The 80 % intervals in use and how such held, from the committed cross-validation table."""
    write_table(
        RECORDS / "interval_record.csv",
        ("kind", "metric", "rows", "publications", "covered", "alike", "half_width", "source", "as_of"),
        [
            (
                c.kind, c.metric, c.rows, c.publications,
                *(f"{share:.4f}" for share in (c.covered, c.alike, c.half_width)), _HELD_OUT, today,
            )
            for c in nested_record()
        ],
    )  # fmt: skip
    write_table(
        LATENCY_TABLES / "intervals.csv",
        ("kind", "metric", "evidence", "path", "rows", "publications", "q10", "q90", "source", "as_of"),
        [
            (*cell, found.rows, found.groups, f"{found.low:.4f}", f"{found.high:.4f}", _HELD_OUT, today)
            for cell, found in sorted(spreads_of(held_out()).items())
        ],
    )


def _write_evidence(cases: Sequence[FitCase], today: str) -> None:
    counts = Counter(
        (c.row.accelerator.name, chip_class(c.row.accelerator), dict(c.context.labels)["engine"], c.shard.linear.path)
        for c in cases
    )
    header = ("chip", "class", "engine", "path", "rows", "source", "as_of")
    write_table(
        LATENCY_TABLES / "evidence.csv", header, [(*key, n, "measured.csv", today) for key, n in sorted(counts.items())]
    )


if __name__ == "__main__":
    main()
