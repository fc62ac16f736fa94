"""Levers on a plan: what each changes, what is known of its quality, and how they combine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.alternatives import quality_phrase
from app.exploring.levers import (
    LOSSLESS,
    Effect,
    Kept,
    Lever,
    LeverKind,
    combined_sentence,
    effect_of,
    levers_for,
    ready_on_the_hub,
    together,
)
from app.exploring.retraining import Payback, experts, payback, payback_sentence, smaller_model, sparsity
from app.format import gib
from app.planning.plan import Plan
from app.planning.planner import plan
from app.planning.remembered import VersionedSources
from app.scenario import Scenario
from app.sources import LocalSources, shared_sources
from estimators.architecture.hub.client import HubClient, HubOffline, ModelNotFound
from estimators.architecture.spec import ModelSpec
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.checkpoints import names_to_try
from estimators.quality.tasks import Task
from pricing.instances import find_instance
from pricing.offers import PurchaseOption

SMALL, LARGE = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
IFEVAL = Task.INSTRUCTION_FOLLOWING


@pytest.fixture(scope="module")
def sources() -> VersionedSources:
    return shared_sources()


@pytest.fixture(scope="module")
def small(sources: VersionedSources) -> Plan:
    return plan(Scenario(model=SMALL), sources)


def test_every_kind_of_lever_is_offered_for_a_dense_model_in_16_bits(small: Plan) -> None:
    assert {lever.group for lever in levers_for(small, IFEVAL)} == set(LeverKind)


def test_int8_is_offered_first(small: Plan) -> None:
    assert levers_for(small, IFEVAL)[0].key == "int8"


def test_int4_weights_take_a_third_and_an_fp8_cache_half(small: Plan, sources: VersionedSources) -> None:
    """8.03 B parameters: 16.06 GB in BF16; INT4 keeps embeddings and head wide, so 5.7 GB, not 4."""
    levers = {lever.key: lever for lever in levers_for(small, IFEVAL)}
    applied = [(), (levers["int4"],), (levers["kv-fp8"],)]
    chosen = [found for levers_ in applied if (found := effect_of(small, levers_, sources).same.chosen)]
    before, packed, cached = (found.memory for found in chosen if found.memory)
    assert before.weights_bytes == 16_060_522_496
    assert packed.weights_bytes == pytest.approx(5.73e9, rel=0.01)
    assert cached.kv_bytes_per_token * 2 == before.kv_bytes_per_token
    assert len({found.label for found in chosen}) == 1


def test_levers_combine_and_two_quantizations_do_not(small: Plan, sources: VersionedSources) -> None:
    levers = {lever.key: lever for lever in levers_for(small, IFEVAL)}
    both = effect_of(small, (levers["int8"], levers["int4"], levers["kv-fp8"]), sources)
    assert both.same.precision is not None
    assert both.same.precision.weights is Weights.INT4
    assert both.name == "Weights in INT4 and KV cache in FP8"
    alone = effect_of(small, (levers["int4"],), sources)
    assert (both.memory_bytes or 0) < (alone.memory_bytes or 0)


def test_qualities_multiply_and_one_unknown_makes_all_unknown() -> None:
    """0.99 x 0.98 = 0.9702."""
    one = Kept(ratio=0.99, low=0.97, said="a", sources=("x",))
    two = Kept(ratio=0.98, low=0.96, said="b", sources=("y",))
    both = together([one, two, LOSSLESS])
    assert both.ratio == pytest.approx(0.9702)
    assert both.low == pytest.approx(0.9312)
    assert both.sources == ("x", "y")
    assert "estimate" in both.said
    missing = Kept(ratio=None, low=None, said="nobody measured it")
    assert together([one, missing]).ratio is None
    assert together([]) is LOSSLESS


def test_missing_evidence_is_said_not_filled(small: Plan) -> None:
    cache = next(lever for lever in levers_for(small, IFEVAL) if lever.key == "kv-fp8")
    assert cache.kept.ratio is None
    assert "no published recovery" in cache.kept.said


def speculations(plan_: Plan) -> dict[str, Lever]:
    return {lever.key: lever for lever in levers_for(plan_, IFEVAL) if lever.group is LeverKind.SPECULATION}


def test_speculation_says_up_to_which_load_it_is_published_to_pay(small: Plan) -> None:
    """EAGLE-3 on this model in vLLM: 1.01 at 56 requests, the last published; prompt look-up: one request."""
    found = speculations(small)
    assert found["eagle"].note.startswith("Published to pay up to 56 requests in flight;")
    assert found["ngram"].note.startswith("Published to pay up to 1 request in flight")
    assert "arXiv:2503.01840 Table 5" in found["eagle"].evidence
    assert found["eagle"].effort == "Published head: yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"
    assert "not known beyond" in found["ngram"].evidence
    assert all(lever.kept is LOSSLESS for lever in found.values())


def test_no_speculation_is_said_to_pay_at_every_load(sources: VersionedSources) -> None:
    for concurrency in (1, 8, 64, 400):
        busy = plan(Scenario(model=SMALL, instance="g6.xlarge", concurrency=concurrency), sources)
        for lever in speculations(busy).values():
            assert "every load" not in lever.note
            assert "break-even" in lever.note or "Does not pay" in lever.note


def test_a_load_beyond_what_is_published_is_said_to_be(sources: VersionedSources) -> None:
    busy = plan(Scenario(model=SMALL, instance="p5.4xlarge", concurrency=64), sources)
    assert "beyond that" in speculations(busy)["ngram"].note


def test_speculation_takes_the_acceptance_of_the_model_where_it_is_published(sources: VersionedSources) -> None:
    known = speculations(plan(Scenario(model="Qwen/Qwen3-8B"), sources))["eagle"]
    changed = known.change(Scenario())
    assert (changed.spec, changed.spec_tokens, changed.accept) == ("eagle", 3, 0.52)
    unknown = speculations(plan(Scenario(model="mistralai/Mistral-7B-Instruct-v0.3"), sources))["eagle"]
    assert unknown.change(Scenario()).accept is None
    assert "no acceptance is published for this model" in unknown.evidence


def test_levers_on_an_overloaded_plan_show_no_times(sources: VersionedSources) -> None:
    """One L4 serves a few requests a second of this, not 50: whatever is pulled, its queue grows without end."""
    drowned = plan(Scenario(model=SMALL, instance="g6.xlarge", replicas=1, rate=50), sources)
    for levers_ in ((), *((lever,) for lever in levers_for(drowned, IFEVAL))):
        effect = effect_of(drowned, levers_, sources)
        assert effect.overloaded
        assert effect.latency("tpot") is None
        assert effect.problem.startswith("Overloaded: the plan's machine serves")


def test_a_lever_that_makes_the_plan_fast_enough_is_not_overloaded(sources: VersionedSources) -> None:
    """Weights in FP8 serve more than twice what BF16 does on the same L4."""
    full = plan(Scenario(model=SMALL, instance="g6.xlarge", replicas=1, rate=1000), sources).chosen
    assert full is not None
    assert full.latency is not None
    edge = plan(
        Scenario(model=SMALL, instance="g6.xlarge", replicas=1, rate=1.3 * full.latency.req_per_s.value), sources
    )
    levers = {lever.key: lever for lever in levers_for(edge, IFEVAL)}
    assert effect_of(edge, (), sources).overloaded
    assert not effect_of(edge, (levers["fp8"],), sources).overloaded
    assert effect_of(edge, (levers["fp8"],), sources).latency("tpot") is not None


def test_a_lever_that_does_not_fit_says_by_how_much(sources: VersionedSources) -> None:
    tight = plan(Scenario(model="deepseek-ai/DeepSeek-V3"), sources)
    mtp = speculations(tight).get("mtp")
    assert mtp is not None
    effect = effect_of(tight, (mtp,), sources)
    memory = effect.same.chosen.memory if effect.same.chosen else None
    assert memory is not None
    assert memory.fits or effect.problem.startswith("Does not fit the plan's own machine: needs")


def test_a_published_checkpoint_comes_before_a_script(small: Plan) -> None:
    int8 = levers_for(small, IFEVAL)[0]
    assert int8.effort == "Published ready to use: RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"


class _Hub(LocalSources):
    """A Hub that has one of the names and forgets the rest, or none when it is away."""

    def __init__(self, has: str, away: bool = False) -> None:
        super().__init__(shared_sources().book, HubClient(offline=True))
        self._has, self._away = has, away

    def spec(self, model: str) -> ModelSpec:
        if self._away:
            raise HubOffline("The Hub is away.", "Try later.")
        if model != self._has:
            raise ModelNotFound("No such model.", "Check the id.")
        return shared_sources().spec(SMALL)


def test_the_hub_is_asked_for_the_usual_names_and_may_be_away() -> None:
    name = names_to_try(LARGE, "int8")[0]
    assert ready_on_the_hub(LARGE, "int8", _Hub(name)) == ((name,), "")
    assert ready_on_the_hub(LARGE, "int8", _Hub(name, away=True)) == ((), "The Hub is away.")


def test_payback_is_the_one_off_cost_over_the_monthly_saving(sources: VersionedSources) -> None:
    """The 70B on p4d.24xlarge is $16,029 a month; half of it costs GPU hours once and fits a smaller machine."""
    large = plan(Scenario(model=LARGE, instance="p4d.24xlarge"), sources)
    assert large.spec is not None
    found = payback(large, large.spec.resident_params / 2, sources)
    per_hour = sources.book.get("p5.48xlarge", "us-east-1", large.asked.buy)
    assert per_hour is not None
    assert find_instance("p5.48xlarge").accelerator_count == 8
    assert found.one_off_usd == (Decimal(repr(found.gpu_hours.value)) * per_hour.usd_per_hour / 8).quantize(
        Decimal("0.01")
    )
    assert found.months == found.one_off_usd / found.saving_usd_per_month
    assert found.facts == ()


def test_training_is_paid_where_the_plan_runs_or_else_where_it_is_cheapest(sources: VersionedSources) -> None:
    def found(region: str) -> Payback:
        large = plan(Scenario(model=LARGE, region=region, rate=1), sources)
        assert large.spec is not None
        return payback(large, large.spec.resident_params / 2, sources)

    there = sources.book.get("p5.48xlarge", "ap-southeast-2", PurchaseOption.ON_DEMAND)
    assert there is not None
    assert (found("ap-southeast-2").trained_in, found("ap-southeast-2").usd_per_gpu_hour) == (
        "ap-southeast-2",
        there.usd_per_hour / 8,
    )
    assert sources.book.get("p5.48xlarge", "eu-central-1", PurchaseOption.ON_DEMAND) is None
    assert found("eu-central-1").trained_in == "us-east-1"


def test_one_recipe_is_shown_as_half_to_double_and_ones_own_cost_as_it_is(sources: VersionedSources) -> None:
    """$24,000 of one's own over the saving a month, whatever the recipe says."""
    large = plan(Scenario(model=LARGE, instance="p4d.24xlarge"), sources)
    assert large.spec is not None
    found = payback(large, large.spec.resident_params / 2, sources)
    assert (found.one_off_low_usd * 2, found.one_off_high_usd) == (found.one_off_usd, found.one_off_usd * 2)
    assert found.months_low is not None
    assert found.months_high == pytest.approx(4 * found.months_low)
    own = payback(large, large.spec.resident_params / 2, sources, one_off_usd=Decimal(24_000))
    assert own.own_cost
    assert own.one_off_low_usd == own.one_off_high_usd == Decimal(24_000)
    assert own.months == Decimal(24_000) / own.saving_usd_per_month
    assert own.saving_usd_per_month == found.saving_usd_per_month


def test_what_levers_come_to_together_is_said_as_a_change_from_the_plan() -> None:
    """From $16,029.08 on p4d.24xlarge to $734.38 on g5.xlarge: 734.38 / 16,029.08 - 1 = -95 %; back, +2,083 %."""
    large = plan(Scenario(model=LARGE, instance="p4d.24xlarge"), shared_sources())
    small = plan(Scenario(model=SMALL, instance="g5.xlarge"), shared_sources())
    before = Effect(name="as it is", same=large, cheapest=large, kept=LOSSLESS)
    after = Effect(name="another model", same=small, cheapest=small, kept=LOSSLESS)
    memory = [gib(effect.memory_bytes or 0) for effect in (before, after)]
    said = f"Another model: $734 a month, -95 %, {memory[1]} per GPU instead of {memory[0]}."
    assert combined_sentence(before, after) == said
    assert "$16,029 a month, +2083 %, " in combined_sentence(after, before)
    assert "$734 a month, the same cost, " in combined_sentence(after, after)
    drowned = plan(Scenario(model=LARGE, instance="g5.xlarge"), shared_sources())
    no_machine = Effect(name="another model", same=drowned, cheapest=drowned, kept=LOSSLESS)
    assert combined_sentence(before, no_machine) == "Another model: no machine does the job."


def test_the_payback_is_said_with_its_range_or_with_ones_own_cost(sources: VersionedSources) -> None:
    """$12,000 to $48,000 once over $6,000 a month: 2 to 8 months; one's own $24,000: 4."""
    large = plan(Scenario(model=LARGE, instance="p4d.24xlarge"), sources)
    assert large.spec is not None
    found = replace(
        payback(large, large.spec.resident_params / 2, sources),
        one_off_usd=Decimal(24_000),
        one_off_low_usd=Decimal(12_000),
        one_off_high_usd=Decimal(48_000),
        saving_usd_per_month=Decimal(6_000),
        months=Decimal(4),
        months_low=Decimal(2),
        months_high=Decimal(8),
    )
    where = found.student.resolved.instance
    said = f"$12,000 to $48,000 once saves $6,000 a month on {where}: paid back in 2.0 to 8.0 months."
    assert payback_sentence(found) == said
    own = replace(found, own_cost=True, one_off_low_usd=Decimal(24_000), one_off_high_usd=Decimal(24_000))
    said = f"$24,000 once saves $6,000 a month on {where}: paid back in 4.0 months."
    assert payback_sentence(own) == said
    assert "saves nothing a month here" in payback_sentence(replace(found, months=None))


def test_an_overloaded_plan_pays_nothing_back(sources: VersionedSources) -> None:
    drowned = plan(Scenario(model=SMALL, instance="g6.xlarge", replicas=1, rate=50), sources)
    with pytest.raises(Refusal, match="overloaded"):
        payback(drowned, 4e9, sources)


def test_a_student_is_smaller_than_its_teacher(small: Plan, sources: VersionedSources) -> None:
    with pytest.raises(Refusal):
        payback(small, 9e9, sources)


def test_sparsity_saves_no_memory_and_its_own_evidence_is_kept_apart(sources: VersionedSources) -> None:
    base = sparsity(plan(Scenario(model="meta-llama/Llama-3.1-8B"), sources))
    assert "no memory" in base.said
    assert base.facts[0].recovery == pytest.approx(0.9837, abs=1e-3)
    assert all(fact not in base.facts for fact in base.elsewhere)


def test_a_batch_touches_most_experts(sources: VersionedSources) -> None:
    """n = 128, k = 8: one request touches 8, sixteen touch 82."""
    one = experts(plan(Scenario(model="Qwen/Qwen3-30B-A3B", gpu="H100"), sources))
    many = experts(plan(Scenario(model="Qwen/Qwen3-30B-A3B", gpu="H100", concurrency=16, output=4096), sources))
    assert one is not None
    assert many is not None
    assert one.touched == pytest.approx(8)
    assert many.touched == pytest.approx(128 * (1 - (1 - 8 / 128) ** many.batch))
    assert 75 < many.touched <= 82.5
    assert experts(plan(Scenario(model=SMALL), sources)) is None


def test_a_smaller_model_needs_a_score_on_the_same_suite(small: Plan, sources: VersionedSources) -> None:
    large = plan(Scenario(model=LARGE, instance="p4d.24xlarge"), sources)
    found = smaller_model(large, IFEVAL, sources)
    assert found is not None
    assert found.quality.result is not None
    assert found.quality.result.passes
    assert found.quality.ratio is not None
    assert found.quality.ratio >= 0.99
    assert smaller_model(large, Task.LONG_CONTEXT, sources) is None


def test_a_task_without_evidence_still_says_what_the_estimate_says_of_suites(small: Plan) -> None:
    """IFEval is unpublished for INT8; the estimate quotes two comparisons of averages over suites, and so do levers."""
    found = {lever.key: lever.kept for lever in levers_for(small, Task.INSTRUCTION_FOLLOWING)}
    assert found["int8"].ratio is None
    assert "no published recovery of INT8 on instruction following" in found["int8"].said
    assert "averages over suites of tasks keep 100.9 % (2 published comparisons of this model)" in found["int8"].said
    assert quality_phrase(small.asked.model, Weights.INT8).endswith("(2 published comparisons of this model)")
