"""The cheapest plans that meet every limit, out of every combination a question allows. No Streamlit, no own I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from app.planning.drafting import matters
from app.planning.market import Chip, chips_of, market_of, placements
from app.planning.plan import Candidate, Limit, Plan, p95_of
from app.planning.planner import Sources, plan
from app.planning.quality_bar import Judgement, judge, on_one_ruler
from app.planning.question import Question
from app.planning.recommendation import Ranked, Recommendation
from app.planning.sentences import precision_name
from app.planning.ways import Benches, Variant, benches_of, layouts_of, variants_of
from app.planning.weigher import Weigher
from app.scenario import decode
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.hardware.catalogue import read_as
from estimators.provenance import Refusal

PLANS_SHOWN = 10
NEARLY = 0.05  # of the reference's quality below the bar: who would loosen it by more asks another question
MOST_LAYOUTS = 30_000  # at a fifth of a millisecond each; 45 models in the usual precisions are 24,396


def recommend(
    question: Question,
    sources: Sources,
    *,
    shown: int = PLANS_SHOWN,
    enough: Callable[[Ranked], bool] = lambda ranked: False,
    told: bool = True,
) -> Recommendation:
    """Every combination weighed, the passing ones in the planner's order: one plan per model, precision, accelerator.

    Replicas are the fewest that keep up with the load and meet the objectives. As many plans as are `shown`, or up to
    the first that is `enough`. Without `told`, what is said beside plans that do is left out: the points of the
    pictures, and how many candidates each limit killed. Raises `Refusal` when nothing
    that was named can be weighed at all.
    """
    question = replace(question, bar=on_one_ruler(question.bar, question.models))
    specs, notes = _specs(question, sources)
    variants, left_out = variants_of(question, specs)
    chips = chips_of(question)
    if not variants or not chips:
        raise Refusal("Nothing is left to weigh.", field="model", remedy="Allow another model, precision or vendor.")
    _check_size(question, variants, chips)
    judgements = tuple(judge(v.model, v.precision, v.kv, question.bar) for v in variants)
    benches = benches_of(question, variants)
    layouts = layouts_of(question, variants, chips, benches, _hopeless(variants, judgements))
    if not layouts:
        raise Refusal("No accelerator runs these precisions.", field="weights", remedy="Allow another precision.")
    market = market_of(question, chips, sources.book)
    weigher = Weigher(question, variants, chips, market, judgements)
    weigher.add(layouts, bounds=any(bench.drafting for bench in benches))
    weigher.add_drafting(benches)
    ranked = tuple(_ranked(weigher, sources, shown, enough))
    return Recommendation(
        question=question,
        plans=ranked,
        weighed=weigher.total,
        drafting=weigher.drafting,
        layouts=len(weigher.layouts),
        killed=weigher.killed() if told or not ranked else {},
        nearest=None if ranked else weigher.nearest(),
        loosenings=() if ranked else tuple(weigher.loosenings()),
        points=tuple(weigher.points()) if told else (),
        without_evidence=_without_evidence(variants, judgements),
        notes=(*notes, *_read_as(question), *left_out, *_about_speculation(question, benches, variants)),
    )


def _check_size(question: Question, variants: Sequence[Variant], chips: Sequence[Chip]) -> None:
    """Refuses what is too much for one question, before any of it is worked out: V variants over chips of p layouts
    each are V x sum of p; 60 models in every precision, 1,018 variants, over the 76 layouts of 18 chips are 77,368."""
    most = len(variants) * sum(len(placements(question.scenario, chip)) for chip in chips)
    if most > MOST_LAYOUTS:
        raise Refusal(
            f"{len(question.models)} models in {len(question.weights)} precisions over {len(chips)} accelerators are "
            f"{most:,} layouts, and one question weighs up to {MOST_LAYOUTS:,}.",
            field="models",
            remedy="Name fewer models or precisions, or fewer vendors.",
        )


def _hopeless(variants: Sequence[Variant], judgements: Sequence[Judgement]) -> frozenset[int]:
    """Variants that nobody has published a comparison for or that fall far short of the bar, but for one per model: no
    speed or price makes them pass.

    The one, as published, stays to show what its model would cost; those just short stay to be named as ways out.
    """
    return frozenset(
        index
        for index, (variant, judged) in enumerate(zip(variants, judgements, strict=True))
        if not (variant.precision.published and variant.own_cache) and (not judged.known or _far_short(judged))
    )


def _far_short(judged: Judgement) -> bool:
    margin = judged.result.margin if judged.result is not None else None
    return margin is not None and margin < -NEARLY


def _specs(question: Question, sources: Sources) -> tuple[dict[str, ModelSpec], list[str]]:
    specs: dict[str, ModelSpec] = {}
    notes: list[str] = []
    for model in question.models:
        try:
            specs[model] = sources.spec(model) if "/" in model else _typical(model)
        except Refusal as refusal:
            notes.append(str(refusal))
    return specs, notes


def _read_as(question: Question) -> Iterator[str]:
    names = {own.gpu for own in question.owned} | ({question.scenario.gpu} if question.scenario.gpu else set())
    yield from (f"{read}." for name in sorted(names) if (read := read_as(name)))


def _typical(count: str) -> ModelSpec:
    asked = decode({"model": count}).scenario
    if asked.params is None:
        raise Refusal(f"{count[:60]!r} is neither a Hub id nor a size.", field="model")
    return spec_from_parameter_count(asked.params * 1e9, asked.active * 1e9 if asked.active else None)


def _about_speculation(question: Question, benches: Sequence[Benches], variants: Sequence[Variant]) -> Iterator[str]:
    """What of speculative decoding was weighed, and what has no published evidence."""
    if question.scenario.spec is not None or not question.drafting:
        return
    if not matters(question.scenario):
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


def _ranked(weigher: Weigher, sources: Sources, shown: int, enough: Callable[[Ranked], bool]) -> Iterator[Ranked]:
    """The first passing groups, each explained as the plan its link opens to."""
    for number, way in enumerate(weigher.groups(weigher.choice())):
        if number == shown:
            return
        candidate = weigher.candidate(way)
        below = weigher.rejected_below(float(candidate.usd_per_month or 0))
        exact = plan(candidate.scenario, sources)
        ranked = Ranked(
            candidate=_as_explained(candidate, exact),
            plan=exact,
            next_cheaper=None if below is None else weigher.at_best(below),
        )
        yield ranked
        if enough(ranked):
            return


def _as_explained(candidate: Candidate, exact: Plan) -> Candidate:
    """The candidate with the estimates of its plan and the intervals of its times, so that a report says one thing."""
    chosen = exact.chosen
    if chosen is None or chosen.latency is None:
        return candidate
    times = {key: p95_of(chosen.latency, key) for key in ("ttft", "tpot", "e2e")}
    limits = []
    for limit in candidate.limits:
        if limit.key in times:
            found = times[limit.key]
            limit = Limit(key=limit.key, limit=limit.limit, value=found.value, low=found.low, high=found.high)
        elif limit.key == "memory" and chosen.holding is not None:
            limit = replace(limit, limit=chosen.holding.budget_bytes, value=chosen.holding.memory_bytes)
        limits.append(limit)
    return replace(
        candidate,
        ttft_p95_s=times["ttft"].value,
        tpot_p95_s=times["tpot"].value,
        e2e_p95_s=times["e2e"].value,
        limits=tuple(limits),
        memory=chosen.memory,
        latency=chosen.latency,
        notes=chosen.notes,
    )
