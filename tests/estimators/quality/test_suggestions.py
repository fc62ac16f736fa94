"""What to offer first, and the rows that say so."""

import pytest

from estimators.quality.suggestions import int4_methods
from estimators.quality.tasks import Task


def test_awq_first_where_the_rows_say_so():
    order = int4_methods("Qwen/Qwen2-0.5B-Instruct")
    assert order.first == "awq"
    # MMLU 34.4 - 33.0 of 37.9, C-Eval 42.1 - 39.2 of 45.2, IFEval 16.7 - 16.8 of 20.0: the median is MMLU's
    assert order.difference == pytest.approx(1.4 / 37.9)
    assert order.label == "Paired comparisons on this model (3) put AWQ 3.7 points ahead."


def test_gptq_first_where_they_say_that():
    assert int4_methods("Qwen/Qwen2-7B-Instruct").first == "gptq"


def test_either_where_they_do_not_tell():
    # Llama 3.1 8B: GPTQ ahead on Arena-Hard and HumanEval, AWQ on HellaSwag and WinoGrande
    assert int4_methods("meta-llama/Llama-3.1-8B-Instruct").first == "either"
    assert int4_methods("Qwen/Qwen2-72B-Instruct").first == "either"


def test_one_comparison_within_its_noise_tells_nothing():
    order = int4_methods("Qwen/Qwen2-7B-Instruct", Task.INSTRUCTION_FOLLOWING)
    assert order.difference == pytest.approx((51.4 - 49.4) / 53.1)
    assert order.first == "either"


def test_pairs_are_of_one_model_suite_and_source():
    for pair in int4_methods("meta-llama/Llama-3.1-8B-Instruct").pairs:
        assert pair.awq.source == pair.gptq.source
        assert (pair.awq.model, pair.awq.setting) == (pair.gptq.model, pair.gptq.setting)


def test_no_pairs_no_preference():
    order = int4_methods("Qwen/Qwen3-32B")
    assert (order.first, order.pairs) == ("either", ())
