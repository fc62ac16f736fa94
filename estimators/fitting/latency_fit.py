"""Fit the latency calibration to published measurements: `python -m estimators.fitting.latency_fit`.

Needs numpy only and takes some minutes on one core. Writes constants.csv (the
effects), evidence.csv (how many rows stand behind each chip), cross_validation.csv (every published figure beside
what a fit without its model, and one without its accelerator, predicts) and intervals.csv. With --intervals only the
last, from the committed cross-validation: for a change of the interval method, which moves no estimate.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from estimators.fitting.held_out import held_out
from estimators.fitting.latency_cases import Array, FitCase, floor_of, make_case
from estimators.fitting.latency_measured import excluded, rows
from estimators.fitting.latency_solver import FitProblem
from estimators.fitting.spread import nested, quantiles, widening
from estimators.fitting.tables import LATENCY_TABLES, RECORDS
from estimators.latency.calibration import chip_class
from estimators.latency.evidence import ENOUGH

_SOURCE = "fit to measured.csv"


def path_of(case: FitCase) -> str:
    """The path an estimate's interval is looked up by: of the experts where there are any."""
    return str(case.shard.expert.path if case.shard.has_experts else case.shard.linear.path)


def evidence_left_out(cases: Sequence[FitCase]) -> dict[str, str]:
    """What an estimate for each accelerator would rest on, had it not been measured: its class, or nothing like it."""
    chips = Counter(c.row.accelerator.name for c in cases)
    class_of = {c.row.accelerator.name: chip_class(c.row.accelerator) for c in cases}
    classes: Counter[str] = Counter()
    for chip, rows_of_chip in chips.items():
        classes[class_of[chip]] += rows_of_chip
    return {chip: "class" if classes[class_of[chip]] - n >= ENOUGH else "none" for chip, n in chips.items()}


def architecture_of(case: FitCase) -> tuple[int, ...]:
    """Models of one architecture are left out together: every precision and every fine-tune of Llama-3.1-8B."""
    spec = case.row.precision.spec
    return spec.hidden_size, spec.layer_count, spec.vocab_size, spec.active_params


def checkpoint_of(case: FitCase) -> Hashable:
    return case.row.model


def chip_of(case: FitCase) -> Hashable:
    return case.row.accelerator.name


def left_out(problem: FitProblem, theta: Array, key: Callable[[FitCase], Hashable], weight: Array) -> Array:
    """Predictions of every observation by a fit that never saw its group.

    Each fold starts from the full fit, solves the problem linearised there without the group, and takes one more
    Gauss-Newton step from where it lands.
    """
    f, jacobian = problem.linearise(theta)
    groups: dict[Hashable, list[int]] = {}
    for number in range(len(problem.y)):
        groups.setdefault(key(problem.case_of(number)), []).append(number)
    predicted = np.zeros(len(problem.y))
    folds = problem.solve_without(theta, f, jacobian, weight, list(groups.values()))
    for members, fold in zip(groups.values(), folds, strict=True):
        if len(members) > len(problem.y) // 25:  # a large group moves the fit far: linearise again where it went
            rest = weight.copy()
            rest[members] = 0.0
            f2, jacobian2 = problem.linearise(fold)
            fold = problem.solve(fold, f2, jacobian2, rest)
        predicted[members] = problem.predict(fold)[members]
    return predicted


def write(path: Path, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="estimators.fitting.latency_fit", description="Fit the latency calibration.")
    parser.add_argument("--intervals", action="store_true", help="only the intervals, from the committed table")
    today = date.today().isoformat()  # noqa: DTZ011
    if parser.parse_args().intervals:
        write_intervals(today)
        return
    begun = time.monotonic()
    cases = [case for case in map(make_case, rows()) if case is not None]
    problem = FitProblem(cases)
    wrong = excluded()
    weight = np.array([0.0 if problem.case_of(n).row.id in wrong else w for n, w in enumerate(problem.weight)])
    theta = problem.fit(weight)
    print(f"{len(cases)} rows, {len(problem.y)} figures, {len(theta)} effects, {time.monotonic() - begun:.0f} s")
    write(
        LATENCY_TABLES / "constants.csv",
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
    resting = evidence_left_out(cases)
    write(
        RECORDS / "cross_validation.csv",
        ("id", "metric", "fitted_to", "architecture", "path", "evidence", "floor", "published", "fit", "without_model",
         "without_checkpoint", "without_chip", "source", "as_of"),
        [
            (
                problem.case_of(n).row.id,
                o.metric,
                int(problem.weight[n] > 0.0),
                "-".join(str(part) for part in architecture_of(problem.case_of(n))),
                path_of(problem.case_of(n)),
                resting[problem.case_of(n).row.accelerator.name],
                f"{floor_of(problem.case_of(n), o.metric.removesuffix('_median')):.5g}",
                *(f"{np.exp(v):.5g}" for v in (o.value, fitted[n], by_model[n], by_checkpoint[n], by_chip[n])),
                "measured.csv",
                today,
            )
            for n, o in enumerate(problem.observations)
        ],
    )  # fmt: skip
    write_intervals(today)
    print(f"done in {time.monotonic() - begun:.0f} s", file=sys.stderr)


def write_intervals(today: str) -> None:
    """The 80 % intervals in use, from the committed cross-validation table."""
    errors = held_out()
    factors = {family: widening(marks) for family, marks in nested(errors).items()}
    write(
        LATENCY_TABLES / "intervals.csv",
        ("kind", "metric", "evidence", "path", "rows", "widened", "q10", "q90", "source", "as_of"),
        [
            (*cell, n, f"{factor:.3f}", f"{factor * low:.4f}", f"{factor * high:.4f}", "cross_validation.csv", today)
            for cell, (n, low, high) in sorted(quantiles(errors).items())
            for factor in (factors.get(cell[:3], 1.0),)
        ],
    )


def _write_evidence(cases: Sequence[FitCase], today: str) -> None:
    counts = Counter(
        (c.row.accelerator.name, chip_class(c.row.accelerator), dict(c.context.labels)["engine"], c.shard.linear.path)
        for c in cases
    )
    header = ("chip", "class", "engine", "path", "rows", "source", "as_of")
    write(
        LATENCY_TABLES / "evidence.csv", header, [(*key, n, "measured.csv", today) for key, n in sorted(counts.items())]
    )


if __name__ == "__main__":
    main()
