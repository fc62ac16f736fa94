"""What training a smaller model costs once, and when it pays."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.provenance import Refusal
from estimators.quality.compression import (
    TrainingLever,
    compression_facts,
    distillation_flops,
    facts_for,
    one_off_gpu_hours,
    payback_months,
    published_utilisation,
)


def test_arithmetic_of_the_published_recipe():
    # student 6e9, teacher 8.19e9, 90e9 tokens: (36e9 + 16.38e9) x 90e9
    assert distillation_flops(6e9, 8.19e9, 90e9) == pytest.approx(4.7142e21)


def test_its_hours_imply_a_fifth_of_peak():
    # 4.7142e21 / (6000 h x 3600 s x 989e12)
    assert published_utilisation().value == pytest.approx(0.2207, abs=5e-5)


def test_its_own_figures_give_its_own_hours_back():
    hours = one_off_gpu_hours(student_params=6e9, teacher_params=8.19e9, tokens=90e9, peak_flops_per_second=989e12)
    assert hours.value == pytest.approx(6000)
    assert "TensorRT-Model-Optimizer" in hours.source


def test_payback():
    assert payback_months(Decimal(24000), Decimal(3000)) == 8
    assert payback_months(Decimal(24000), Decimal(0)) is None
    assert payback_months(Decimal(24000), Decimal(-5)) is None
    assert payback_months(Decimal(0), Decimal(10)) == 0


@given(st.decimals(0, 10**7, places=2), st.decimals("0.01", 10**6, places=2), st.decimals(0, 10**6, places=2))
def test_a_larger_saving_never_pays_back_later(cost, saving, more):
    assert payback_months(cost, saving + more) <= payback_months(cost, saving)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_nonsense_sizes_are_refused(bad):
    with pytest.raises(Refusal):
        distillation_flops(bad, 8e9, 1e9)


def test_published_results_are_ratios_of_what_is_printed():
    for fact in compression_facts():
        if fact.baseline and fact.score and fact.recovery is not None:
            assert fact.recovery == pytest.approx(fact.score / fact.baseline, abs=1e-4)


def test_expert_pruning_keeps_one_model_and_ruins_another():
    kept = {fact.model: fact.recovery for fact in compression_facts() if fact.id.endswith("-50") and fact.recovery}
    assert kept["Qwen/Qwen3-30B-A3B"] == pytest.approx(0.998)
    assert kept["moonshotai/Moonlight-16B-A3B"] == pytest.approx(0.17)


def test_sparsity_facts_say_that_no_memory_is_saved():
    (fact,) = facts_for("meta-llama/Llama-3.1-8B", TrainingLever.SPARSITY_2_4)
    assert "no memory saved" in fact.note
    assert fact.recovery == pytest.approx(0.9837, abs=5e-5)


def test_nothing_published_is_empty():
    assert facts_for("someone/else") == ()
