"""How close estimates are to measurements they never saw: `python -m estimators.fitting.latency_accuracy`.

The figures the estimator is judged by, what they should reach, and for those that miss it the rows behind. An estimate
for a model left out rests on the other models of the same engine and format. Where there is none, or only of another
kind of attention or feed-forward, nothing of the published rows says how fast that engine runs it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

from estimators.fitting.held_out import (
    HEADLINE,
    LEFT_OUT,
    Checked,
    ErrorScore,
    below_floor,
    checked,
    headline,
    interval_record,
    score,
    stated_concurrency,
)
from estimators.fitting.percentiles import record, scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line of the table the estimator is judged by: its figures, the fit they are held against, what to reach."""

    what: str
    figures: tuple[Checked, ...]
    median: float  # to reach
    within: tuple[float, float] | None = None  # (band, share to reach)
    against: str = HEADLINE

    @property
    def reach(self) -> str:
        share = f", {self.within[1]:.0%} within {self.within[0]:.0%}".replace("%", " %") if self.within else ""
        return f"{self.median:.0%}".replace("%", " %") + (" median" if self.within else "") + share

    @property
    def score(self) -> ErrorScore:
        return score(self.what, self.figures, self.against)

    @property
    def reached(self) -> bool:
        found = self.score
        shares = {0.2: found.within_20, 0.3: found.within_30}
        return found.median <= self.median and (self.within is None or shares[self.within[0]] >= self.within[1])


@cache
def targets() -> tuple[Target, ...]:
    """Every line of that table."""
    single = tuple(headline("single_stream"))
    most = tuple(headline("max_throughput"))
    return (
        Target(what="single stream", figures=single, median=0.05, within=(0.2, 0.90)),
        Target(what="static batch", figures=tuple(headline("static_batch")), median=0.07),
        Target(what="stated concurrency, TPOT", figures=tuple(stated_concurrency("tpot")), median=0.11),
        Target(what="stated concurrency, TTFT", figures=tuple(stated_concurrency("ttft")), median=0.28),
        Target(what="maximum throughput", figures=most, median=0.13),
    )


def left_out_otherwise() -> list[tuple[str, dict[str, ErrorScore]]]:
    """The same figures with other things left out, by the column of the table."""
    return [(t.what, {name: score(t.what, t.figures, name) for name in ("fit", *LEFT_OUT)}) for t in targets()]


def figures() -> list[tuple[str, str, ErrorScore]]:
    """The table as (what, to reach, score)."""
    return [(target.what, target.reach, target.score) for target in targets()]


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedRows:
    """Rows of one model on one engine in one format, of a figure that misses its reach."""

    model: str
    engine: str
    path: str
    rows: int
    beyond: int  # of them, further off than the reach
    typical: float  # median of estimate / published - 1; above zero: estimated slower, or for throughput faster
    others: int  # models of another architecture measured with this engine and format
    other_rows: int

    @property
    def sentence(self) -> str:
        way = f"{self.typical:+.0%}"
        if not self.others:
            return f"{way}; no other model was measured with {self.engine} in {self.path}"
        models = f"{self.others} other model{'s' if self.others > 1 else ''}"
        return f"{way}; {self.other_rows} rows of {models} with {self.engine} in {self.path} stand behind it"


def groups_behind(target: Target, count: int = 5) -> list[MissedRows]:
    """The groups with most rows beyond the reach of a target, largest first."""
    found: dict[tuple[str, str, str], list[Checked]] = {}
    for figure in target.figures:
        found.setdefault((figure.architecture, figure.engine, figure.path), []).append(figure)
    made = [_group(key, members, target) for key, members in found.items()]
    return sorted((g for g in made if g.beyond), key=lambda g: -g.beyond)[:count]


def _group(key: tuple[str, str, str], members: list[Checked], target: Target) -> MissedRows:
    architecture, engine, path = key
    others = [f for f in checked() if (f.engine, f.path) == (engine, path) and f.architecture != architecture]
    ratios = sorted(getattr(f, target.against) / f.published for f in members)
    return MissedRows(
        model=_shortest(f.model for f in members),
        engine=engine,
        path=path,
        rows=len(members),
        beyond=sum(f.error(target.against) > target.median for f in members),
        typical=ratios[len(ratios) // 2] - 1.0,
        others=len({f.architecture for f in others}),
        other_rows=len({f.id for f in others}),
    )


def _shortest(names: Iterable[str]) -> str:
    return min(set(names), key=lambda name: (len(name), name))


def scatter(target: Target) -> tuple[int, float] | None:
    """Figures of one case published more than once, and their median distance from the geometric mean of the others.

    What no estimator can be better than on these rows: they differ though everything stated about them agrees.
    """
    same: dict[tuple[object, ...], list[float]] = {}
    for f in target.figures:
        case = (f.model, f.precision, f.accelerator, f.gpus, f.engine, f.prompt_tokens, f.output_tokens, f.load)
        same.setdefault(case, []).append(math.log(f.published))
    apart = [
        math.expm1(abs(value - (sum(values) - value) / (len(values) - 1)))
        for values in same.values()
        if len(values) > 1
        for value in values
    ]
    return (len(apart), sorted(apart)[len(apart) // 2]) if len(apart) >= 20 else None


_ALIKE = 0.15  # logarithm of lengths within which two requests count as one case


def disagreement(target: Target) -> tuple[int, float] | None:
    """Cases that two publications print, and by how much the larger figure exceeds the smaller, in the middle."""
    cases: dict[tuple[object, ...], dict[str, list[float]]] = {}
    for f in target.figures:
        lengths = (round(math.log(f.prompt_tokens) / _ALIKE), round(math.log(f.output_tokens) / _ALIKE))
        case = (f.architecture, f.precision, f.accelerator, f.gpus, f.engine, f.kind, *lengths, float(f.load or 0))
        cases.setdefault(case, {}).setdefault(f.publication, []).append(math.log(f.published))
    apart: list[float] = []
    for printed in cases.values():
        means = [sum(values) / len(values) for values in printed.values()]
        apart.extend(math.expm1(abs(a - b)) for a, b in itertools.combinations(means, 2))
    shared = sum(len(printed) > 1 for printed in cases.values())
    return (shared, sorted(apart)[len(apart) // 2]) if shared else None


def noise(target: Target) -> str:
    """How far figures of one case differ, within publications and between them: what no estimate can be better than."""
    repeated, between = scatter(target), disagreement(target)
    said = []
    if repeated is not None:
        said.append(f"{repeated[0]} of its figures were published more than once and differ by {repeated[1]:.1%}.")
    said.append(
        f"{between[0]} of its cases were printed by two publications, which are {between[1]:.0%} apart."
        if between else "No case of it was printed by two publications."
    )  # fmt: skip
    return " ".join(said)


def main() -> None:
    record(date.today().isoformat())  # noqa: DTZ011
    print("Without the publication, every publication weighing alike:")
    print("| what | reach | rows | publications | median | median of rows | within 20 % | within 30 % |")
    print("|---|---|---|---|---|---|---|---|")
    for what, reach, s in figures():
        shares = f"{s.within_20:.0%} | {s.within_30:.0%}"
        print(f"| {what} | {reach} | {s.rows} | {s.publications} | {s.median:.1%} | {s.of_rows:.1%} | {shares} |")
    print("\nMedian with publications alike, and of rows, by what was left out:")
    print(f"| what | nothing | {' | '.join(LEFT_OUT.values())} |\n|---|---|---|---|---|---|")
    for what, found in left_out_otherwise():
        print(f"| {what} | {' | '.join(f'{s.median:.1%}, {s.of_rows:.1%}' for s in found.values())} |")
    print(f"\nEstimates below the physical floor: {len(below_floor())} of {len(checked())}")
    print("\n80 % intervals, made without the publication they are judged on:")
    print("| kind | figure | publications | rows | covered | publications alike | median half width |")
    print("|---|---|---|---|---|---|---|")
    for c in interval_record():
        shares = f"{c.covered:.0%} | {c.alike:.0%} | {c.half_width:.0%}"
        print(f"| {c.kind} | {c.metric} | {c.publications} | {c.rows} | {shares} |")
    _print_percentiles()
    _print_misses()


def _print_percentiles() -> None:
    print("\nPercentiles over the median, ours beside those printed; and how far off they are without the publication:")
    print("| load | figure | percentile | publications | rows | printed | estimated | off | value off |")
    print("|---|---|---|---|---|---|---|---|---|")
    for s in scores():
        spread = f"{s.printed:.2f} | {s.estimated:.2f} | {s.error:.0%} | {s.value_error:.0%}"
        print(f"| {s.load} | {s.figure} | p{s.level} | {s.publications} | {s.rows} | {spread} |")


def _print_misses() -> None:
    for target in targets():
        if target.reached:
            continue
        print(f"\nWhere {target.what} misses its {target.reach}:")
        print(noise(target))
        print("| model | rows | beyond it | estimate, and what it rests on |")
        print("|---|---|---|---|")
        for g in groups_behind(target):
            print(f"| {g.model}, {g.engine}, {g.path} | {g.rows} | {g.beyond} | {g.sentence} |")


if __name__ == "__main__":
    main()
