"""Speculative decoding among the plans weighed: by hand, against every combination, and never without evidence."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.planning.drafting import draftings_for
from app.planning.market import chips_of, market_of
from app.planning.misses import Misses
from app.planning.plan import Candidate
from app.planning.planner import plan
from app.planning.quality_bar import judge
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.ways import benches_of, layouts_of, variants_of
from app.planning.weigher import Weigher
from app.scenario import LoadMode, Scenario
from app.sources import LocalSources
from estimators.architecture.catalogue import load_spec
from estimators.architecture.hub.client import HubClient
from estimators.precision import KvPrecision, Weights
from tests.app.planning.test_recommend import TYPES, book

SOURCES = LocalSources(book(), HubClient(offline=True))
SMALL, QWEN, GEMMA = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-8B", "google/gemma-3-12b-it"
CHAT = Scenario(prompt=512, output=256, concurrency=8, tpot=0.02)
WEIGHTS = (Weights.BF16, Weights.INT4)


def weighed(question: Question, *, prune: bool) -> Weigher:
    variants, _ = variants_of(question, {model: load_spec(model) for model in question.models})
    chips, benches = chips_of(question), benches_of(question, variants)
    judgements = tuple(judge(v.model, v.precision, v.kv, question.bar) for v in variants)
    weigher = Weigher(question, variants, chips, market_of(question, chips, SOURCES.book), judgements)
    weigher.add(tuple(layouts_of(question, variants, chips, benches)), bounds=True)
    weigher.add_drafting(benches, prune=prune)
    return weigher


def test_drafting_is_weighed_where_a_limit_is_set_on_what_it_shortens() -> None:
    assert [found.drafted.method for found in draftings_for(CHAT, SMALL)] == ["ngram", "eagle"]
    assert draftings_for(replace(CHAT, tpot=None, ttft=0.5), SMALL) == ()
    assert draftings_for(replace(CHAT, load=LoadMode.MAX, concurrency=None), SMALL) == ()


def test_only_published_acceptance_is_weighed() -> None:
    """Nobody published a head for Gemma 3 12B in these tables: prompt look-up alone is left, for one request."""
    (only,) = draftings_for(CHAT, GEMMA)
    assert (only.drafted.method, only.pays_until) == ("ngram", 1)


def test_it_finds_what_planning_every_combination_finds() -> None:
    found: dict[tuple[str, str], Decimal] = {}
    ways = [(None, None, None), *((d.drafted.method, d.drafted.tokens, d.drafted.per_token) for d in
            draftings_for(CHAT, SMALL))]  # fmt: skip
    until = {d.drafted.method: d.pays_until for d in draftings_for(CHAT, SMALL)}
    for instance in TYPES:
        for weights in WEIGHTS:
            for kv in (KvPrecision.AUTO, KvPrecision.FP8):
                for tp in (1, 2, 4, 8):
                    for spec, tokens, accept in ways:
                        for replicas in range(1, 9):
                            scenario = replace(
                                CHAT, model=SMALL, weights=weights, kv=kv, instance=instance, gpus=tp,
                                spec=spec, spec_tokens=tokens, accept=accept, replicas=replicas,
                            )  # fmt: skip
                            chosen = plan(scenario, SOURCES).chosen
                            if chosen is None or not chosen.eligible or not chosen.cost or not chosen.latency:
                                continue
                            if spec and chosen.latency.running_requests > until[spec]:
                                continue
                            key = (chosen.machine.accelerator.name, weights.value)
                            found[key] = min(found.get(key, Decimal("Infinity")), chosen.cost.usd_per_month)
    answer = recommend(Question(scenario=CHAT, models=(SMALL,), weights=WEIGHTS), SOURCES, shown=99)
    assert {
        (ranked.candidate.accelerator, ranked.plan.precision.weights.value): ranked.candidate.usd_per_month
        for ranked in answer.plans
        if ranked.plan.precision
    } == found
    assert any(ranked.candidate.drafting for ranked in answer.plans)


@pytest.mark.parametrize(
    "load",
    [
        {"concurrency": 1, "tpot": 0.006},
        {"concurrency": 32, "e2e": 3.0},
        {"concurrency": 100, "tpot": 0.012, "ttft": 0.5},
        {"concurrency": None, "rate": 0.5, "tpot": 0.01},
        {"concurrency": None, "rate": 20, "tpot": 0.015},
        {"concurrency": None, "rate": 60, "e2e": 4.0},
    ],
)
@pytest.mark.parametrize("budget", [None, Decimal(4000)])
def test_what_is_left_unbuilt_would_not_have_come_out_ahead(load: dict[str, float], budget: Decimal | None) -> None:
    question = Question(
        scenario=replace(CHAT, **{"tpot": None, **load}),  # type: ignore[arg-type]
        models=(SMALL, QWEN),
        weights=WEIGHTS,
        budget_usd_per_month=budget,
    )
    some, every = weighed(question, prune=True), weighed(question, prune=False)
    assert some.total == every.total
    assert len(some.layouts) <= len(every.layouts)
    chosen, all_chosen = ([f.candidate(way) for way in f.groups(f.choice())] for f in (some, every))
    assert sorted(map(group, chosen)) == sorted(map(group, all_chosen))
    costs, all_costs = ({group(c): float(c.usd_per_month or 0) for c in found} for found in (chosen, all_chosen))
    assert costs == all_costs
    assert [(c.label, c.ttft_p95_s, c.tpot_p95_s) for c in chosen[:1]] == [
        (c.label, c.ttft_p95_s, c.tpot_p95_s) for c in all_chosen[:1]
    ]
    points, all_points = (sorted(p.usd_per_month for p in f.points()) for f in (some, every))
    assert points == all_points
    if not chosen:
        needs, all_needs = ({found.key: found.needed for found in Misses(f).loosenings()} for f in (some, every))
        assert needs == pytest.approx(all_needs, rel=1e-9)


def group(candidate: Candidate) -> tuple[str, str, str]:
    return candidate.model, candidate.scenario.weights.value, candidate.accelerator


def test_an_impossible_limit_counts_drafting_among_the_ways_out() -> None:
    """With no plain plan left every layout that drafts is built, so the limit named is the least that would do."""
    question = Question(scenario=replace(CHAT, concurrency=1, tpot=0.0001), models=(SMALL,), weights=WEIGHTS)
    answer = recommend(question, SOURCES)
    assert answer.plans == ()
    loosening = next(found for found in answer.loosenings if found.key == "tpot")
    assert loosening.candidate.drafting is not None
    relaxed = replace(question, scenario=replace(CHAT, concurrency=1, tpot=loosening.needed * 1.01))
    assert recommend(relaxed, SOURCES).plans


def test_the_link_of_a_plan_that_drafts_opens_to_it() -> None:
    answer = recommend(Question(scenario=replace(CHAT, concurrency=1, tpot=0.005), models=(SMALL,)), SOURCES)
    ranked = next(ranked for ranked in answer.plans if ranked.candidate.drafting)
    scenario = ranked.candidate.scenario
    assert ranked.candidate.drafting is not None
    row = ranked.candidate.drafting.drafted
    assert (scenario.spec, scenario.spec_tokens, scenario.accept) == (row.method, row.tokens, row.per_token)
    opened = plan(scenario, SOURCES)
    assert opened.chosen is not None
    assert opened.chosen.eligible
    assert opened.chosen.objectives[0].value == ranked.candidate.tpot_p95_s


def test_more_requests_than_drafting_is_published_to_pay_at_is_a_limit_missed() -> None:
    """Prompt look-up is published for one request in flight: 8 need 8 replicas, or go without."""
    for ranked in recommend(Question(scenario=CHAT, models=(GEMMA,)), SOURCES).plans:
        margin = next((m for m in ranked.candidate.limits if m.key == "speculation"), None)
        assert (margin is None) is (ranked.candidate.drafting is None)
        assert margin is None or (margin.limit == 1 and ranked.candidate.replicas == 8)


def test_candidates_that_draft_are_counted() -> None:
    """Each plain layout that fits counts once more per way to draft, for every way to buy it."""
    question = Question(scenario=CHAT, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    without = recommend(replace(question, scenario=replace(CHAT, tpot=None)), SOURCES)
    answer = recommend(question, SOURCES)
    assert without.drafting == 0
    assert answer.weighed == without.weighed + answer.drafting
    assert answer.drafting % 2 == 0
