"""Is a smaller or compressed model good enough for a task, against a reference: a ratio, its evidence, or neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from estimators.quality.checkpoints import deployed
from estimators.quality.evidence import RecoveryRow, Statistic
from estimators.quality.models import canonical, same_model
from estimators.quality.recovery import Level, Recovery, recovery
from estimators.quality.schemes import UNCHANGED, Scheme, scheme_of
from estimators.quality.scores import Ruler, Score, ScorePair, paired_scores
from estimators.quality.tasks import Task, benchmarks

# Below this a single row is worth naming beside the middle value.
WEAK_ROW = 0.95


class Meets(StrEnum):
    """Whether a quality bar is met."""

    YES = "yes"  # the whole range is above the bar
    LIKELY = "likely"  # the middle is above it, the low end is not
    NO = "no"
    UNKNOWN = "unknown"  # no evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityVerdict:
    """Candidate quality over reference quality on one task. `ratio` None: missing evidence, never 100 %."""

    candidate: str
    scheme: Scheme
    reference: str
    reference_scheme: Scheme
    task: Task
    ratio: float | None
    low: float | None
    high: float | None
    level: Level | None  # of the weakest link
    scores: ScorePair | None  # the ruler decided on; None when both are one model
    candidate_recovery: Recovery | None
    also_recoveries: tuple[Recovery, ...]  # of what else was done to the candidate, such as an FP8 cache
    reference_recovery: Recovery | None
    relative_error: float | None  # one standard error of the score ratio from the number of questions
    reason: str  # how the ratio was made, or what is missing
    caveats: tuple[str, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source the ratio rests on, each once."""
        found = [self.scores.candidate.source, self.scores.reference.source] if self.scores else []
        for part in (self.candidate_recovery, *self.also_recoveries, self.reference_recovery):
            found.extend(part.sources if part else ())
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarResult:
    """The outcome of a bar, how far from it, and why."""

    meets: Meets
    margin: float | None  # ratio - bar
    reason: str

    @property
    def passes(self) -> bool:
        """Whether a plan may be offered: a middle value above the bar counts, missing evidence does not."""
        return self.meets in {Meets.YES, Meets.LIKELY}


def compare_quality(
    candidate_model: str,
    candidate_scheme: str,
    reference_model: str,
    task: Task,
    *,
    method: str | None = None,
    also: Sequence[str] = (),
    reference_scheme: str = "as-published",
    params: float | None = None,
    own_scores: Sequence[Score] = (),
    ruler: Ruler | None = None,
) -> QualityVerdict:
    """Candidate over reference, Q = (S_c / S_r) x R_c / R_r, each ratio inside one suite; or what is missing.

    S are scores of the published weights on one benchmark, suite and setting; R is what the scheme keeps of them,
    from rows of the same benchmark where there are any. `also` names further schemes that combine with the first,
    such as "kv-fp8"; each needs evidence. A person's own runs of both, as deployed, replace it all. With `ruler` no
    other published scores are read, so that verdicts of several candidates can be ranked.
    Example: Llama 3.1 8B at INT4 against the 70B on instruction following is 75.9 / 83.6 x 76.3 / 77.9 = 0.889.
    """
    candidate, wanted, method = deployed(candidate_model, candidate_scheme, method)
    reference, against, _ = deployed(reference_model, reference_scheme)
    case = _Case(candidate, wanted, reference, against, task)
    own = tuple(own_scores)
    direct = paired_scores(
        case.candidate, case.reference, task, own=own, candidate_scheme=wanted, reference_scheme=against
    )
    if direct and direct[0].candidate in own and wanted not in UNCHANGED and not also:
        return _direct(case, direct)
    pairs: tuple[ScorePair, ...] = ()
    if not same_model(case.candidate, case.reference):
        pairs = paired_scores(case.candidate, case.reference, task, own=own, ruler=ruler)
        if not pairs:
            where = f"no scores on {benchmarks()[ruler[0]].name} ({ruler[1]}) of" if ruler else "no suite has measured"
            return _missing(case, f"{where} both {case.candidate} and {case.reference} on {task}")
    own_rows = recovery_from_scores(own)
    bench = pairs[0].candidate.benchmark if pairs else None
    parts = []
    for scheme, how in ((wanted, method), *((scheme_of(name), None) for name in also)):
        kept = _kept(case.candidate, scheme, how, task, bench, params, own_rows)
        if kept is None:
            return _missing(case, f"no published recovery of {scheme} on {task}, for this model or any near it", pairs)
        parts.append(kept)
    kept_reference = _kept(case.reference, against, None, task, bench, None, own_rows)
    if kept_reference is None:
        return _missing(case, f"no published recovery of {against} on {task} for {case.reference}", pairs)
    return _composed(case, pairs, parts, kept_reference)


def meets_bar(verdict: QualityVerdict, minimum_ratio: float) -> BarResult:
    """Whether a verdict clears a bar such as 0.99 ("within 1 %"), by how much, and how sure that is."""
    if verdict.ratio is None or verdict.low is None:
        return BarResult(meets=Meets.UNKNOWN, margin=None, reason=f"No evidence: {verdict.reason}.")
    margin = verdict.ratio - minimum_ratio
    said = f"{100 * verdict.ratio:.1f} % of the reference against a bar of {100 * minimum_ratio:.1f} %"
    if margin < 0:
        return BarResult(meets=Meets.NO, margin=margin, reason=f"{said}: short by {-100 * margin:.1f} points.")
    if verdict.low < minimum_ratio:
        low = f"the evidence reaches down to {100 * verdict.low:.1f} %"
        return BarResult(meets=Meets.LIKELY, margin=margin, reason=f"{said}, but {low}.")
    return BarResult(meets=Meets.YES, margin=margin, reason=f"{said}.")


def recovery_from_scores(own: Sequence[Score]) -> tuple[RecoveryRow, ...]:
    """Recoveries inside a person's own runs: the same model compressed and as published, on one ruler."""
    rows = []
    for after in own:
        for before in own:
            paired = before.key == after.key and same_model(before.model, after.model)
            if paired and before.scheme in UNCHANGED and after.scheme not in UNCHANGED and before.score > 0:
                rows.append(_own_row(before, after))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class _Case:
    candidate: str
    scheme: Scheme
    reference: str
    reference_scheme: Scheme
    task: Task


def _kept(
    model: str,
    scheme: Scheme,
    method: str | None,
    task: Task,
    bench: str | None,
    params: float | None,
    own: Sequence[RecoveryRow],
) -> Recovery | None:
    """Recovery on the ruler's own benchmark from the model's own rows, else on any benchmark of the task."""
    if bench is not None:
        same = recovery(model, scheme, method, task, benchmark=bench, params=params, own=own)
        if same is not None and same.level in {Level.REFERENCE, Level.EXACT}:
            return same
    found = recovery(model, scheme, method, task, params=params, own=own)
    return found or (recovery(model, scheme, None, task, params=params, own=own) if method else None)


def _direct(case: _Case, pairs: tuple[ScorePair, ...]) -> QualityVerdict:
    pair = pairs[0]
    error = pair.relative_error or 0.0
    notes = dict.fromkeys(score.note for score in (pair.candidate, pair.reference) if "partial" in score.note)
    return _verdict(
        case,
        pairs,
        ratio=pair.ratio,
        low=pair.ratio - error,
        high=pair.ratio + error,
        level=Level.EXACT,
        reason=f"your own runs of both on {pair.benchmark.name}, as deployed",
        caveats=tuple(notes),
    )


def _composed(
    case: _Case, pairs: tuple[ScorePair, ...], parts: Sequence[Recovery], against: Recovery
) -> QualityVerdict:
    score = pairs[0].ratio if pairs else 1.0
    medians = [part.median for part in parts if part.median is not None]
    known = len(medians) == len(parts) and against.median
    reason = "; ".join(dict.fromkeys(part.label for part in parts))
    if pairs:
        ours, theirs = pairs[0].candidate, pairs[0].reference
        reason = f"{ours.score:g} against {theirs.score:g} on {pairs[0].benchmark.name} ({ours.suite}); {reason}"
    return _verdict(
        case,
        pairs,
        ratio=score * math.prod(medians) / against.median if known and against.median else None,
        low=score * math.prod(part.low for part in parts) / against.high,
        high=score * math.prod(part.high for part in parts) / against.low if against.low > 0 else None,
        level=max((part.level for part in (*parts, against)), key=list(Level).index),
        parts=parts,
        against=against,
        reason=reason,
        caveats=_caveats(case, pairs, parts, against),
    )


def _caveats(case: _Case, pairs: Sequence[ScorePair], parts: Sequence[Recovery], against: Recovery) -> tuple[str, ...]:
    notes = []
    if (pairs and case.scheme not in UNCHANGED) or len(parts) > 1:
        notes.append("the ratios are from different runs: their product is an estimate")
    if pairs and pairs[0].candidate.mode != pairs[0].reference.mode:
        modes = f"{pairs[0].candidate.mode or 'its only mode'} against {pairs[0].reference.mode or 'its only mode'}"
        notes.append(f"the models were measured in different modes: {modes}")
    for part in (*parts, against):
        notes.extend(dict.fromkeys(row.note for row in part.rows if row.confidence != "read"))
        if part.median is None:
            notes.append(f"only a worst case of {part.scheme} is published on {part.task}")
        if part.rows and part.low < WEAK_ROW and part.level is Level.EXACT:
            worst = min(part.rows, key=lambda row: row.recovery)
            notes.append(f"the weakest row is {worst.setting}: {100 * worst.recovery:.1f} %")
    return tuple(notes)


def _missing(case: _Case, reason: str, pairs: tuple[ScorePair, ...] = ()) -> QualityVerdict:
    return _verdict(case, pairs, ratio=None, low=None, high=None, level=None, reason=reason)


def _verdict(
    case: _Case,
    pairs: tuple[ScorePair, ...],
    *,
    ratio: float | None,
    low: float | None,
    high: float | None,
    level: Level | None,
    reason: str,
    parts: Sequence[Recovery] = (),
    against: Recovery | None = None,
    caveats: tuple[str, ...] = (),
) -> QualityVerdict:
    return QualityVerdict(
        candidate=case.candidate,
        scheme=case.scheme,
        reference=case.reference,
        reference_scheme=case.reference_scheme,
        task=case.task,
        ratio=ratio,
        low=low,
        high=high,
        level=level,
        scores=pairs[0] if pairs else None,
        candidate_recovery=parts[0] if parts else None,
        also_recoveries=tuple(parts[1:]),
        reference_recovery=against,
        relative_error=pairs[0].relative_error if pairs else None,
        reason=reason,
        caveats=caveats,
    )


def _own_row(before: Score, after: Score) -> RecoveryRow:
    return RecoveryRow(
        model=canonical(after.model),
        params=None,
        scheme=after.scheme,
        method="unknown",
        recipe="",
        benchmark=after.benchmark,
        setting=after.setting,
        baseline=before.score,
        quantized=after.score,
        recovery=after.score / before.score,
        printed=None,
        statistic=Statistic.POINT,
        flags=("own",),
        note=after.note or "your own runs",
        source=after.source,
        as_of=after.as_of,
        confidence="partial run" if "partial" in after.note + before.note else "read",
    )
