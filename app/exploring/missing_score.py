"""Is the quality of a plan measured, inferred or missing on a task; and the runs that would measure it, as commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.exploring.finding import PageFinding
from app.exploring.start import launch_of
from app.planning.plan import Plan
from app.planning.quality_bar import judge
from app.planning.question import QualityBar
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import model_name, precision_name
from app.scenario import Scenario
from estimators.precision import KvPrecision, Weights
from estimators.quality.harness_command import HarnessTask, harness_command, harness_task_of
from estimators.quality.models import same_model
from estimators.quality.recovery import Level
from estimators.quality.schemes import UNCHANGED
from estimators.quality.scores import Score, scores
from estimators.quality.tasks import Task, benchmarks
from estimators.quality.verdict import QualityVerdict

MOST_SHOWN = 8
_ANY = 0.01  # a bar that all clear, so that what an FP8 cache keeps is asked for as well


class Known(StrEnum):
    """Where the quality of a plan on a task comes from."""

    NOTHING_LOST = "as published"
    OWN = "from your own runs"
    PUBLISHED = "published for this case"
    INFERRED = "inferred"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingRun:
    """One evaluation to run. `command` is empty where there is none, and then `why` says so."""

    what: str
    command: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownScore:
    """One score beside others, of weights in one precision."""

    model: str
    scheme: str
    benchmark: str
    score: float
    setting: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreEvidence:
    """What is known of a plan's quality on a task against a reference, and what is left to run."""

    task: Task
    known: Known
    sentence: str
    scores: tuple[ShownScore, ...]
    harness: HarnessTask | None
    runs: tuple[MissingRun, ...]


def evidence_of(
    plan: Plan,
    task: Task,
    reference: str,
    sources: VersionedSources,
    *,
    own: Sequence[Score] = (),
    found: str | None = None,
) -> ScoreEvidence | None:
    """None for a plan without a named model. `own` are a person's scores, `found` a checkpoint seen on the Hub."""
    if plan.asked.model is None or plan.precision is None:
        return None
    bar = QualityBar(task=task, reference=reference, minimum_ratio=_ANY, reasoning=True, own=tuple(own))
    judged = judge(plan.asked.model, plan.precision, plan.precision.kv, bar)
    verdict = judged.verdict
    assert verdict is not None  # noqa: S101 - a bar was given
    assert judged.result is not None  # noqa: S101
    known = Known.MISSING if verdict.ratio is None or not judged.known else _known(verdict, own)
    bench = verdict.scores.candidate.benchmark if verdict.scores else None
    harness = harness_task_of(task, bench)
    reason = judged.result.reason.removeprefix("No evidence: ").rstrip(".") if not judged.known else verdict.reason
    open_ = known in (Known.INFERRED, Known.MISSING)
    return ScoreEvidence(
        task=task,
        known=known,
        sentence=_sentence(plan, task, reference, known, reason, harness),
        scores=tuple(_shown(verdict, own))[:MOST_SHOWN],
        harness=harness if open_ else None,
        runs=tuple(_runs(plan, verdict, harness, sources, own, found)) if open_ and harness else (),
    )


def _known(verdict: QualityVerdict, own: Sequence[Score]) -> Known:
    recovered = verdict.candidate_recovery
    if (verdict.scores and verdict.scores.candidate in own) or (
        recovered and any("own" in row.flags for row in recovered.rows)
    ):
        return Known.OWN
    if verdict.level is Level.REFERENCE:
        return Known.PUBLISHED if verdict.scores else Known.NOTHING_LOST
    parts = bool(verdict.scores) + len(verdict.also_recoveries)
    return Known.PUBLISHED if verdict.level is Level.EXACT and not parts else Known.INFERRED


def _sentence(plan: Plan, task: Task, reference: str, known: Known, reason: str, harness: HarnessTask | None) -> str:
    assert plan.precision is not None  # noqa: S101
    who = f"{model_name(plan.asked)} in {precision_name(plan.precision.weights)}"
    on = task.value.replace("-", " ")
    if known is Known.NOTHING_LOST:
        return f"{who} is the reference itself, as published: nothing is given up on {on}."
    against = (
        "" if same_model(plan.asked.model or "", reference) else f" against {model_name(Scenario(model=reference))}"
    )
    if known in (Known.OWN, Known.PUBLISHED):
        return f"Quality on {on}{against} is {known.value}: {reason}."
    said = (
        f"Quality on {on}{against} is inferred, not measured"
        if known is Known.INFERRED
        else f"The quality of {who} on {on}{against} is missing"
    )
    tail = "" if harness else f" LM Evaluation Harness has no task for {on}."
    return f"{said}: {reason}.{tail}"


def _shown(verdict: QualityVerdict, own: Sequence[Score]) -> Iterator[ShownScore]:
    """A person's scores, then what was compared, then what compression rows print, then the model's published ones."""
    models = (
        [verdict.candidate]
        if same_model(verdict.candidate, verdict.reference)
        else [verdict.candidate, verdict.reference]
    )
    mine = [
        row
        for row in own
        if benchmarks()[row.benchmark].task is verdict.task and any(same_model(row.model, m) for m in models)
    ]
    pair = [verdict.scores.candidate, verdict.scores.reference] if verdict.scores else []
    published = [row for model in models for row in scores(model, task=verdict.task)[:2]]
    seen: set[Score] = set()
    for row in (*mine, *pair):
        if row not in seen:
            yield _row(row)
        seen.add(row)
    for kept in verdict.candidate_recovery.rows[:3] if verdict.candidate_recovery else ():
        if "own" not in kept.flags and kept.quantized is not None and kept.model:
            yield ShownScore(
                model=kept.model, scheme=kept.scheme.value, benchmark=benchmarks()[kept.benchmark].name,
                score=kept.quantized, setting=kept.setting, source=f"{kept.source}, {kept.as_of}",
            )  # fmt: skip
    yield from (_row(row) for row in published if row not in seen)


def _row(score: Score) -> ShownScore:
    setting = ", ".join(filter(None, (score.suite, score.setting, score.mode)))
    return ShownScore(
        model=score.model, scheme=score.scheme.value, benchmark=benchmarks()[score.benchmark].name,
        score=score.score, setting=setting, source=f"{score.source}, {score.as_of}",
    )  # fmt: skip


def _runs(
    plan: Plan,
    verdict: QualityVerdict,
    harness: HarnessTask,
    sources: VersionedSources,
    own: Sequence[Score],
    found: str | None,
) -> Iterator[MissingRun]:
    """The plan as it would be served and the reference as published, each unless a score of it is there already."""
    held = [row for row in own if row.benchmark == harness.benchmark]
    ours = {row.key for row in held if same_model(row.model, verdict.candidate) and row.scheme is verdict.scheme}
    theirs = {row.key for row in held if same_model(row.model, verdict.reference) and row.scheme in UNCHANGED}
    alike = not ours or not theirs or bool(ours & theirs)  # two runs that were not taken alike are both run again
    if not (ours and alike):
        yield _run(plan, harness, "this plan as it would be served", found)
    if not (theirs and alike):
        named = model_name(Scenario(model=verdict.reference))
        yield _run(
            _reference_plan(plan, verdict.reference, sources), harness, f"{named} as published, to compare with", None
        )


def _run(plan: Plan, harness: HarnessTask, what: str, found: str | None) -> MissingRun:
    start = launch_of(plan, found)
    if not start.command:
        return MissingRun(what=what, command="", why=start.why)
    longest = plan.spec.max_positions if plan.spec else None
    return MissingRun(what=what, command=harness_command(start.command, harness, longest=longest))


def _reference_plan(plan: Plan, reference: str, sources: VersionedSources) -> Plan:
    """The reference as published on as many of the plan's own GPUs as it takes, for one request at a time."""
    chip = plan.chosen.machine.accelerator.name if plan.chosen else None
    asked = Scenario(model=reference, gpu=chip, region=plan.asked.region, buy=plan.asked.buy, engine=plan.asked.engine)
    return remembered_plan(replace(asked, weights=Weights.AS_PUBLISHED, kv=KvPrecision.AUTO), sources)


def score_finding(found: ScoreEvidence) -> PageFinding:
    """The scores as rows, the commands as notes."""
    rows = tuple(
        (row.model, row.scheme, row.benchmark, f"{row.score:.1f}", row.setting, row.source) for row in found.scores
    )
    notes = [f"Run {run.what}: {run.command or run.why}" for run in found.runs]
    if found.harness is not None and found.runs:
        notes.append(f"{found.harness.installed_by}; task and shots: {found.harness.source}, {found.harness.as_of}")
    return PageFinding(
        title="Its score",
        sentence=found.sentence,
        heads=("Model", "In", "Benchmark", "Score", "How", "Source"),
        rows=rows,
        notes=tuple(notes),
    )
