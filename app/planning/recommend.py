"""The cheapest plans that meet every limit, out of every combination a question allows. No Streamlit, no own I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from app.planning.drafting import matters
from app.planning.ground import ground_of
from app.planning.misses import Misses
from app.planning.plan import Candidate, Limit, Plan, p95_of
from app.planning.planner import Sources, plan
from app.planning.quality_bar import Judgement
from app.planning.question import Question
from app.planning.recommendation import Ranked, Recommendation
from app.planning.sentences import precision_name
from app.planning.ways import Benches, Variant
from app.planning.weigher import Weigher
from app.scenario import Scenario

PLANS_SHOWN = 10
Explained = Callable[[Scenario], Plan]  # the plan of one scenario: every number of it


def recommend(question: Question, sources: Sources, *, shown: int = PLANS_SHOWN, told: bool = True) -> Recommendation:
    """Every combination weighed, the passing ones in the planner's order: one plan per model, precision, accelerator.

    Raises `Refusal` when nothing that was named can be weighed at all.
    """
    return recommendation(Weighing(question, sources), partial(plan, sources=sources), shown=shown, told=told)


class Weighing:
    """A question with every combination on its weigher; replicas are the fewest that keep up with the load and meet
    the objectives. Raises `Refusal` when nothing that was named can be weighed at all."""

    def __init__(self, question: Question, sources: Sources) -> None:
        self.ground = ground_of(question, sources)
        self.weigher, self.benches = self.ground.weighed(sources.book)


def recommendation(
    weighing: Weighing, explained: Explained, *, shown: int = PLANS_SHOWN, told: bool = True
) -> Recommendation:
    """Of what was weighed as many plans as are `shown`. Without `told`, what is said beside plans that do is left out:
    the points of the pictures, and how many candidates each limit killed."""
    ground, weigher = weighing.ground, weighing.weigher
    question, variants, judgements = ground.question, ground.variants, ground.judgements
    ranked, misses = tuple(best_plans(weigher, explained, shown)), Misses(weigher)
    return Recommendation(
        question=question,
        plans=ranked,
        weighed=weigher.total,
        drafting=weigher.drafting,
        layouts=len(weigher.layouts),
        killed=misses.killed() if told or not ranked else {},
        nearest=None if ranked else misses.nearest(),
        loosenings=() if ranked else tuple(misses.loosenings()),
        points=tuple(weigher.points()) if told else (),
        without_evidence=_without_evidence(variants, judgements),
        notes=(*ground.notes, *_about_speculation(question, weighing.benches, variants)),
    )


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


def best_plans(
    weigher: Weigher, explained: Explained, shown: int, enough: Callable[[Ranked], bool] = lambda ranked: False
) -> Iterator[Ranked]:
    """The first passing groups, each explained as the plan its link opens to: as many as are `shown`, or up to the
    first that is `enough`."""
    for number, way in enumerate(weigher.groups(weigher.choice())):
        if number == shown:
            return
        candidate = weigher.candidate(way)
        below = weigher.rejected_below(float(candidate.usd_per_month or 0))
        exact = explained(candidate.scenario)
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
