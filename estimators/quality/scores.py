"""Published benchmark scores, compared only inside one benchmark, one suite and one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from estimators.provenance import read_table
from estimators.quality.models import canonical, same_model
from estimators.quality.schemes import UNCHANGED, Scheme
from estimators.quality.tasks import DATA, Benchmark, Task, benchmarks

# The mode of a reasoning model that is meant when none is named: the one that spends the fewest tokens.
MODE_PREFERENCE = ("", "as listed", "non-reasoning", "reasoning low", "reasoning", "reasoning high")


Ruler = tuple[str, str, str]  # benchmark, suite, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score of one model. Two scores compare only when their `key` is equal."""

    model: str
    benchmark: str
    suite: str  # who ran it, in which table
    setting: str  # shots, prompt, metric
    score: float  # in the benchmark's unit
    mode: str = ""  # of a reasoning model
    scheme: Scheme = Scheme.AS_PUBLISHED  # a person's own run may be of compressed weights
    standard_error: float | None = None  # as measured; else the benchmark's sampling error applies
    note: str = ""
    source: str
    as_of: str

    @property
    def key(self) -> Ruler:
        """Benchmark, suite and setting: the ruler the score was taken with."""
        return self.benchmark, self.suite, self.setting

    @property
    def reasons(self) -> bool:
        """Whether it was taken while the model reasons before it answers, which spends output tokens."""
        return self.mode.startswith("reasoning")

    @property
    def sampling_error(self) -> float | None:
        """Standard error in points, as measured or from the number of questions."""
        return self.standard_error or benchmarks()[self.benchmark].standard_error(self.score)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorePair:
    """Two models on one ruler."""

    candidate: Score
    reference: Score

    @property
    def benchmark(self) -> Benchmark:
        """What was measured."""
        return benchmarks()[self.candidate.benchmark]

    @property
    def ratio(self) -> float:
        """Candidate over reference. Example: 80.4 against 87.5 on IFEval is 0.919."""
        return self.candidate.score / self.reference.score

    @property
    def relative_error(self) -> float | None:
        """One standard error of the ratio, the two runs taken as independent: R sqrt((a/A)^2 + (b/B)^2)."""
        errors = self.candidate.sampling_error, self.reference.sampling_error
        if errors[0] is None or errors[1] is None or self.candidate.score <= 0:
            return None
        shares = errors[0] / self.candidate.score, errors[1] / self.reference.score
        return float(self.ratio * (shares[0] ** 2 + shares[1] ** 2) ** 0.5)


@cache
def published_scores() -> tuple[Score, ...]:
    """Every published score."""
    fact = ("model", "benchmark", "setting", "mode", "source")
    return tuple(_score(row) for row in read_table(DATA / "scores.csv", key=fact))


def scores(
    model_id: str, *, task: Task | None = None, benchmark: str | None = None, own: Sequence[Score] = ()
) -> tuple[Score, ...]:
    """The scores of a model, a person's own first, then by benchmark and by how many models the ruler measured."""
    found = [row for row in own if same_model(row.model, model_id)]
    found += _of_model().get(canonical(model_id).lower(), ())
    if task is not None:
        found = [row for row in found if benchmarks()[row.benchmark].task is task]
    if benchmark is not None:
        found = [row for row in found if row.benchmark == benchmark]
    return tuple(sorted(found, key=lambda row: _order(row, own)))


@cache
def _of_model() -> Mapping[str, tuple[Score, ...]]:
    """Published scores by the id they are filed under, in lower case."""
    found: dict[str, list[Score]] = {}
    for row in published_scores():
        found.setdefault(canonical(row.model).lower(), []).append(row)
    return {model: tuple(rows) for model, rows in found.items()}


def paired_scores(
    candidate: str,
    reference: str,
    task: Task,
    *,
    own: Sequence[Score] = (),
    candidate_scheme: Scheme = Scheme.AS_PUBLISHED,
    reference_scheme: Scheme = Scheme.AS_PUBLISHED,
    ruler: Ruler | None = None,
) -> tuple[ScorePair, ...]:
    """Every ruler that measured both models for a task; the first is the one to decide on.

    A person's own runs come first; then the nearest benchmark; then the suite that measured most models. With `ruler`
    no other published one is read, so that many candidates can be ranked. Baselines too near to guessing are left out.
    """
    ours = _by_key(scores(candidate, task=task, own=own), candidate_scheme)
    theirs = _by_key(scores(reference, task=task, own=own), reference_scheme)
    pairs = [
        ScorePair(candidate=ours[key], reference=theirs[key])
        for key in ours
        if key in theirs and _tells(theirs[key]) and (ruler is None or key == ruler or ours[key] in own)
    ]
    return tuple(sorted(pairs, key=lambda pair: _order(pair.candidate, own)))


def ruler_of(reference: str, task: Task, models: Sequence[str]) -> Ruler | None:
    """The one ruler to rank `models` by beside the reference: the one that measured most of them, then the nearest.

    Scores of two benchmarks, or of two suites of one, do not rank models: 87 % of a reference by IFEval is not more
    than 50 % of it by IFBench. None where no ruler of the task measured the reference.
    """
    named = {canonical(model).lower() for model in models}
    theirs = [row for row in scores(reference, task=task) if _tells(row)]
    best = min(theirs, key=lambda row: (-len(named & _measured()[row.key]), _order(row, ())), default=None)
    return None if best is None else best.key


def scores_by(ruler: Ruler) -> tuple[Score, ...]:
    """One published score of every model that a ruler measured, in the mode that spends the fewest tokens."""
    best: dict[str, Score] = {}
    for row in published_scores():
        known = best.get(row.model.lower())
        if row.key == ruler and (known is None or _mode(row) < _mode(known)):
            best[row.model.lower()] = row
    return tuple(best.values())


def _by_key(rows: Sequence[Score], scheme: Scheme) -> dict[Ruler, Score]:
    """One score per ruler, of the weights asked for, in the preferred mode."""
    wanted = UNCHANGED if scheme in UNCHANGED else {scheme}
    best: dict[Ruler, Score] = {}
    for row in rows:
        if row.scheme in wanted and (row.key not in best or _mode(row) < _mode(best[row.key])):
            best[row.key] = row
    return best


def _tells(reference: Score) -> bool:
    chance = benchmarks()[reference.benchmark].chance
    return reference.score > 0 and (chance is None or reference.score - chance >= 10)


def _mode(row: Score) -> int:
    return MODE_PREFERENCE.index(row.mode) if row.mode in MODE_PREFERENCE else len(MODE_PREFERENCE)


def _order(row: Score, own: Sequence[Score]) -> tuple[bool, int, int, str, str, int]:
    preference = benchmarks()[row.benchmark].preference
    return row not in own, preference, -len(_measured().get(row.key, ())), row.suite, row.setting, _mode(row)


@cache
def _measured() -> Mapping[Ruler, frozenset[str]]:
    """The models that each ruler measured."""
    models: dict[Ruler, set[str]] = {}
    for row in published_scores():
        models.setdefault(row.key, set()).add(row.model.lower())
    return {key: frozenset(found) for key, found in models.items()}


def _score(row: Mapping[str, str]) -> Score:
    return Score(
        model=canonical(row["model"]),
        benchmark=row["benchmark"],
        suite=row["suite"],
        setting=row["setting"],
        mode=row["mode"],
        score=float(row["score"]),
        note=row["note"],
        source=row["source"],
        as_of=row["as_of"],
    )
