"""The cheapest plan that meets the bar: by hand, against brute force, and as properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.planning.plan import Limit
from app.planning.planner import plan
from app.planning.question import OwnedHardware, QualityBar, Question
from app.planning.recommend import recommend
from app.planning.remembered import remembered_recommendation
from app.planning.words import cautions, headline, left_text, weighed_sentence
from app.scenario import Scenario, decode, encode
from app.sources import LocalSources, shared_sources
from estimators.architecture.hub.client import HubClient
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal
from estimators.quality.schemes import Scheme
from estimators.quality.scores import Score
from estimators.quality.tasks import Task
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.snapshot import load_snapshot
from pricing.table import OfferTable

SMALL, LARGE = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
TYPES = {"g6.xlarge": "0.8048", "g5.12xlarge": "5.672", "g6e.xlarge": "1.861", "p5.48xlarge": "55.04"}


def book(**prices: str) -> OfferTable:
    """On-demand offers in us-east-1, spot at a third of that."""
    rows = prices or TYPES
    return OfferTable(
        Offer(
            instance_type=name,
            region="us-east-1",
            option=option,
            usd_per_hour=Decimal(price) / share,
            source=PriceSource.SNAPSHOT,
            as_of=date(2026, 11, 20),
            origin="test",
        )
        for name, price in rows.items()
        for option, share in ((PurchaseOption.ON_DEMAND, 1), (PurchaseOption.SPOT, 3))
    )


SOURCES = LocalSources(book(), HubClient(offline=True))
RAG = Scenario(rate=20, prompt=4096, output=256, ttft=1.0)
WITHIN_ONE_PERCENT = QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=LARGE, minimum_ratio=0.99)


def best(question: Question, sources: LocalSources = SOURCES) -> Decimal | None:
    plans = recommend(question, sources).plans
    return plans[0].candidate.usd_per_month if plans else None


def test_it_finds_what_planning_every_combination_finds() -> None:
    weights = (Weights.BF16, Weights.FP8, Weights.INT4)
    question = Question(scenario=RAG, models=(SMALL,), weights=weights)
    found: dict[tuple[str, str], Decimal] = {}
    for instance in TYPES:
        for precision in weights:
            for kv in (KvPrecision.AUTO, KvPrecision.FP8):
                for tp in (1, 2, 4, 8):
                    scenario = replace(RAG, model=SMALL, weights=precision, kv=kv, instance=instance, gpus=tp)
                    chosen = plan(scenario, SOURCES).chosen
                    inside = chosen and chosen.machine.instance and tp <= chosen.machine.instance.accelerator_count
                    if chosen and inside and chosen.eligible and chosen.cost:
                        key = (chosen.machine.accelerator.name, precision.value)
                        found[key] = min(found.get(key, Decimal("Infinity")), chosen.cost.usd_per_month)
    answer = recommend(question, SOURCES, shown=99)
    assert len(found) > 3
    assert {
        (ranked.candidate.accelerator, ranked.plan.precision.weights.value): ranked.candidate.usd_per_month
        for ranked in answer.plans
        if ranked.plan.precision
    } == found


def test_each_plan_is_what_its_link_opens_to() -> None:
    for ranked in recommend(Question(scenario=RAG, models=(SMALL,)), SOURCES).plans:
        opened = plan(ranked.candidate.scenario, SOURCES)
        assert opened.refusal is None
        assert opened.chosen is not None
        assert opened.chosen.eligible
        assert opened.chosen.cost is not None
        assert opened.chosen.cost.usd_per_month == ranked.candidate.usd_per_month
        assert opened.chosen.objectives[0].value == ranked.candidate.ttft_p95_s


def test_a_bare_count_is_weighed_like_a_model() -> None:
    first = recommend(Question(scenario=RAG, models=("30B-A3B",)), SOURCES).plans[0]
    assert (first.candidate.scenario.params, first.candidate.scenario.active) == (30.0, 3.0)
    assert first.plan is not None
    assert first.plan.refusal is None


def test_plans_are_cheapest_first_and_one_replica_fewer_would_not_do() -> None:
    plans = recommend(Question(scenario=RAG, models=(SMALL,)), SOURCES).plans
    costs = [ranked.candidate.usd_per_month for ranked in plans]
    assert costs == sorted(costs)
    several = next(ranked.candidate for ranked in plans if ranked.candidate.replicas > 1)
    fewer = plan(replace(several.scenario, replicas=several.replicas - 1), SOURCES)
    assert fewer.chosen is not None
    assert not fewer.chosen.eligible


def test_the_8b_fails_the_bar_of_the_70b_by_the_published_gap() -> None:
    """Qwen2.5's report ran both on IFEval: 75.9 against 83.6, 90.8 %. A bar of 99 % leaves the 8B 8.2 points short."""
    question = Question(scenario=replace(RAG, rate=2), models=(SMALL, LARGE), bar=WITHIN_ONE_PERCENT)
    answer = recommend(question, SOURCES)
    assert {ranked.candidate.model for ranked in answer.plans} == {LARGE}
    below = answer.plans[0].next_cheaper
    assert below is not None
    assert below.usd_per_month is not None
    assert below.usd_per_month < (answer.plans[0].candidate.usd_per_month or 0)
    small = recommend(replace(question, models=(SMALL,)), SOURCES)
    assert small.plans == ()
    assert small.loosenings[0].key == "quality"
    assert small.loosenings[0].needed == pytest.approx(75.9 / 83.6, abs=1e-4)


def test_an_impossible_bar_names_the_limit_that_kills_the_last_candidate_and_by_how_much() -> None:
    answer = recommend(Question(scenario=replace(RAG, ttft=0.001), models=(SMALL,)), SOURCES)
    assert answer.plans == ()
    assert answer.nearest is not None
    assert [margin.key for margin in answer.nearest.failed] == ["ttft"]
    loosening = next(found for found in answer.loosenings if found.key == "ttft")
    assert loosening.needed > 0.001
    relaxed = replace(RAG, ttft=loosening.needed * 1.01)
    assert recommend(Question(scenario=relaxed, models=(SMALL,)), SOURCES).plans


def test_a_budget_one_dollar_short_is_the_limit_named() -> None:
    question = Question(scenario=RAG, models=(SMALL,))
    cheapest = best(question)
    assert cheapest is not None
    short = recommend(replace(question, budget_usd_per_month=cheapest - 1), SOURCES)
    assert short.plans == ()
    assert [margin.key for margin in short.nearest.failed] == ["budget"] if short.nearest else False
    assert best(replace(question, budget_usd_per_month=cheapest)) == cheapest


def test_missing_evidence_is_said_and_never_passes() -> None:
    bar = replace(WITHIN_ONE_PERCENT, task=Task.LONG_CONTEXT, minimum_ratio=0.5)
    answer = recommend(Question(scenario=RAG, models=(SMALL,), bar=bar), SOURCES)
    assert answer.plans == ()
    assert any("in BF16" in pair for pair in answer.without_evidence)
    assert answer.nearest is not None
    assert any(margin.key == "quality" and margin.value is None for margin in answer.nearest.failed)


def test_a_score_taken_while_reasoning_does_not_count_unless_asked() -> None:
    """gpt-oss is published only with reasoning, whose tokens 256 of output do not hold."""
    question = Question(scenario=RAG, models=("openai/gpt-oss-20b",), bar=WITHIN_ONE_PERCENT)
    assert best(question) is None
    assert best(replace(question, bar=replace(WITHIN_ONE_PERCENT, reasoning=True))) is not None


def test_the_first_plan_alone_is_the_first_of_all() -> None:
    question = Question(scenario=RAG, models=(SMALL, LARGE), weights=(Weights.BF16, Weights.FP8, Weights.INT4))
    (alone,) = remembered_recommendation(question, shared_sources(), first=True).plans
    told = remembered_recommendation(question, shared_sources())
    assert alone.candidate.scenario == told.plans[0].candidate.scenario
    assert len(told.plans) > 1
    assert told.points


def test_ones_own_harness_runs_come_before_published_scores() -> None:
    """The 8B at INT8 has no published score on this task; one's own runs put it at 90 against the 70B's 90."""
    runs = tuple(
        Score(
            model=model, benchmark="ifeval", suite="own", setting="0-shot", score=90.0, scheme=scheme, source="mine",
            as_of="2026-11-21",
        )
        for model, scheme in ((SMALL, Scheme.INT8), (LARGE, Scheme.AS_PUBLISHED))
    )  # fmt: skip
    bar = replace(WITHIN_ONE_PERCENT, own=runs)
    answer = recommend(Question(scenario=RAG, models=(SMALL,), bar=bar), SOURCES)
    assert {ranked.candidate.scenario.weights for ranked in answer.plans} == {Weights.INT8}
    assert answer.plans[0].candidate.quality.ratio == 1.0


def test_it_counts_every_combination_it_weighed() -> None:
    """One precision and one cache on g6.xlarge (1 L4: TP 1) and g5.12xlarge (4 A10G: TP 1, 2, 4), two ways to pay."""
    question = Question(
        scenario=RAG,
        models=(SMALL,),
        weights=(Weights.BF16,),
        kv=(KvPrecision.AUTO,),
        options=(PurchaseOption.ON_DEMAND, PurchaseOption.SPOT),
    )
    sources = LocalSources(book(**{"g6.xlarge": "0.8048", "g5.12xlarge": "5.672"}), HubClient(offline=True))
    assert recommend(question, sources).weighed == (1 + 3) * 2


def test_the_cheapest_allowed_way_to_pay_wins() -> None:
    question = Question(scenario=RAG, models=(SMALL,))
    spot = recommend(replace(question, options=(PurchaseOption.ON_DEMAND, PurchaseOption.SPOT)), SOURCES).plans[0]
    assert spot.candidate.scenario.buy is PurchaseOption.SPOT
    assert spot.candidate.usd_per_month == pytest.approx(best(question) / 3)  # type: ignore[operator]


def test_only_the_hardware_one_has() -> None:
    owned = (OwnedHardware(gpu="L40S", count=20, usd_per_gpu_hour=Decimal("0.50")),)
    question = Question(scenario=RAG, models=(SMALL,), owned=owned)
    first = recommend(question, SOURCES).plans[0].candidate
    assert first.accelerator == "L40S"
    assert first.usd_per_month == first.placement.tp * first.replicas * Decimal("0.50") * 730
    assert recommend(replace(question, owned=(replace(owned[0], count=1),)), SOURCES).plans == ()


def test_hardware_one_has_gets_a_plan_and_a_link_like_any_other() -> None:
    """Two L40S at $0.50 each are $1.00 an hour and replica: the link says so, and opens to the same cost."""
    owned = (OwnedHardware(gpu="A10G", count=4), OwnedHardware(gpu="L40S", count=20, usd_per_gpu_hour=Decimal("0.50")))
    answer = recommend(Question(scenario=RAG, models=(SMALL,), owned=owned[1:]), SOURCES)
    for ranked in answer.plans:
        link = encode(ranked.candidate.scenario, every_field=True)
        assert link["buy"] == "owned"
        assert Decimal(link["price"]) == Decimal("0.50") * ranked.candidate.placement.tp
        opened = plan(decode(link).scenario, SOURCES)
        assert opened.chosen is not None
        assert opened.chosen.cost is not None
        assert opened.chosen.cost.usd_per_month == ranked.candidate.usd_per_month
    free = recommend(Question(scenario=replace(RAG, rate=0.2), models=(SMALL,), owned=owned), SOURCES).plans[0]
    assert free.candidate.accelerator == "A10G"
    assert decode(encode(free.candidate.scenario)).problems == ()
    assert free.plan.chosen is not None
    assert free.plan.chosen.eligible


def test_lengths_no_engine_starts_with_are_refused_by_name() -> None:
    with pytest.raises(Refusal) as refused:
        recommend(Question(scenario=replace(RAG, max_len=200), models=(SMALL,)), SOURCES)
    assert refused.value.field == "max_len"


def test_a_question_without_models_is_refused() -> None:
    with pytest.raises(Refusal):
        Question(scenario=RAG, models=())


QUICK = settings(max_examples=12)
ONE = Question(scenario=RAG, models=(SMALL,), weights=(Weights.BF16, Weights.INT8))


@QUICK
@given(ttft=st.floats(0.05, 5), looser=st.floats(1, 10), rate=st.floats(0.1, 200))
def test_loosening_a_limit_never_raises_the_best_cost(ttft: float, looser: float, rate: float) -> None:
    tight = best(replace(ONE, scenario=replace(RAG, ttft=ttft, rate=rate)))
    loose = best(replace(ONE, scenario=replace(RAG, ttft=ttft * looser, rate=rate)))
    assert tight is None or (loose is not None and loose <= tight)


@QUICK
@given(rate=st.floats(0.1, 100), price=st.decimals("0.2", "20", places=4))
def test_another_machine_or_model_never_hurts(rate: float, price: Decimal) -> None:
    question = replace(ONE, scenario=replace(RAG, rate=rate))
    few = LocalSources(book(**{"g6e.xlarge": "1.861"}), HubClient(offline=True))
    more = LocalSources(book(**{"g6e.xlarge": "1.861", "g5.xlarge": str(price)}), HubClient(offline=True))
    before, after = best(question, few), best(question, more)
    assert before is None or (after is not None and after <= before)
    wider = best(replace(question, models=(SMALL, "meta-llama/Llama-3.2-1B-Instruct")), few)
    assert before is None or (wider is not None and wider <= before)


def test_the_real_book_is_weighed_whole() -> None:
    answer = recommend(
        Question(scenario=RAG, models=(SMALL,), options=tuple(PurchaseOption)),
        LocalSources(load_snapshot(), HubClient(offline=True)),
    )
    assert answer.weighed > 3_000
    assert answer.plans


def test_a_limit_only_idle_replicas_meet_by_a_hair_is_missed_with_its_margin() -> None:
    """Just above what an empty server takes, thousands of idle replicas would meet it: as one plan does, that search
    is given up, and what stands is a limit missed."""
    alone = recommend(Question(scenario=replace(RAG, ttft=60.0, rate=0.001), models=(SMALL,), weights=(Weights.BF16,)),
                      SOURCES, shown=99)  # fmt: skip
    on_l4 = next(ranked.candidate for ranked in alone.plans if ranked.candidate.accelerator == "L4")
    hair = replace(RAG, ttft=(on_l4.ttft_p95_s or 0) * 1.0001)
    question = Question(scenario=hair, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    only = LocalSources(book(**{"g6.xlarge": "0.8048"}), HubClient(offline=True))
    answer = recommend(question, only)
    assert answer.plans == ()
    assert answer.nearest is not None
    assert [margin.key for margin in answer.nearest.failed] == ["ttft"]


def test_a_population_gets_replicas_that_hold_and_run_its_share() -> None:
    """An L4 holds 30 requests of 1,152 tokens in BF16: 3,000 at once take 100 replicas of it, whatever the layout."""
    scenario = Scenario(prompt=1024, output=128, concurrency=3000)
    question = Question(scenario=scenario, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    only = LocalSources(book(**{"g6.xlarge": "0.8048"}), HubClient(offline=True))
    first = recommend(question, only).plans[0]
    assert first.candidate.replicas == 100
    assert first.plan.chosen is not None
    assert first.plan.chosen.eligible
    assert {margin.key: margin.value for margin in first.candidate.limits}["capacity"] == 30


@pytest.mark.parametrize("concurrency", [1, 300, 3_000, 10_000, 1_000_000])
def test_a_population_without_limits_is_served_or_told_what_is_missed(concurrency: int) -> None:
    scenario = Scenario(concurrency=concurrency)
    answer = recommend(Question(scenario=scenario, models=(SMALL,), weights=(Weights.BF16,)), SOURCES)
    assert answer.plans or (answer.nearest is not None and (answer.nearest.failed or answer.nearest.remark))
    assert "fails on ." not in headline(answer)


def test_no_limit_removes_more_candidates_than_were_weighed() -> None:
    """Only the L4 has a price: layouts on machines nobody sells here are counted apart."""
    question = Question(scenario=replace(RAG, ttft=0.001, tpot=None), models=(SMALL,), weights=(Weights.BF16,))
    only = LocalSources(book(**{"g6.xlarge": "0.8048"}), HubClient(offline=True))
    answer = recommend(question, only)
    assert answer.weighed == 2  # two caches, one size
    assert answer.killed["ttft"] == 2
    assert answer.killed["offer"] > 2
    assert "layouts more are not offered" in weighed_sentence(answer)


def test_weights_that_exceed_a_machine_are_held_against_the_share_an_engine_may_take() -> None:
    """A 70B in BF16 is 141.1 GB on one L4 of 22.1 GiB: vLLM takes 92 % of it; nothing is said of speed."""
    only = LocalSources(book(**{"g6.xlarge": "0.8048"}), HubClient(offline=True))
    answer = recommend(Question(scenario=RAG, models=(LARGE,), weights=(Weights.BF16,)), only)
    assert answer.nearest is not None
    assert answer.nearest.unweighed == ("ttft",)
    assert "20.3 GiB" in headline(answer)
    assert "p95 time to first token not worked out for it" in headline(answer)


def test_a_limit_met_by_the_estimate_alone_says_so() -> None:
    """Just above the estimate, the limit lies within its interval; at ten times, it does not."""
    question = Question(scenario=replace(RAG, rate=2, ttft=60.0), models=(SMALL,), weights=(Weights.BF16,))
    easy = recommend(question, SOURCES).plans[0]
    hair = replace(question, scenario=replace(RAG, rate=2, ttft=(easy.candidate.ttft_p95_s or 0) * 1.02))
    tight = recommend(hair, SOURCES).plans[0]
    said = " ".join(cautions(tight))
    assert "within its interval" in said
    assert "P95 whole request: " in said
    assert "within its interval" not in " ".join(cautions(easy))


def test_a_margin_says_where_its_interval_ends_and_when_memory_is_tight() -> None:
    time = Limit(key="ttft", limit=1.0, value=0.9, low=0.7, high=1.2)
    assert left_text(time) == "10 % below the limit, may miss: interval to 1.20 s"
    assert left_text(replace(time, high=0.99)) == "10 % below the limit"
    assert left_text(Limit(key="memory", limit=100, value=99)) == "1 % below the limit: tight"
    assert left_text(Limit(key="memory", limit=100, value=97)) == "3 % below the limit"


def test_where_no_precision_that_is_allowed_was_ever_compared_that_is_what_is_said() -> None:
    """Nobody has published the 8B in INT8 on instruction following, so none of its layouts is worked out."""
    question = Question(scenario=RAG, models=(SMALL,), weights=(Weights.INT8,), bar=WITHIN_ONE_PERCENT)
    answer = recommend(question, SOURCES)
    assert answer.weighed > 0
    assert headline(answer) == (
        "No plan is known to meet the quality bar: nobody has published a comparison for "
        "meta-llama/Llama-3.1-8B-Instruct in INT8."
    )


def test_the_next_cheaper_is_the_costliest_of_what_is_cheaper_and_fails() -> None:
    """12 ms a token takes H100s: of an L4 at $588 and an L40S at $1,359 a month, both too slow, it is the L40S."""
    sources = LocalSources(
        book(**{"g6.xlarge": "0.8048", "g6e.xlarge": "1.861", "p5.48xlarge": "55.04"}), HubClient(offline=True)
    )
    asked = Scenario(model=SMALL, concurrency=1, tpot=0.012)
    question = Question(scenario=asked, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    first = recommend(replace(question, drafting=False), sources).plans[0]
    assert (first.candidate.label, first.next_cheaper and first.next_cheaper.label) == ("p5.48xlarge", "g6e.xlarge")


def test_the_last_standing_is_one_that_was_timed_rather_than_one_too_small_to_be() -> None:
    """The 70B on eight H100 misses both limits; on an L4 it does not fit, and counts as missing memory and both."""
    sources = LocalSources(book(**{"g6.xlarge": "0.8048", "p5.48xlarge": "55.04"}), HubClient(offline=True))
    asked = Scenario(model=LARGE, concurrency=1, ttft=0.0001, tpot=0.0001)
    question = Question(scenario=asked, models=(LARGE,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    nearest = recommend(question, sources).nearest
    assert nearest is not None
    assert nearest.label == "p5.48xlarge"
    assert [limit.key for limit in nearest.failed] == ["ttft", "tpot"]


def test_scores_of_different_benchmarks_share_no_ranking():
    """On IFEval the 8B has 92 % of the 70B, on IFBench 61 %; the 14B was measured on IFBench alone."""
    bar = QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference="meta-llama/Llama-3.3-70B-Instruct", minimum_ratio=0.4)
    models = (SMALL, "Qwen/Qwen3-14B")
    found = recommend(Question(scenario=Scenario(), models=models, bar=bar, weights=(Weights.AS_PUBLISHED,)), SOURCES)
    verdicts = {ranked.candidate.model: ranked.candidate.quality.verdict for ranked in found.plans}
    assert set(verdicts) == set(models)
    assert {verdict.scores.candidate.key[:2] for verdict in verdicts.values()} == {("ifbench", "Artificial Analysis")}
    assert verdicts[SMALL].ratio == pytest.approx(28.6 / 47.1)
