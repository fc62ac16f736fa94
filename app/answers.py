"""Answers for programs: the same body for the command line's --json and for HTTP, with its lines and its CSV.

Everything asked here is bounded by what a link may ask: one scenario, one question, six scenarios side by side.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.documents import shown
from app.exploring.asking import NO_MODEL, Asking, asked_question
from app.exploring.compare import Compared, ComparedRow, cheapest_sentence, rows
from app.exploring.deployment import deployment
from app.exploring.finding import as_lines as finding_lines
from app.exploring.flip_words import flips_as_json
from app.exploring.flips import decided, how_likely
from app.exploring.levers import Effect, Lever, combined_sentence, effect_of, levers_for
from app.exploring.missing_score import evidence_of, score_finding
from app.exploring.report_page import plan_json, plans_csv, plans_json
from app.exploring.validated import validated, validated_finding
from app.format import gib, seconds, usd
from app.kinds import Rejected
from app.planning.plan import OBJECTIVES, Plan
from app.planning.recommendation import Recommendation
from app.planning.remembered import VersionedSources, remembered_plan, remembered_recommendation
from app.planning.sentences import conditions, verdict
from app.planning.words import cautions, cheaper_sentence, headline, name_of, purchase_of, ways_out, weighed_sentence
from app.report import as_lines
from app.scenario import Problem
from app.sources import LocalSources
from app.text import in_spreadsheet
from app.vocabulary import MOST_PLANS, VOCABULARY, DeployTo
from estimators.precision import Precision, Weights
from estimators.provenance import Refusal
from estimators.quality.checkpoints import deployed
from estimators.quality.kept_scores import KeptScore, read_for, scores_in
from estimators.quality.scores import Score


class BadInput(Refusal):
    """A question that cannot be asked as it stands: every fault, the first of which gives the field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        said = [
            problem.message if problem.message.endswith((".", "?")) else f"{problem.message}." for problem in problems
        ]
        super().__init__(" ".join(said), field=problems[0].key)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """`refusal` is why there is no plan; the body says it too, beside what is known all the same. Lines and table are
    made when they are asked for."""

    body: Mapping[str, object]
    plans: tuple[Plan, ...]  # the best first
    lines: Callable[[], Iterable[str]]
    csv: Callable[[], str]
    refusal: Refusal | None = None


def refused(refusal: Refusal) -> dict[str, object]:
    """The body of a question that could not be asked or answered."""
    faults = refusal.problems if isinstance(refusal, BadInput) else ()
    return {"error": str(refusal), "field": refusal.field, "problems": [fault.message for fault in faults]}


def checked(asking: Asking) -> None:
    """Raises `BadInput` for a question with faults."""
    if faults := asking.faults:
        raise BadInput(faults)


def most_plans(flat: Mapping[str, str]) -> int:
    """How many plans to show. Raises `BadInput`."""
    return int(_own("plans", flat) or MOST_PLANS)


def levers_to_apply(flat: Mapping[str, str]) -> tuple[str, ...]:
    """The levers to apply together. Raises `BadInput`."""
    return _own("apply", flat) or ()


def deploy_to(flat: Mapping[str, str]) -> DeployTo:
    """What to write a plan for. Raises `BadInput`."""
    return DeployTo(_own("to", flat) or DeployTo.COMPOSE)


def _own(key: str, flat: Mapping[str, str]) -> Any:
    """The value of a key that is only about the answer; None where it is not given."""
    text = flat.get(key, "").strip()
    try:
        return VOCABULARY[key].kind(text) if text else None
    except Rejected as fault:
        raise BadInput([Problem(key, f"{key}={shown(text)}", str(fault))]) from None


def estimate(asking: Asking, sources: VersionedSources) -> Answered:
    """One plan. Raises `Refusal` for faults and where no model is named."""
    checked(asking)
    if asking.scenario.model is None and asking.scenario.params is None:
        raise NO_MODEL
    plan = remembered_plan(asking.scenario, sources)
    body = plan_json(plan, asking.problems) | {"verdict": verdict(plan)}
    if plan.refusal is not None:
        body["field"] = plan.refusal.field
    return Answered(
        body=body,
        plans=(plan,),
        lines=lambda: as_lines(plan),
        csv=lambda: plans_csv([plan]),
        refusal=plan.refusal,
    )


def recommend(
    asking: Asking, sources: VersionedSources, *, most: int = MOST_PLANS, own: Sequence[Score] = ()
) -> Answered:
    """The plans that meet every limit, the best first; `own` scores count in the bar before published ones.

    Raises `Refusal` for faults and where nothing can be weighed.
    """
    checked(asking)
    found = remembered_recommendation(asked_question(asking, sources, own), sources)
    ranked = found.plans[:most]
    plans = tuple(entry.plan for entry in ranked)
    refusal = None if plans else Refusal(headline(found), field=_missed(found))
    body = plans_json(plans, found) | {
        "next_cheaper": cheaper_sentence(ranked[0].next_cheaper) if ranked else None,
        "ways_out": list(ways_out(found.loosenings)),
        "notes": list(found.notes),
        "problems": [problem.message for problem in asking.problems],
        "error": None if refusal is None else str(refusal),
    }
    body["limits"] = body["limits"][: len(plans)] if isinstance(body["limits"], list) else []
    if refusal is not None:
        body["field"] = refusal.field
    return Answered(
        body=body,
        plans=plans,
        lines=lambda: _ranked_lines(found, most),
        csv=lambda: plans_csv(plans),
        refusal=refusal,
    )


def _missed(found: Recommendation) -> str:
    """The key of the limit that the last one standing misses; "model" where no key of the question is at fault."""
    failed = found.nearest.failed if found.nearest else ()
    return next((limit.key for limit in failed if limit.key in VOCABULARY), "model")


def _ranked_lines(found: Recommendation, most: int) -> Iterator[str]:
    yield headline(found)
    if found.plans:
        yield f"  {conditions(found.plans[0].plan)}"
        yield from (f"  {line}" for line in cautions(found.plans[0]))
        yield f"  {cheaper_sentence(found.plans[0].next_cheaper)}"
    for place, ranked in enumerate(found.plans[1:most], start=2):
        cost = usd(ranked.candidate.usd_per_month or Decimal(0))
        yield f"  {place}. {name_of(ranked.candidate)}, {purchase_of(ranked.candidate)}: {cost} a month"
    yield from (f"  {line}" for line in ways_out(found.loosenings))
    yield f"  {weighed_sentence(found)}"
    yield from (f"  note: {note}" for note in found.notes)


def change(asking: Asking, flat: Mapping[str, str], sources: LocalSources) -> dict[str, object]:
    """What would change the decision on a question. Raises `Refusal` for faults and where no plan meets every limit."""
    checked(asking)
    question = asked_question(asking, sources)
    traffic = float(_own("change_traffic", flat) or 0)
    found, likely = decided(question, sources), how_likely(question, sources, traffic)
    return flips_as_json(found, likely) | {"problems": [problem.message for problem in asking.problems]}


def compare(compared: Sequence[Compared]) -> Answered:
    """Up to six scenarios side by side."""
    plans = tuple(entry.plan for entry in compared)
    table = rows(compared)
    refusal = next((plan.refusal for plan in plans if plan.refusal is not None), None)
    body: dict[str, object] = {
        "verdict": cheapest_sentence(compared),
        "plans": [plan_json(entry.plan, entry.problems) for entry in compared],
        "rows": [
            {"name": row.name, "cells": list(row.cells), "differs": row.differs, "best": list(row.best)}
            for row in table
        ],
        "error": None if refusal is None else str(refusal),
    }
    if refusal is not None:
        body["field"] = refusal.field
    return Answered(
        body=body,
        plans=plans,
        lines=lambda: _compared_lines(compared, table),
        csv=lambda: plans_csv(plans),
        refusal=refusal,
    )


def _compared_lines(compared: Sequence[Compared], table: Sequence[ComparedRow]) -> Iterator[str]:
    yield from (f"({number}) {verdict(entry.plan)}" for number, entry in enumerate(compared, start=1))
    if said := cheapest_sentence(compared):
        yield said
    heads = ("", *(f"({number})" for number in range(1, len(compared) + 1)))
    differing = [row for row in table if row.differs and row.name != "Verdict"]
    cells = [(row.name, *(f"{c} *" if n in row.best else c for n, c in enumerate(row.cells))) for row in differing]
    yield from aligned([heads, *cells])


def levers(asking: Asking, sources: LocalSources, *, apply: Sequence[str] = ()) -> Answered:
    """Each lever alone, and those of `apply` together. Raises `Refusal` for faults and levers that the plan has not."""
    base = estimate(asking, sources)
    plan = base.plans[0]
    found = levers_for(plan, asking.asked.task)
    names = {lever.key: lever for lever in found}
    if unknown := [key for key in apply if key not in names]:
        said = f"is no lever of this plan, which has {', '.join(names) or 'none'}"
        raise BadInput([Problem("apply", f"apply={unknown[0]}", said)])
    as_it_is = effect_of(plan, (), sources)
    effects = [(lever, effect_of(plan, [lever], sources)) for lever in found]
    body: dict[str, object] = {
        "plan": dict(base.body),
        "levers": [_lever(lever) | _effect(effect) for lever, effect in effects],
        "error": None if base.refusal is None else str(base.refusal),
    }
    if base.refusal is not None:
        body["field"] = base.refusal.field
    combined = ""
    if apply:
        together = effect_of(plan, [names[key] for key in apply], sources)
        combined = combined_sentence(as_it_is, together)
        body["together"] = _effect(together) | {"verdict": combined}
    table = [_HEADS, _cells("as it is", as_it_is), *(_cells(lever.key, effect) for lever, effect in effects)]
    return Answered(
        body=body,
        plans=(plan,),
        lines=lambda: filter(None, (verdict(plan), *aligned(table), combined)),
        csv=lambda: _levers_csv(effects),
        refusal=base.refusal,
    )


def _levers_csv(effects: Sequence[tuple[Lever, Effect]]) -> str:
    rows = [_lever(lever) | _effect(effect) for lever, effect in effects]
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]) if rows else ["key"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: in_spreadsheet("" if value is None else str(value)) for key, value in row.items()} for row in rows
    )
    return table.getvalue()


def deploy(asking: Asking, sources: LocalSources, *, to: DeployTo) -> Answered:
    """The plan as a file that starts it. Raises `Refusal` for faults; what no file can start is in `refusal`."""
    base = estimate(asking, sources)
    try:
        made = deployment(base.plans[0], to)
    except Refusal as refusal:
        said = str(refusal)
        body = refused(refusal) | {"verdict": base.body["verdict"]}
        return Answered(body=body, plans=base.plans, lines=lambda: (said,), csv=base.csv, refusal=refusal)
    body = {"file": made.name, "text": made.text, "verdict": base.body["verdict"], "error": None}
    return Answered(body=body, plans=base.plans, lines=lambda: made.text.splitlines(), csv=base.csv)


def is_validated(
    asking: Asking,
    sources: LocalSources,
    *,
    results: str | bytes | None = None,
    keep: Callable[[Sequence[KeptScore]], object] = lambda made: None,
) -> Answered:
    """Whose checkpoint the plan serves, and whether its quality on the task of the bar is measured; with the runs that
    would measure it. Asks the Hub, where it is there to be asked. `results` is a file of a run of this plan, whose
    scores go to `keep`.

    Raises `Refusal` for faults, for a plan without a named model, and for a results file that is none.
    """
    base = estimate(asking, sources)
    plan, asked = base.plans[0], asking.asked
    if plan.asked.model is None or plan.precision is None:
        raise plan.refusal or NO_MODEL
    model = plan.asked.model.partition("@")[0]
    listing, silent = None, ""
    try:
        listing = sources.made_of(deployed(model, "as-published")[0])
    except Refusal as refusal:
        silent = f"The Hub was not asked: {refusal}"
    published = validated(plan, listing)
    made = read_for(results, model, _scheme(plan.precision), datetime.now(UTC)) if results else ()
    keep(made)
    own = scores_in(made)
    reference = asked.reference if asked.percent is not None else model
    known = evidence_of(plan, asked.task, reference, sources, own=own)
    findings = [validated_finding(published)] if published else []
    findings += [score_finding(known)] if known else []
    notes = [silent] if silent else []
    return Answered(
        body={"verdict": base.body["verdict"], "findings": [found.as_json() for found in findings], "notes": notes},
        plans=base.plans,
        lines=lambda: (*(line for found in findings for line in finding_lines(found)), *notes),
        csv=base.csv,
    )


def _scheme(precision: Precision) -> str:
    """What scores of the plan are filed under."""
    return Weights.AS_PUBLISHED.value if precision.published else precision.weights.value


_HEADS = ("lever", "a month", "memory per GPU", "first token", "a token", "request", "quality kept")


def _cells(name: str, effect: Effect) -> tuple[str, ...]:
    times = [effect.latency(key) for key in OBJECTIVES]
    return (
        name,
        "none does the job" if effect.usd_per_month is None else usd(effect.usd_per_month),
        "" if effect.memory_bytes is None else gib(effect.memory_bytes),
        *("" if value is None else seconds(value) for value in times),
        "unknown" if effect.kept.ratio is None else f"{100 * effect.kept.ratio:.1f} %",
    )


def _lever(lever: Lever) -> dict[str, object]:
    return {
        "key": lever.key,
        "name": lever.name,
        "kind": lever.group.value,
        "evidence": lever.evidence,
        "effort": lever.effort,
        "note": lever.note,
    }


def _effect(effect: Effect) -> dict[str, object]:
    """Memory and p95 times on the plan's own machine, cost on the cheapest that then does the job."""
    return {
        "usd_per_month": effect.usd_per_month,
        "memory_bytes_per_gpu": effect.memory_bytes,
        **{f"{key}_p95_s": effect.latency(key) for key in OBJECTIVES},
        "quality_kept": effect.kept.ratio,
        "quality_kept_low": effect.kept.low,
        "quality": effect.kept.said,
        "sources": "; ".join(effect.kept.sources),
        "problem": effect.problem,
    }


def aligned(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
