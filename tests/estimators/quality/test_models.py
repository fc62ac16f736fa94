"""Names, sizes and kinship of models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.quality.models import canonical, family_of, params_of, same_model, size_class


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8e9),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5e9),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", 30e9),  # total, not the 3B active
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135e6),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 109e9),  # the 17B of the name are the active ones
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1.5e9),
        ("deepseek-ai/DeepSeek-V3", 671e9),
        ("openai/gpt-oss-120b", 120e9),
        ("someone/their-model-v2", None),
        ("someone/model-4bit", None),
    ],
)
def test_parameters_from_the_name_or_the_publication(name, params):
    assert params_of(name) == params


def test_a_renamed_repository_is_the_same_model():
    assert same_model("meta-llama/Meta-Llama-3.1-8B-Instruct@abc123", "meta-llama/llama-3.1-8b-instruct")
    assert canonical("neuralmagic/Qwen2-72B-Instruct-FP8") == "RedHatAI/Qwen2-72B-Instruct-FP8"
    assert not same_model("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4"),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2"),
        ("Qwen/Qwen3.5-27B", "qwen3.5"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "deepseek-r1-distill"),
        ("deepseek-ai/DeepSeek-R1", "deepseek"),
        ("someone/else", None),
    ],
)
def test_the_longest_known_prefix_names_the_series(name, family):
    assert family_of(name) == family


@pytest.mark.parametrize(
    ("params", "band"), [(1.9e9, "under 2B"), (2e9, "2B to 6B"), (8e9, "6B to 20B"), (70e9, "50B to 150B")]
)
def test_size_classes(params, band):
    assert size_class(params) == band


@given(st.text(max_size=80))
def test_any_text_is_some_name(text):
    canonical(text), family_of(text), params_of(text)
    assert same_model(text, text)
