"""Scenario in, plan out: decisions checked by hand against the bundled catalogue and prices."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns import columns_of
from app.exploring.question_link import Asked, question_of
from app.exploring.what_if import serving_curve
from app.kinds import NEGOTIATED
from app.planning import planner
from app.planning.plan import Candidate, Plan
from app.planning.planner import CHEAPEST, NEAR, plan, plan_many
from app.planning.question import Question
from app.planning.recommend import Weighing, recommend
from app.planning.sentences import conditions
from app.scenario import LoadMode, Scenario, decode, encode
from app.sources import shared_sources
from estimators.architecture.catalogue import load_spec
from estimators.architecture.spec import ModelSpec
from estimators.precision import KvPrecision, Weights
from pricing.offers import PriceSource, PurchaseOption
from tests.random_scenarios import open_scenarios

LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"
LLAMA_70B = "meta-llama/Llama-3.1-70B-Instruct"
LLAMA_405B = "meta-llama/Llama-3.1-405B"
SMALL_DRAFT = "meta-llama/Llama-3.2-1B-Instruct"


def planned(**fields: object) -> Plan:
    return plan(Scenario(**{"model": LLAMA_8B, **fields}), shared_sources())  # type: ignore[arg-type]


def month(result: Plan) -> Decimal:
    assert result.chosen is not None
    assert result.chosen.cost is not None
    return result.chosen.cost.usd_per_month


@pytest.mark.parametrize(
    ("model", "weights", "instance", "usd"),
    [
        (LLAMA_8B, Weights.BF16, "g5.xlarge", "734.38"),  # $1.006 x 730
        (LLAMA_70B, Weights.BF16, "p4d.24xlarge", "16029.08"),  # $21.957642 x 730
        (LLAMA_405B, Weights.FP8, "p5.48xlarge", "40179.20"),  # $55.04 x 730
    ],
)
def test_the_articles_three_machines_hold_their_models_at_its_prices(
    model: str, weights: Weights, instance: str, usd: str
) -> None:
    result = planned(model=model, weights=weights, instance=instance)
    assert result.refusal is None
    assert result.chosen is not None
    assert result.chosen.fits
    assert month(result).quantize(Decimal("0.01")) == Decimal(usd)


def test_405b_in_bf16_does_not_fit_eight_h100() -> None:
    result = planned(model=LLAMA_405B, weights=Weights.BF16, instance="p5.48xlarge")
    assert result.chosen is not None
    assert result.chosen.fits is False
    assert result.precision is not None
    assert result.precision.weights_bytes == 811_706_777_600  # 405,853,388,800 parameters of 2 bytes
    assert result.resolved.instance == "p5.48xlarge"


def test_the_automatic_choice_is_the_cheapest_nvidia_machine_that_fits() -> None:
    result = planned()
    assert result.chosen is not None
    assert result.chosen.label == "g6.xlarge"
    eligible = [c for c in result.candidates if c.eligible and c.cost]
    assert month(result) == min(c.cost.usd_per_month for c in eligible if c.cost)
    assert {c.machine.accelerator.vendor for c in result.candidates} == {"NVIDIA"}


def test_a_named_accelerator_takes_the_fewest_that_fit() -> None:
    result = planned(model=LLAMA_70B, weights=Weights.BF16, gpu="A100-80GB-SXM4")
    assert result.resolved.gpus == 2  # 131 GiB of weights: one has 80 GiB
    assert result.resolved.instance == "p4de.24xlarge"


def test_an_accelerator_that_aws_does_not_sell_has_sizes_and_no_price() -> None:
    result = planned(gpu="RTX 4090")
    row = columns_of(result)
    assert result.refusal is None
    assert row["accelerator"] == "RTX 4090"
    assert row["instance"] is None
    assert row["usd_per_month"] is None
    assert row["fits"] is True


def test_your_own_machine_is_priced_as_said_for_all_hours() -> None:
    result = planned(gpu="RTX A6000", buy=PurchaseOption.OWNED, price=Decimal("0.40"), hours=Decimal(100))
    assert month(result) == Decimal("0.40") * 730


def test_an_unmentioned_region_says_not_offered_and_still_sizes() -> None:
    result = planned(instance="p5.48xlarge", region="ca-west-1")
    assert result.refusal is not None
    assert "not offered" in str(result.refusal)
    assert columns_of(result)["weights_bytes"] == 16_060_522_496
    assert columns_of(result)["usd_per_month"] is None


def test_a_model_no_machine_holds_has_its_sizes_and_says_by_how_much() -> None:
    result = planned(model=None, params=3000.0, weights=Weights.BF16)
    row = columns_of(result)
    assert row["resident_params"] == pytest.approx(3e12, rel=0.005)
    assert row["weights_bytes"] == pytest.approx(6e12, rel=0.01)
    assert "holds one replica" in str(row["error"])


def test_nothing_resolved_is_auto_and_reopening_it_changes_nothing() -> None:
    first = planned(concurrency=8)
    again = plan(decode(encode(first.resolved, every_field=True)).scenario, shared_sources())
    assert again.resolved == first.resolved
    assert columns_of(again) == columns_of(first)
    assert first.resolved.kv is KvPrecision.BF16
    assert first.resolved.weights is Weights.BF16
    assert (first.resolved.gpus, first.resolved.replicas) == (1, 1)


def test_a_price_in_the_link_stands_whatever_the_book_says() -> None:
    resolved = replace(planned().resolved, price=Decimal("1.25"))
    result = plan(resolved, shared_sources())
    assert result.chosen is not None
    assert result.chosen.offer is not None
    assert result.chosen.offer.source is PriceSource.LINK
    assert month(result) == Decimal("912.50")  # 1.25 x 730


def test_a_discount_and_a_negotiated_price_reach_the_plan_and_its_order() -> None:
    """20 % off two g6.xlarge is 0.8 x $1,175.008; an L40S agreed at $0.50 is then the cheaper, at $365."""
    listed, less = planned(concurrency=40), planned(concurrency=40, discount=Decimal(20))
    assert month(less) == Decimal("0.8") * month(listed) == Decimal("940.0064")
    assert conditions(less).startswith(
        "us-east-1, on demand, 730 h, snapshot of 2026-07-20, $0.8048 list less 20 % entered;"
    )
    columns = columns_of(less)
    assert (columns["usd_per_hour"], columns["list_usd_per_hour"]) == (Decimal("1.28768"), Decimal("1.6096"))
    assert columns_of(listed)["list_usd_per_hour"] is None
    agreed = planned(concurrency=40, discount=Decimal(20), negotiated=NEGOTIATED("g6e.xlarge:0.5"))
    assert agreed.chosen is not None
    assert (agreed.chosen.label, month(agreed)) == ("g6e.xlarge", 365)
    assert columns_of(agreed)["price_source"] == "entered"


def test_a_frozen_price_is_what_is_paid_and_no_discount_is_taken_off_it() -> None:
    less = planned(discount=Decimal(20))
    frozen = plan(replace(less.resolved, price=Decimal("0.64384")), shared_sources())
    assert month(frozen) == month(less) == Decimal("0.64384") * 730
    assert frozen.chosen is not None
    assert frozen.chosen.offer is not None
    assert frozen.chosen.offer.list_usd_per_hour == Decimal("0.8048")
    own = planned(gpu="L4", buy=PurchaseOption.OWNED, price=Decimal("0.5"), discount=Decimal(20))
    assert month(own) == 365


def test_a_machine_that_nobody_knows_cannot_have_been_negotiated() -> None:
    result = planned(negotiated=NEGOTIATED("g6.xlrge:0.5"))
    assert result.refusal is not None
    assert result.refusal.field == "negotiated"


def test_totals_are_split_over_replicas_and_machines_are_counted_whole() -> None:
    result = planned(instance="g5.xlarge", concurrency=40, replicas=4)
    assert result.chosen is not None
    assert result.chosen.instances == 4
    assert month(result).quantize(Decimal("0.01")) == Decimal("2937.52")  # 4 x 734.38


def test_small_replicas_share_a_machine() -> None:
    result = planned(instance="g5.12xlarge", gpus=1, replicas=4)
    assert result.chosen is not None
    assert result.chosen.instances == 1


def test_a_rate_brings_as_many_replicas_as_it_needs() -> None:
    few, many = planned(instance="g5.xlarge", rate=0.2), planned(instance="g5.xlarge", rate=20.0)
    assert few.chosen is not None
    assert many.chosen is not None
    assert few.chosen.replicas == 1
    assert many.chosen.replicas > 1
    assert many.chosen.latency is not None
    assert not many.chosen.latency.saturated
    one_less = planned(instance="g5.xlarge", rate=20.0, replicas=many.chosen.replicas - 1)
    assert one_less.chosen is not None
    assert one_less.chosen.latency is not None
    assert one_less.chosen.latency.saturated


def test_a_large_load_is_split_rather_than_refused() -> None:
    result = planned(model=LLAMA_70B, rate=20.0, prompt=4096, output=256, region="eu-west-1", ttft=1.0)
    assert result.refusal is None
    assert result.chosen is not None
    assert result.chosen.replicas > 1


def test_tensor_parallelism_stays_inside_a_machine() -> None:
    result = planned(instance="g6.xlarge", gpus=8)
    assert result.refusal is not None
    assert result.refusal.field == "gpus"
    assert planned(gpu="L4", gpus=8).resolved.instance == "g6.48xlarge"


def test_idle_replicas_make_tokens_dearer() -> None:
    one, many = planned(instance="g6.xlarge"), planned(instance="g6.xlarge", replicas=10)
    assert one.chosen is not None
    assert one.chosen.cost is not None
    assert many.chosen is not None
    assert many.chosen.cost is not None
    ratio = many.chosen.cost.usd_per_million_output_tokens / one.chosen.cost.usd_per_million_output_tokens  # type: ignore[operator]
    assert float(ratio) == pytest.approx(10)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": 4096, "max_len": 2048}, "max_len"),
        ({"buy": PurchaseOption.OWNED}, "price"),
        ({"buy": PurchaseOption.OWNED, "price": Decimal(1)}, "gpu"),
        ({"price": Decimal(1)}, "price"),
    ],
)
def test_what_cannot_be_answered_names_its_field(fields: dict[str, object], field: str) -> None:
    result = planned(**fields)
    assert result.refusal is not None
    assert result.refusal.field == field


def test_a_context_over_the_models_limit_is_said() -> None:
    result = planned(prompt=200_000, instance="p5.48xlarge")
    assert result.chosen is not None
    assert any("131,072" in note for note in result.chosen.notes)


def test_an_objective_no_machine_meets_is_said_with_the_nearest() -> None:
    result = planned(ttft=0.0001)
    assert result.chosen is None
    assert "nearest" in str(result.refusal)


def test_an_objective_rules_out_cheaper_machines() -> None:
    plain, quick = planned(), planned(tpot=0.02)
    assert month(quick) > month(plain)
    assert quick.chosen is not None
    assert all(check.met for check in quick.chosen.objectives)


def test_fp8_is_not_offered_where_the_engine_cannot_run_it() -> None:
    result = planned(weights=Weights.FP8, gpu="V100")
    assert result.refusal is not None
    assert result.refusal.field == "weights"


def test_what_an_engine_dropped_for_weights_and_cache_alike_is_said_once() -> None:
    against = [candidate.reasons for candidate in planned().candidates]
    assert any("dropped" in reason for reasons in against for reason in reasons)
    assert all(len(set(reasons)) == len(reasons) for reasons in against)


def test_one_request_is_what_fits_means_for_the_maximum_load() -> None:
    assert planned(load=LoadMode.MAX).chosen.fits  # type: ignore[union-attr]


@settings(max_examples=25)
@given(st.integers(1, 200), st.integers(1, 200))
def test_more_requests_never_take_less_memory(one: int, more: int) -> None:
    few = planned(instance="g6e.xlarge", concurrency=min(one, more)).chosen
    many = planned(instance="g6e.xlarge", concurrency=max(one, more)).chosen
    assert few is not None
    assert many is not None
    assert few.memory is not None
    assert many.memory is not None
    assert few.memory.memory_bytes_per_gpu <= many.memory.memory_bytes_per_gpu


@settings(max_examples=15)
@given(st.floats(0.02, 0.2))
def test_loosening_an_objective_never_raises_the_cost(limit: float) -> None:
    assert month(planned(tpot=round(limit * 1.5, 4))) <= month(planned(tpot=round(limit, 4)))


class _WithADraftOfTheHub:
    """Knows one model that the catalogue does not: a draft read from the Hub."""

    def __init__(self) -> None:
        self.book = shared_sources().book
        self.file_bytes = shared_sources().file_bytes
        self.logs = shared_sources().logs

    def spec(self, model: str) -> ModelSpec:
        return load_spec(SMALL_DRAFT) if model == "someone/a-draft" else shared_sources().spec(model)


def test_a_draft_that_only_the_hub_knows_is_timed_as_well_as_held() -> None:
    asked = Scenario(model=LLAMA_8B, gpu="H100", spec="someone/a-draft", spec_tokens=4, accept=0.7)
    of_the_hub = plan(asked, _WithADraftOfTheHub())
    of_the_catalogue = plan(replace(asked, spec=SMALL_DRAFT), shared_sources())
    assert of_the_hub.refusal is None
    assert of_the_hub.chosen is not None
    assert of_the_catalogue.chosen is not None
    assert of_the_hub.chosen.latency is not None
    assert of_the_catalogue.chosen.latency is not None
    assert of_the_hub.chosen.latency.tpot_s == of_the_catalogue.chosen.latency.tpot_s
    assert serving_curve(of_the_hub) == serving_curve(of_the_catalogue)


def test_a_spot_price_of_long_ago_is_no_price_to_choose_by() -> None:
    """In the bundled table g5.2xlarge has a spot price of April 2025 below every fresh one."""
    found = planned(buy=PurchaseOption.SPOT)
    assert found.chosen is not None
    assert found.chosen.offer is not None
    assert found.chosen.offer.as_of >= date(2026, 9, 1)
    older = [c for c in found.candidates if c.eligible and c.offer is not None and c.offer.as_of < date(2026, 1, 1)]
    assert any(c.cost is not None and c.cost.usd_per_month < month(found) for c in older)


def _parts(few: int, *ends: int) -> list[object]:
    """Scenarios by their number, each once: so many in the fast suite, the others in parts that two processes share."""
    ranges = [range(*pair) for pair in pairwise((0, few, *ends))]
    return [
        pytest.param(part, id=f"{part.start}-{part.stop}", marks=[pytest.mark.slow] if part.start else [])
        for part in ranges
    ]


def _bought(found: Candidate) -> tuple[object, ...]:
    return (found.label, found.placement, found.replicas, found.instances, found.usd_per_month)


def _answer(result: Plan) -> tuple[object, ...] | None:
    return _bought(result.chosen) if result.chosen is not None and result.refusal is None else None


@pytest.mark.parametrize("part", _parts(150, 580, 1000))
def test_a_scenario_and_the_question_limited_to_it_have_one_answer(part: range) -> None:
    """Machine, layout, replicas and price of `plan`, of `plan` with every machine weighed, of many planned together,
    and of the question's first plan; and what one refuses all refuse."""
    scenarios, sources = open_scenarios(part.stop, seed=11)[part.start :], shared_sources()
    together = plan_many(scenarios, sources)
    answered = 0
    for scenario, one_of_many in zip(scenarios, together, strict=True):
        alone = plan(scenario, sources, within=CHEAPEST)
        limited = Question(
            scenario=scenario,
            models=(scenario.model or "",),
            weights=(scenario.weights,),
            kv=(scenario.kv,),
            regions=(scenario.region,),
            options=(scenario.buy,),
            drafting=False,
        )
        plans = recommend(limited, sources, shown=1).plans
        first = _bought(plans[0].candidate) if plans else None
        assert _answer(alone) == first, scenario
        assert _answer(plan(scenario, sources)) == first, scenario
        assert str(one_of_many.refusal) == str(alone.refusal), scenario
        if first is not None:
            assert one_of_many == alone, scenario
            answered += 1
    assert answered > 0.4 * len(part)


@pytest.mark.parametrize("part", _parts(25, 60))
def test_what_a_wider_question_weighed_makes_the_same_plan(part: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every precision, cache and way to draft weighed under the same load, the plan as asked is read off the scales."""
    sources, alone, again, plans = shared_sources(), planner._machines_weighed, [], 0

    def noted(question: Question, *arguments: Any) -> Generator[Any, Any, Any]:
        again.append(question.scenario)
        return (yield from alone(question, *arguments))

    for scenario in open_scenarios(part.stop, seed=14)[part.start :]:
        weigher = Weighing(question_of(Asked(), scenario, (LLAMA_8B,)), sources).weigher
        for within in (CHEAPEST, NEAR):
            expected = plan(scenario, sources, within=within)
            with monkeypatch.context() as patched:
                patched.setattr(planner, "_machines_weighed", noted)
                found = plan(scenario, sources, within=within, weighed=weigher)
            assert [_bought(c) for c in found.candidates] == [_bought(c) for c in expected.candidates], scenario
            assert _times(found) == pytest.approx(_times(expected), rel=1e-6, nan_ok=True), scenario
            assert str(found.refusal) == str(expected.refusal), scenario
            assert expected.refusal is not None or scenario not in again  # only to say why nothing does
            plans += expected.refusal is None
    assert plans > 0.5 * len(part)


def _times(result: Plan) -> list[float]:
    return [t or math.nan for c in result.candidates for t in (c.ttft_p95_s, c.tpot_p95_s, c.e2e_p95_s)]


@pytest.mark.parametrize("fields", [{}, {"concurrency": 70}, {"rate": 3.0, "ttft": 1.0}, {"buy": PurchaseOption.SPOT}])
def test_what_is_near_is_what_does_within_three_times_the_cheapest(fields: dict[str, object]) -> None:
    scenario = Scenario(model=LLAMA_8B, **fields)  # type: ignore[arg-type]
    near = plan(scenario, shared_sources(), within=NEAR).candidates
    every = [c for c in plan(scenario, shared_sources()).candidates if c.eligible and c.offer is not None]
    newest = max(c.offer.as_of for c in every if c.offer)
    old = {c.label for c in every if c.offer and newest - c.offer.as_of > timedelta(days=90)}
    fresh = [c for c in every if scenario.buy is not PurchaseOption.SPOT or c.label not in old]
    most = NEAR * float(min(c.usd_per_month for c in fresh if c.usd_per_month is not None))
    assert len(near) > 1
    assert {c.label for c in near} == {c.label for c in fresh if float(c.usd_per_month or 0) <= most}


def _every_layout(scenario: Scenario) -> list[Candidate]:
    """What does the job inside one machine, each machine in each of its sizes: by naming the sizes one by one."""
    found = []
    for size in (1, 2, 4, 8, 16):
        for candidate in plan(replace(scenario, gpus=size), shared_sources()).candidates:
            instance = candidate.machine.instance
            if candidate.eligible and candidate.placement and instance:
                found += [candidate] * (candidate.placement.gpus <= instance.accelerator_count)
    return found


@pytest.mark.parametrize("part", _parts(60, 600))
def test_nothing_is_cheaper_than_the_choice_nor_beats_it_at_its_price(part: range) -> None:
    """Of one model and precision quality is the same, so a rival at the price has to lose in a time or tie in both."""
    rivals_met = 0
    for scenario in open_scenarios(part.stop, seed=12)[part.start :]:
        chosen = plan(scenario, shared_sources(), within=CHEAPEST)
        if scenario.gpus is not None or _answer(chosen) is None:
            continue
        every = _every_layout(scenario)
        as_of, usd = chosen.chosen.offer.as_of, month(chosen)  # type: ignore[union-attr]
        fresh = [c for c in every if c.offer and c.offer.as_of >= as_of]  # an old spot price may be lower
        assert usd in {c.usd_per_month for c in every}, scenario
        assert all(c.usd_per_month is None or c.usd_per_month >= usd for c in fresh), scenario
        mine = (chosen.chosen.ttft_p95_s, chosen.chosen.tpot_p95_s)  # type: ignore[union-attr]
        for rival in (c for c in every if c.usd_per_month == usd):
            times = (rival.ttft_p95_s, rival.tpot_p95_s)
            rivals_met += times != pytest.approx(mine, rel=1e-3)
            better = all(a <= b for a, b in zip(times, mine, strict=True)) and times != pytest.approx(mine, rel=1e-3)  # type: ignore[operator]
            assert not better, (scenario, _bought(rival))
    assert rivals_met >= len(part) / 30


def test_a_longest_context_is_sized_for_where_the_machine_is_open() -> None:
    """Qwen3-32B keeps 64 layers x 8 heads x 128 x 2 x 2 bytes = 256 KiB a token: 8 requests of 32,768 tokens are 64 GiB
    beside 32 GiB of weights. The machines are those of prompts that long, the times those of the request."""
    asked = {"model": "Qwen/Qwen3-32B", "weights": Weights.FP8, "concurrency": 8, "prompt": 1024, "output": 128}
    short, longest = planned(**asked), planned(**asked, max_len=32_768)
    prompts = planned(**{**asked, "prompt": 32_640})
    assert month(short) < month(longest) == month(prompts)
    chosen, other = longest.chosen, prompts.chosen
    assert chosen is not None
    assert other is not None
    assert chosen.memory is not None
    assert (chosen.label, chosen.replicas) == (other.label, other.replicas)
    assert chosen.memory.longest_concurrency >= 8 / chosen.replicas
    assert chosen.memory.max_concurrency > 8 * chosen.memory.longest_concurrency
    assert any(note.startswith("Sized for the longest context: one replica holds") for note in chosen.notes)
    assert (chosen.e2e_p95_s or 0) < (other.e2e_p95_s or 0) / 2


def test_a_rate_is_sized_for_the_longest_context_as_well() -> None:
    asked = {"model": "Qwen/Qwen3-32B", "weights": Weights.FP8, "rate": 2.0, "prompt": 1024, "output": 128}
    chosen = planned(**asked, max_len=32_768).chosen
    assert chosen is not None
    assert chosen.latency is not None
    assert chosen.memory is not None
    assert chosen.latency.running_requests <= chosen.memory.longest_concurrency


def test_a_machine_that_is_named_says_how_many_may_grow() -> None:
    """96 GB less 32 GiB of weights hold 6 requests of 32,768 tokens; the load itself fits."""
    result = planned(model="Qwen/Qwen3-32B", weights=Weights.FP8, concurrency=8, instance="g7e.2xlarge", max_len=32_768)
    assert result.chosen is not None
    assert result.chosen.fits
    assert (
        "At the longest context one replica holds 6 requests of 32,768 tokens at once, not 8: beyond that the engine "
        "puts requests off." in result.chosen.notes
    )


@pytest.mark.parametrize(("model", "said"), [(LLAMA_70B, True), ("meta-llama/Llama-3.3-70B-Instruct", False)])
def test_a_head_nobody_published_is_said(model: str, said: bool) -> None:
    chosen = planned(model=model, spec="eagle", spec_tokens=3, concurrency=4).chosen
    assert chosen is not None
    note = "No EAGLE head of Llama 3.1 70B is known to be published: one has to be trained before this plan can run."
    assert (note in chosen.notes) is said
