"""What is said of drafting: how far a gain is published, on which model, and what is not known."""

from __future__ import annotations

from dataclasses import replace

from app.planning.drafting import ALONE, Drafting, bound_words, draftings_for
from app.scenario import Scenario
from estimators.latency.drafting_evidence import published_bound

SMALL = "meta-llama/Llama-3.1-8B-Instruct"
ASKED = Scenario(tpot=0.02)


def of(model: str, method: str) -> Drafting:
    return next(found for found in draftings_for(ASKED, model) if found.drafted.method == method)


def test_a_curve_is_given_with_its_end_its_setting_and_its_source() -> None:
    said = bound_words(published_bound("eagle", SMALL, "vllm"), SMALL)
    assert said.startswith("published to pay up to 56 in flight, 1.01 times at 56 (")
    assert "arXiv:2503.01840 Table 5, 2026-11-21" in said
    assert said.endswith("not known beyond")


def test_a_curve_that_crosses_one_says_where() -> None:
    said = bound_words(published_bound("eagle-1", SMALL, "vllm"), SMALL)
    assert said.startswith("published to pay up to 24 in flight, 1.03 times at 24")
    assert said.endswith("no longer at 32")


def test_another_models_curve_is_named_as_such() -> None:
    assert "1.01 times on Llama-3.1-8B-Instruct at 56" in bound_words(
        of("Qwen/Qwen3-8B", "eagle").bound, "Qwen/Qwen3-8B"
    )


def test_a_slow_down_without_its_load_is_told_beside() -> None:
    said = bound_words(of(SMALL, "ngram").bound, SMALL)
    assert "0.56 times on Meta-Llama-3-70B" in said


def test_a_model_without_a_printed_load_stands_on_the_curve_of_another_and_says_so() -> None:
    found = of("deepseek-ai/DeepSeek-V3", "mtp")
    assert found.pays_until == 1024
    assert "2.19 times on DeepSeek-V4-Pro at 1024" in bound_words(found.bound, "deepseek-ai/DeepSeek-V3")


def test_a_gain_without_any_load_is_trusted_for_one_request() -> None:
    found = replace(of("deepseek-ai/DeepSeek-V3", "mtp"), bound=None)
    assert found.pays_until == ALONE
    assert "not known beyond one request" in bound_words(found.bound)


def test_a_renamed_repository_is_the_same_model() -> None:
    assert of("meta-llama/Meta-Llama-3.1-8B-Instruct", "eagle").drafted.model == SMALL


def test_a_bare_count_has_prompt_look_up_only() -> None:
    assert [found.drafted.method for found in draftings_for(ASKED, "8B")] == ["ngram"]
