"""Sentences a manager reads."""

from __future__ import annotations

import pytest

from app.narrative import load_phrase, model_name, option_name
from app.scenario import LoadMode, Scenario
from pricing.offers import PurchaseOption


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 8B"),
        ("meta-llama/Meta-Llama-3-8B", "Llama 3 8B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3 30B A3B"),
        ("google/gemma-2-2b-it", "gemma 2 2b"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B"),
        ("NousResearch/Llama-2-7b-hf", "Llama 2 7b"),
        ("openai/gpt-oss-20b@abc123", "gpt oss 20b"),
        ("gpt2", "gpt2"),
    ],
)
def test_a_models_name_is_its_id_without_what_nobody_says(model: str, name: str) -> None:
    assert model_name(Scenario(model=model)) == name


def test_a_count_is_called_typical() -> None:
    assert model_name(Scenario(params=8.0)) == "A typical 8B model"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        (PurchaseOption.ON_DEMAND, "on demand"),
        (PurchaseOption.RESERVED_1YR_NO_UPFRONT, "reserved 1 year, no upfront"),
        (PurchaseOption.SAVINGS_COMPUTE_3YR_ALL_UPFRONT, "Compute Savings Plan 3 years, all upfront"),
    ],
)
def test_ways_to_pay(option: PurchaseOption, text: str) -> None:
    assert option_name(option) == text


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        (Scenario(), "1 request at a time, 1,024 tokens in and 128 out"),
        (Scenario(rate=2.5), "2.5 requests a second, 1,024 tokens in and 128 out"),
        (Scenario(load=LoadMode.BATCH, concurrency=8), "a batch of 8 requests, 1,024 tokens in and 128 out"),
        (Scenario(load=LoadMode.MAX), "as many requests as the engine takes, 1,024 tokens in and 128 out"),
    ],
)
def test_loads(scenario: Scenario, text: str) -> None:
    assert load_phrase(scenario) == text
