"""Scores that somebody measured with the LM Evaluation Harness, kept beside the published ones; every field checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from estimators.provenance import Refusal
from estimators.quality.lm_eval_results import HarnessRun, parse_results, scores_of
from estimators.quality.models import canonical
from estimators.quality.schemes import Scheme, scheme_of
from estimators.quality.scores import Score
from estimators.quality.tasks import benchmarks

LONGEST = 300  # characters of a text
_TEXTS = ("model", "suite", "setting", "note", "source", "as_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptScore:
    """One score of a results file. The same result kept twice has one id."""

    id: str
    score: Score
    kept_at: datetime

    @property
    def name(self) -> str:
        """ "meta-llama/Llama-3.1-8B-Instruct in int4: IFEval 76.3, 0-shot, ..., kept 2026-11-28"."""
        score = self.score
        figure = f"{benchmarks()[score.benchmark].name} {score.score:.1f}"
        return f"{score.model} in {score.scheme}: {figure}, {score.setting}, kept {self.kept_at.date().isoformat()}"


def read_for(document: str | bytes, model: str, weights: str, now: datetime) -> tuple[KeptScore, ...]:
    """What a results file says of a model in a precision.

    Raises `Refusal`: for a file that is none, a result that can be none, and where no task of it is a benchmark here.
    """
    run = parse_results(document)
    today = now.date().isoformat()
    made = scores_of(run, canonical(model), scheme_of(weights), source=_provenance(run), as_of=today)
    if not made:
        raise Refusal(
            "No task of this file is one of the benchmarks known here.",
            field="results",
            remedy="The command beside each missing score runs one that is.",
        )
    return tuple(KeptScore(id=_id_of(score), score=score, kept_at=now) for score in made)


def _provenance(run: HarnessRun) -> str:
    return f"your results file of LM Evaluation Harness {run.version}, run on {run.model}"[:LONGEST]


def _id_of(score: Score) -> str:
    told = {key: value for key, value in asdict(score).items() if key != "as_of"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def scores_in(kept: Iterable[KeptScore]) -> tuple[Score, ...]:
    return tuple(entry.score for entry in kept)


def as_dict(kept: KeptScore) -> dict[str, object]:
    """Plain JSON values that `from_dict` reads back."""
    return {**asdict(kept.score), "id": kept.id, "kept_at": kept.kept_at.astimezone(UTC).isoformat()}


def from_dict(entry: object) -> KeptScore:
    """A kept score from plain JSON values, every one of them checked. Raises `Refusal`, `ValueError`, `KeyError`."""
    if not isinstance(entry, Mapping):
        raise Refusal("A kept score is no object.", field="results")
    texts = {key: entry[key] for key in _TEXTS}
    if odd := [key for key, text in texts.items() if not isinstance(text, str) or len(text) > LONGEST]:
        raise Refusal(f"The {odd[0]} of a kept score is no short text.", field=f"results.{odd[0]}")
    benchmark = entry["benchmark"]
    if benchmark not in benchmarks():
        raise Refusal(f"A kept score is of {str(benchmark)[:40]!r}, no benchmark here.", field="results.benchmark")
    error = entry.get("standard_error")
    score = Score(
        **texts,
        benchmark=benchmark,
        scheme=Scheme(entry["scheme"]),
        score=_percent(entry["score"], "score"),
        standard_error=None if error is None else _percent(error, "standard_error"),
    )
    when = datetime.fromisoformat(str(entry["kept_at"]))
    return KeptScore(id=_id_of(score), score=score, kept_at=when if when.tzinfo else when.replace(tzinfo=UTC))


def _percent(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:  # NaN is neither
        raise Refusal(f"The {name} of a kept score is no number from 0 to 100.", field=f"results.{name}")
    return float(value)
