"""The cheapest plans that meet every limit, out of every combination a question allows. No Streamlit, no own I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.planning.field import Field
from app.planning.layouts import Benches, Variant, benches_of, chips_of, variants_of
from app.planning.plan import Plan
from app.planning.planner import Sources, plan
from app.planning.purchase import purchases
from app.planning.quality_bar import Judgement, judge
from app.planning.question import Question
from app.planning.recommendation import Candidate, Margin, Ranked, Recommendation, p95_of
from app.planning.sentences import precision_name
from app.planning.speculation import matters
from app.scenario import decode
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.provenance import Refusal

PLANS_SHOWN = 10


def recommend(question: Question, sources: Sources, *, shown: int = PLANS_SHOWN) -> Recommendation:
    """Every combination weighed, the passing ones cheapest first: one plan per model, precision and accelerator.

    Replicas are the fewest that keep up with the load and meet the objectives. Raises `Refusal` when nothing that was
    named can be weighed at all.
    """
    specs, notes = _specs(question, sources)
    variants, left_out = variants_of(question, specs)
    chips = chips_of(question)
    if not variants or not chips:
        raise Refusal("Nothing is left to weigh.", field="model", remedy="Allow another model, precision or vendor.")
    judgements = tuple(judge(v.model, v.precision, v.kv, question.bar) for v in variants)
    market = purchases(question, chips, sources.book)
    benches = benches_of(question, variants)
    field = Field(question, variants, chips, market, judgements, benches, skipped=_hopeless(variants, judgements))
    if not field.layouts:
        raise Refusal("No accelerator runs these precisions.", field="weights", remedy="Allow another precision.")
    ranked, unlike = _ranked(field, sources, shown)
    return Recommendation(
        question=question,
        plans=ranked,
        weighed=field.weighed,
        drafting=field.drafting,
        layouts=len(field.layouts),
        killed=field.killed(),
        nearest=None if ranked else unlike or field.nearest(),
        loosenings=() if ranked else tuple(field.loosenings()),
        points=tuple(field.points()),
        without_evidence=_without_evidence(variants, judgements),
        notes=(*notes, *left_out, *_about_speculation(question, benches, variants)),
    )


def _hopeless(variants: Sequence[Variant], judgements: Sequence[Judgement]) -> frozenset[int]:
    """Variants nobody has published a comparison for, but for one per model: no speed or price makes them pass.

    The one, as published, stays to show what its model would cost.
    """
    return frozenset(
        index
        for index, (variant, judged) in enumerate(zip(variants, judgements, strict=True))
        if not judged.known and not (variant.precision.published and variant.kv is variant.own_kv)
    )


def _specs(question: Question, sources: Sources) -> tuple[dict[str, ModelSpec], list[str]]:
    specs: dict[str, ModelSpec] = {}
    notes: list[str] = []
    for model in question.models:
        try:
            specs[model] = sources.spec(model) if "/" in model else _typical(model)
        except Refusal as refusal:
            notes.append(str(refusal))
    return specs, notes


def _typical(count: str) -> ModelSpec:
    asked = decode({"model": count}).scenario
    if asked.params is None:
        raise Refusal(f"{count[:60]!r} is neither a Hub id nor a size.", field="model")
    return spec_from_parameter_count(asked.params * 1e9, asked.active * 1e9 if asked.active else None)


def _about_speculation(question: Question, benches: Sequence[Benches], variants: Sequence[Variant]) -> Iterator[str]:
    """What of speculative decoding was weighed, and what has no published evidence."""
    if not matters(question.scenario):
        if question.scenario.spec is not None:
            yield "Speculative decoding is weighed where a limit is set per token or on the whole request."
        return
    heads: dict[str, bool] = {}
    for variant, bench in zip(variants, benches, strict=True):
        known = any(how.drafted.method != "ngram" for how in bench.drafting)
        heads[variant.model] = heads.get(variant.model, False) or known
    if missing := [model for model, known in heads.items() if not known]:
        yield (
            "No acceptance of an EAGLE head or of prediction layers is published here for "
            f"{'; '.join(missing)}: of speculative decoding only prompt look-up was weighed."
        )
    yield "Draft models are not weighed: no acceptance is published for a pair of the catalogue."


def _without_evidence(variants: Sequence[Variant], judgements: Sequence[Judgement]) -> tuple[str, ...]:
    found = (
        f"{variant.model} in {precision_name(variant.precision.weights)}"
        for variant, judged in zip(variants, judgements, strict=True)
        if not judged.known
    )
    return tuple(dict.fromkeys(found))


def _as_planned(candidate: Candidate, exact: Plan) -> Candidate:
    """The candidate with the memory of its whole load and the times of its plan, so that one report says one thing."""
    chosen = exact.chosen
    if chosen is None or chosen.memory is None or chosen.latency is None:
        return candidate
    times = {key: p95_of(chosen.latency, key) for key in ("ttft", "tpot", "e2e")}
    margins = []
    for margin in candidate.margins:
        if margin.key == "memory":
            need, have = chosen.memory.memory_bytes_per_gpu, chosen.memory.memory_budget_bytes_per_gpu
            margins.append(Margin(key="memory", limit=have, value=need))
        elif margin.key in times:
            found = times[margin.key]
            margins.append(replace(margin, value=found.value, low=found.low, high=found.high))
        else:
            margins.append(margin)
    return replace(
        candidate,
        ttft_p95_s=times["ttft"].value,
        tpot_p95_s=times["tpot"].value,
        e2e_p95_s=times["e2e"].value,
        margins=tuple(margins),
    )


def _ranked(field: Field, sources: Sources, shown: int) -> tuple[tuple[Ranked, ...], Candidate | None]:
    """(the first passing groups, each planned as its link would be; the first whose plan disagrees and is left out,
    with what the plan says against it)."""
    found: list[Ranked] = []
    unlike: Candidate | None = None
    for row in field.passing():
        candidate = field.candidate(row)
        exact = plan(candidate.scenario, sources)
        if exact.chosen is None or not exact.chosen.eligible:
            unlike = unlike or replace(candidate, remark=_against(exact))
            continue
        candidate = _as_planned(candidate, exact)
        usd = float(candidate.usd_per_month or 0)
        below = field.rejected_below(usd)
        cheaper = None if below is None else field.candidate(below)
        found.append(Ranked(candidate=candidate, plan=exact, next_cheaper=cheaper))
        if len(found) == shown:
            break
    return tuple(found), unlike


def _against(exact: Plan) -> str:
    """What a plan says against the layout it was given."""
    reasons = exact.chosen.reasons if exact.chosen else ()
    return "; ".join(reasons) or str(exact.refusal or "a plan of its own")
