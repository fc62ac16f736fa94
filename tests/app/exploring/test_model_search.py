"""Names as people write them find the model that is meant, or nothing."""

from __future__ import annotations

import pytest

from app.exploring.model_search import Matched, find, in_order
from estimators.architecture import catalogue

KNOWN = [entry.id for entry in catalogue.entries()]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("Llama 3.3 70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("llama-3.3-70b", "meta-llama/Llama-3.3-70B-Instruct"),
        ("  LLAMA 3.1 8b ", "meta-llama/Llama-3.1-8B-Instruct"),
        ("meta-llama/llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("gpt oss 120b", "openai/gpt-oss-120b"),
        ("Qwen3 32B", "Qwen/Qwen3-32B"),
        ("gemma 3 27b", "google/gemma-3-27b-it"),
        ("DeepSeek V3", "deepseek-ai/DeepSeek-V3"),
        ("8B", "8B"),
        ("30B-A3B", "30B-A3B"),
        ("some-team/own-model", "some-team/own-model"),
        ("meta-llama/Llama-3.1-8B-Instruct@main", "meta-llama/Llama-3.1-8B-Instruct@main"),
    ],
)
def test_a_name_finds_its_model(text: str, model: str) -> None:
    assert find(text, KNOWN) == Matched(model=model)


@pytest.mark.parametrize("text", ["Lama 3.3 70B", "Llama 70", "Qwen 3 33B"])
def test_a_near_name_is_asked_back(text: str) -> None:
    found = find(text, KNOWN)
    assert found.model is None
    assert found.near


@pytest.mark.parametrize("text", ["", "   ", "<script>alert(1)</script>", "javascript:alert(1)"])
def test_what_names_nothing_finds_nothing(text: str) -> None:
    assert find(text, KNOWN).model is None


def test_the_box_begins_with_what_is_asked_most() -> None:
    assert in_order(["a/b", "openai/gpt-oss-120b", "A/a"]) == ["openai/gpt-oss-120b", "A/a", "a/b"]
    assert len(in_order(KNOWN)) == len(set(KNOWN))
