"""Sentences a manager reads."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from app.columns import as_json
from app.planning.planner import plan
from app.planning.sentences import (
    conditions,
    load_phrase,
    model_name,
    option_name,
    precision_name,
    source_phrase,
    verdict,
)
from app.scenario import LoadMode, Scenario
from app.sources import shared_sources
from estimators.precision import Weights
from pricing.offers import PurchaseOption


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 8B"),
        ("meta-llama/Meta-Llama-3-8B", "Llama 3 8B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3 30B A3B"),
        ("google/gemma-2-2b-it", "gemma-2-2b"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral 7B"),
        ("NousResearch/Llama-2-7b-hf", "Llama 2 7b"),
        ("openai/gpt-oss-20b@abc123", "gpt-oss-20b"),
        ("gpt2", "gpt2"),
    ],
)
def test_a_models_name_is_its_id_without_what_nobody_says(model: str, name: str) -> None:
    assert model_name(Scenario(model=model)) == name


def test_a_price_kept_against_an_absurd_one_says_so() -> None:
    offer = shared_sources().book.get("g6.xlarge", "us-east-1", PurchaseOption.ON_DEMAND)
    assert offer is not None
    said = source_phrase(replace(offer, kept=True, stale=False))
    assert said == f"snapshot of {offer.as_of.isoformat()}, kept: the newest cannot be true"


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


@pytest.mark.parametrize("option", PurchaseOption)
def test_no_way_to_pay_is_shown_by_its_code(option: PurchaseOption) -> None:
    assert not re.search(r"_|\dyr|ec2", option_name(option))


@pytest.mark.parametrize("weights", Weights)
def test_every_precision_has_a_name(weights: Weights) -> None:
    assert precision_name(weights)


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


def test_a_commitment_says_that_it_bills_hours_nobody_asked_for() -> None:
    asked = Scenario(params=8, instance="g5.xlarge", buy=PurchaseOption.RESERVED_1YR_NO_UPFRONT, hours=Decimal(100))
    assert "730 h (a commitment bills them all, not 100)" in conditions(plan(asked, shared_sources()))
    whole = replace(asked, hours=Decimal(730))
    assert "reserved 1 year, no upfront, 730 h, " in conditions(plan(whole, shared_sources()))
    used = replace(asked, buy=PurchaseOption.ON_DEMAND)
    assert "on demand, 100 h (always on it would be $734), " in conditions(plan(used, shared_sources()))


def test_more_context_than_the_config_allows_is_in_the_sentence_and_the_notes() -> None:
    """GPT-2 has 1,024 learned positions: no engine starts it at 4,128 tokens."""
    result = plan(Scenario(model="openai-community/gpt2", prompt=4000, instance="g6.xlarge"), shared_sources())
    assert verdict(result).endswith("if its context is extended: its config allows 1,024 tokens, not 4,128.")
    notes = as_json(result)["notes"]
    assert isinstance(notes, list)
    assert any("1,024 the model's config allows" in note for note in notes)
    within = plan(Scenario(model="openai-community/gpt2", prompt=896, instance="g6.xlarge"), shared_sources())
    assert verdict(within).endswith("a month.")


def test_a_precision_computed_in_8_bits_says_so_in_a_sentence() -> None:
    result = plan(Scenario(params=8, weights=Weights.FP8, instance="g6.xlarge"), shared_sources())
    assert "FP8 on L4: weights and activations both in 8 bits (W8A8)." in result.all_notes
