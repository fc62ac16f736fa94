"""Where the figures that miss their reach miss it: the groups of rows behind each, and what was measured like them.

An estimate for a model left out rests on the other models of the same engine and format. Where there is none, or only
of another kind of attention or feed-forward, nothing of the published rows says how fast that engine runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from estimators.fitting.latency_accuracy import Checked, Question, checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
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


def groups_behind(question: Question, count: int = 5) -> list[Group]:
    """The groups with most rows beyond the reach of a question, largest first."""
    found: dict[tuple[str, str, str], list[Checked]] = {}
    for figure in question.figures:
        found.setdefault((figure.architecture, figure.engine, figure.path), []).append(figure)
    made = [_group(key, members, question) for key, members in found.items()]
    return sorted((g for g in made if g.beyond), key=lambda g: -g.beyond)[:count]


def _group(key: tuple[str, str, str], members: list[Checked], question: Question) -> Group:
    architecture, engine, path = key
    others = [f for f in checked() if (f.engine, f.path) == (engine, path) and f.architecture != architecture]
    ratios = sorted(getattr(f, question.against) / f.published for f in members)
    return Group(
        model=_shortest(f.model for f in members),
        engine=engine,
        path=path,
        rows=len(members),
        beyond=sum(f.error(question.against) > question.median for f in members),
        typical=ratios[len(ratios) // 2] - 1.0,
        others=len({f.architecture for f in others}),
        other_rows=len({f.id for f in others}),
    )


def _shortest(names: Iterable[str]) -> str:
    return min(set(names), key=lambda name: (len(name), name))


def scatter(question: Question) -> tuple[int, float] | None:
    """Figures of one case published more than once, and their median distance from the geometric mean of the others.

    What no estimator can be better than on these rows: they differ though everything stated about them agrees.
    """
    same: dict[tuple[object, ...], list[float]] = {}
    for f in question.figures:
        case = (f.model, f.precision, f.accelerator, f.gpus, f.engine, f.prompt_tokens, f.output_tokens, f.load)
        same.setdefault(case, []).append(math.log(f.published))
    apart = [
        math.expm1(abs(value - (sum(values) - value) / (len(values) - 1)))
        for values in same.values()
        if len(values) > 1
        for value in values
    ]
    return (len(apart), sorted(apart)[len(apart) // 2]) if len(apart) >= 20 else None
