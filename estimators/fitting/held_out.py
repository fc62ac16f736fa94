"""Published figures beside what fits that never saw them predicted, and how far off these were.

Reads the committed cross-validation table; no fit, no model run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from estimators.fitting.latency_measured import excluded, table
from estimators.fitting.spread import Coverage, HeldOut, coverage
from estimators.fitting.tables import LATENCY_TABLES, RECORDS
from estimators.provenance import read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One published figure beside what was predicted for it. Seconds, or requests per second for throughput."""

    id: str
    kind: str
    metric: str
    model: str
    precision: str  # group of the score: bf16 (with fp16), fp8, int8 (with weight-only), int4 ...
    accelerator: str
    gpus: int
    engine: str
    prompt_tokens: float
    output_tokens: float
    load: str
    published: float
    fit: float  # the committed constants
    without_model: float
    without_checkpoint: float
    without_chip: float
    architecture: str  # models left out together
    path: str
    evidence: str  # what an estimate for this accelerator would rest on, had it not been measured
    floor: float  # what physics allows at best: seconds at least, requests per second at most
    proven_wrong: bool
    source: str

    def error(self, against: str = "without_model") -> float:
        """|estimate / published - 1|."""
        return abs(float(getattr(self, against)) / self.published - 1.0)


_PRECISION_GROUP = {"fp16": "bf16", "int8-weight-only": "int8"}


@cache
def checked() -> tuple[Checked, ...]:
    """Every published figure with its held-out predictions."""
    measured = {row["id"]: row for row in table()}
    return tuple(_checked(row, measured[row["id"]]) for row in read_table(RECORDS / "cross_validation.csv"))


def _checked(row: Mapping[str, str], of: Mapping[str, str]) -> Checked:
    return Checked(
        id=row["id"],
        kind=of["kind"],
        metric=row["metric"].removesuffix("_median"),
        model=of["model"],
        precision=_PRECISION_GROUP.get(of["precision"], of["precision"]),
        accelerator=of["accelerator"],
        gpus=round(float(of["tp"]) * float(of["pp"])),
        engine=of["engine"],
        prompt_tokens=float(of["prompt_tokens"]),
        output_tokens=float(of["output_tokens"]),
        load=of["concurrency"] or of["rate_per_s"],
        published=float(row["published"]),
        fit=float(row["fit"]),
        without_model=float(row["without_model"]),
        without_checkpoint=float(row["without_checkpoint"]),
        without_chip=float(row["without_chip"]),
        architecture=row["architecture"],
        path=row["path"],
        evidence=row["evidence"],
        floor=float(row["floor"]),
        proven_wrong=row["id"] in excluded(),
        source=of["source"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorScore:
    """Median error and shares of a group of figures."""

    name: str
    rows: int
    median: float
    within_20: float
    within_30: float


def score(name: str, figures: Iterable[Checked], against: str = "without_model") -> ErrorScore:
    errors = sorted(figure.error(against) for figure in figures)
    if not errors:
        return ErrorScore(name=name, rows=0, median=math.nan, within_20=math.nan, within_30=math.nan)
    n = len(errors)
    middle = (errors[(n - 1) // 2] + errors[n // 2]) / 2.0
    return ErrorScore(
        name=name,
        rows=n,
        median=middle,
        within_20=sum(e <= 0.2 for e in errors) / n,
        within_30=sum(e <= 0.3 for e in errors) / n,
    )


def headline(kind: str) -> list[Checked]:
    """One figure per row of a kind: end to end where it can be had, else what was printed."""
    order = {"e2e": 0, "throughput": 0, "tpot": 1, "ttft": 2}
    best: dict[str, Checked] = {}
    for figure in checked():
        if figure.kind == kind and (figure.id not in best or order[figure.metric] < order[best[figure.id].metric]):
            best[figure.id] = figure
    return list(best.values())


def grouped(figures: Iterable[Checked], key: Callable[[Checked], str], least: int = 5) -> list[ErrorScore]:
    """Scores by a property, largest group first."""
    groups: dict[str, list[Checked]] = {}
    for figure in figures:
        groups.setdefault(key(figure), []).append(figure)
    scores = [score(name, members) for name, members in groups.items() if len(members) >= least]
    return sorted(scores, key=lambda s: -s.rows)


def worst(figures: Iterable[Checked], count: int = 15) -> list[Checked]:
    """The figures furthest off, by the ratio either way."""
    return sorted(figures, key=lambda f: -abs(math.log(f.without_model / f.published)))[:count]


def stated_concurrency(metric: str) -> list[Checked]:
    """Figures at a stated number of requests in flight, NVIDIA accelerators."""
    return [
        f for f in checked() if f.kind == "concurrency" and f.metric == metric
        and not f.accelerator.startswith(("MI", "Train", "Infer"))
    ]  # fmt: skip


def below_floor() -> list[Checked]:
    """Figures whose estimate, by any of the fits, beats the data sheet."""
    found = []
    for f in checked():
        estimates = (f.fit, f.without_model, f.without_checkpoint, f.without_chip)
        slack = 1.0 + 1e-4  # the table holds five digits
        beats = max(estimates) > f.floor * slack if f.metric == "throughput" else min(estimates) * slack < f.floor
        if beats:
            found.append(f)
    return found


def held_out() -> list[HeldOut]:
    """Held-out errors by cell. A measured accelerator is judged by the fit without the model; each row also stands
    for an accelerator that was not measured, judged by the fit without it."""
    errors = []
    for f in checked():
        kind = "concurrency" if f.kind == "open_loop" else f.kind
        chip, other = (kind, f.metric, "chip", f.path), (kind, f.metric, f.evidence, f.path)
        of_model = math.log(f.published / f.without_model)
        of_chip = math.log(f.published / f.without_chip)
        errors.append(HeldOut(cell=chip, group=f.architecture, error=of_model))
        errors.append(HeldOut(cell=other, group=f.accelerator, error=of_chip))
    return errors


# What an interval is judged on, by the evidence it is made with.
LEFT_OUT: Mapping[str, str] = {
    "chip": "model",
    "class": "accelerator",
    "none": "accelerator and its class",
}


def interval_record() -> list[Coverage]:
    """Coverage and width of the intervals in use, per kind and figure."""
    factors = {
        (row["kind"], row["metric"], row["evidence"]): float(row["widened"])
        for row in read_table(LATENCY_TABLES / "intervals.csv")
        if row["evidence"]
    }
    return coverage(held_out(), factors)
