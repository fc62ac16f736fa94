"""Published figures beside what fits that never saw them predicted, and how far off these were.

Reads the committed cross-validation table; no fit, no model run.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from estimators.fitting.latency_measured import excluded, table
from estimators.fitting.spread import Coverage, HeldOut, coverage
from estimators.fitting.tables import RECORDS
from estimators.provenance import read_table

HEADLINE = "without_publication"
LEFT_OUT: Mapping[str, str] = {
    "without_publication": "publication",
    "without_model": "model",
    "without_cell": "accelerator with this engine",
    "without_chip": "accelerator",
}


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
    without_publication: float
    without_model: float
    without_cell: float  # without every row of this accelerator with this engine
    without_chip: float
    publication: str
    architecture: str  # models left out together
    path: str
    evidence: Mapping[str, str]  # by what is left out, what the estimate then rests on (`evidence.level_of`)
    floor: float  # what physics allows at best: seconds at least, requests per second at most
    proven_wrong: bool
    source: str

    def error(self, against: str = HEADLINE) -> float:
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
        without_publication=float(row["without_publication"]),
        without_model=float(row["without_model"]),
        without_cell=float(row["without_cell"]),
        without_chip=float(row["without_chip"]),
        publication=of["publication"],
        architecture=row["architecture"],
        path=row["path"],
        evidence={name: row[f"evidence_{name}"] for name in ("publication", "cell", "chip")},
        floor=float(row["floor"]),
        proven_wrong=row["id"] in excluded(),
        source=of["source"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorScore:
    """Median error and shares of a group of figures, every publication weighing alike; and the median over rows."""

    name: str
    rows: int
    publications: int
    median: float
    of_rows: float
    within_20: float
    within_30: float


def score(name: str, figures: Iterable[Checked], against: str = HEADLINE) -> ErrorScore:
    figures = sorted(figures, key=lambda figure: figure.error(against))
    if not figures:
        return ErrorScore(
            name=name, rows=0, publications=0, median=math.nan, of_rows=math.nan, within_20=math.nan, within_30=math.nan
        )
    counts = Counter(figure.publication for figure in figures)
    errors = [figure.error(against) for figure in figures]
    weights = [1.0 / counts[figure.publication] / len(counts) for figure in figures]
    reached = list(itertools.accumulate(weights))
    n = len(figures)
    return ErrorScore(
        name=name,
        rows=n,
        publications=len(counts),
        median=errors[next((i for i, share in enumerate(reached) if share >= 0.5 - 1e-9), n - 1)],
        of_rows=(errors[(n - 1) // 2] + errors[n // 2]) / 2.0,
        within_20=sum(w for e, w in zip(errors, weights, strict=True) if e <= 0.2),
        within_30=sum(w for e, w in zip(errors, weights, strict=True) if e <= 0.3),
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
    return sorted(figures, key=lambda f: -abs(math.log(f.without_publication / f.published)))[:count]


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
        estimates = (f.fit, *(float(getattr(f, name)) for name in LEFT_OUT))
        slack = 1.0 + 1e-3  # the table holds four digits
        beats = max(estimates) > f.floor * slack if f.metric == "throughput" else min(estimates) * slack < f.floor
        if beats:
            found.append(f)
    return found


def held_out() -> list[HeldOut]:
    """Held-out errors by cell: of every row without its publication, and as if its accelerator had not been measured
    with this engine, or not at all; each stands for estimates that rest on as much as it then did."""
    errors = []
    for f in checked():
        kind = _KIND.get(f.kind, f.kind)
        for name in ("publication", "cell", "chip"):
            level = f.evidence[name]
            if name != "publication" and level == f.evidence["publication"]:
                continue
            error = math.log(f.published / getattr(f, f"without_{name}"))
            cell = (kind, f.metric, level, f.path)
            group = f.publication if name == "publication" else f"{f.accelerator} {f.engine}"
            errors.append(HeldOut(cell=cell, group=group, publication=f.publication, error=error))
    return errors


_KIND = {"open_loop": "concurrency"}  # too few to have ranges of their own; the same server under the same steps


def interval_record() -> list[Coverage]:
    """What `nested_record` last found, as the fit wrote it."""
    return [
        Coverage(
            kind=row["kind"], metric=row["metric"], rows=int(row["rows"]), publications=int(row["publications"]),
            covered=float(row["covered"]), alike=float(row["alike"]), half_width=float(row["half_width"]),
        )
        for row in read_table(RECORDS / "interval_record.csv")
    ]  # fmt: skip


def nested_record() -> list[Coverage]:
    """Coverage and width of intervals made without the publication they are judged on, per kind and figure."""
    judged = [
        HeldOut(
            cell=(_KIND.get(f.kind, f.kind), f.metric, f.evidence["publication"], f.path), group=f.publication,
            publication=f.publication, error=math.log(f.published / f.without_publication),
        )
        for f in checked()
    ]  # fmt: skip
    return coverage(held_out(), judged)
