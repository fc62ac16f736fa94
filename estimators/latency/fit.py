"""Fit the latency calibration to the published measurements and write its tables: `python -m estimators.latency.fit`.

Needs scipy-free numpy only, takes some minutes on one core, and is deterministic. Writes constants.csv (the
effects), evidence.csv (how many rows stand behind each chip), cross_validation.csv (every published figure beside
what a fit without its model, and one without its accelerator, predicts) and intervals.csv.
"""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimators.latency.calibration import chip_class
from estimators.latency.fit_cases import Array, Case, make_case
from estimators.latency.fit_solver import Problem
from estimators.latency.measured import excluded, rows
from estimators.latency.spread import interval_rows

_DATA = Path(__file__).parent / "data"
_SOURCE = "fit to measured.csv"


def architecture_of(case: Case) -> Hashable:
    """Models of one architecture are left out together: every precision and every fine-tune of Llama-3.1-8B."""
    spec = case.row.precision.spec
    return spec.hidden_size, spec.layer_count, spec.vocab_size, spec.active_params


def checkpoint_of(case: Case) -> Hashable:
    return case.row.model


def chip_of(case: Case) -> Hashable:
    return case.row.accelerator.name


def left_out(problem: Problem, theta: Array, key: Callable[[Case], Hashable], weight: Array) -> Array:
    """Predictions of every observation by a fit that never saw its group.

    Each fold starts from the full fit, solves the problem linearised there without the group, and takes one more
    Gauss-Newton step from where it lands.
    """
    f, jacobian = problem.linearise(theta)
    groups: dict[Hashable, list[int]] = {}
    for number, case in enumerate(problem.case_of(n) for n in range(len(problem.y))):
        groups.setdefault(key(case), []).append(number)
    predicted = np.zeros(len(problem.y))
    for members in groups.values():
        keep = np.ones(len(problem.y), dtype=np.bool_)
        keep[members] = False
        fold = problem.solve(theta, f, jacobian, keep, weight)
        if len(members) > len(problem.y) // 50:  # a large group moves the fit far enough to linearise again
            f2, jacobian2 = problem.linearise(fold)
            fold = problem.solve(fold, f2, jacobian2, keep, weight)
        predicted[members] = problem.predict(fold)[members]
    return predicted


def write(name: str, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    with (_DATA / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def main() -> None:
    begun = time.monotonic()
    today = date.today().isoformat()  # noqa: DTZ011
    cases = [case for case in map(make_case, rows()) if case is not None]
    problem = Problem(cases)
    wrong = excluded()
    weight = np.array([0.0 if problem.case_of(n).row.id in wrong else w for n, w in enumerate(problem.weight)])
    keep: NDArray[np.bool_] = np.ones(len(problem.y), dtype=np.bool_)
    theta = problem.fit(keep, weight)
    print(f"{len(cases)} rows, {len(problem.y)} figures, {len(theta)} effects, {time.monotonic() - begun:.0f} s")
    write(
        "constants.csv",
        ("effect", "value", "rows", "source", "as_of"),
        [
            (name, f"{value:.4f}", int(count), _SOURCE, today)
            for name, value, count in sorted(zip(problem.names, theta, problem.counts(), strict=True))
        ],
    )
    _write_evidence(cases, today)
    fitted = problem.predict(theta)
    by_model = left_out(problem, theta, architecture_of, weight)
    print(f"without its model: {time.monotonic() - begun:.0f} s")
    by_checkpoint = left_out(problem, theta, checkpoint_of, weight)
    print(f"without its checkpoint: {time.monotonic() - begun:.0f} s")
    by_chip = left_out(problem, theta, chip_of, weight)
    print(f"without its accelerator: {time.monotonic() - begun:.0f} s")
    lines = [
        (
            problem.case_of(n).row.id,
            o.metric,
            int(problem.weight[n] > 0.0),
            *(f"{np.exp(value):.5g}" for value in (o.value, fitted[n], by_model[n], by_checkpoint[n], by_chip[n])),
            "measured.csv",
            today,
        )
        for n, o in enumerate(problem.observations)
    ]
    write(
        "cross_validation.csv",
        ("id", "metric", "fitted_to", "published", "fit", "without_model", "without_checkpoint", "without_chip",
         "source", "as_of"),
        lines,
    )  # fmt: skip
    write(
        "intervals.csv",
        ("kind", "metric", "evidence", "path", "rows", "q10", "q90", "source", "as_of"),
        [(*row, "cross_validation.csv", today) for row in interval_rows(problem, by_model, by_chip)],
    )
    print(f"done in {time.monotonic() - begun:.0f} s", file=sys.stderr)


def _write_evidence(cases: Sequence[Case], today: str) -> None:
    counts = Counter(
        (c.row.accelerator.name, chip_class(c.row.accelerator), dict(c.context.labels)["engine"], c.shard.linear.path)
        for c in cases
    )
    header = ("chip", "class", "engine", "path", "rows", "source", "as_of")
    write("evidence.csv", header, [(*key, n, "measured.csv", today) for key, n in sorted(counts.items())])


if __name__ == "__main__":
    main()
