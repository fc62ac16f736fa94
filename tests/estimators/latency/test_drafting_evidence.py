"""Published evidence on drafting: acceptance per model, and the load up to which a gain was measured."""

from __future__ import annotations

import pytest

from estimators.latency.drafting_evidence import drafted_for, gains, published_bound
from estimators.latency.speculative import tokens_per_step

SMALL = "meta-llama/Llama-3.1-8B-Instruct"


def test_prompt_look_up_is_known_for_any_model_and_heads_only_where_published() -> None:
    assert [row.method for row in drafted_for("Qwen/Qwen3-8B")] == ["ngram", "eagle"]
    assert [row.method for row in drafted_for("mistralai/Mistral-7B-Instruct-v0.3")] == ["ngram"]
    assert [row.method for row in drafted_for("deepseek-ai/DeepSeek-V3@main")] == ["ngram", "mtp"]


@pytest.mark.parametrize(
    ("model", "drafted", "kept"),
    [("openai/gpt-oss-20b", 3, 2.24), ("meta-llama/Llama-3.3-70B-Instruct", 7, 2.88), ("Qwen/Qwen3-8B", 4, 1.99)],
)
def test_acceptance_gives_back_the_tokens_a_step_that_were_published(model: str, drafted: int, kept: float) -> None:
    row = next(row for row in drafted_for(model) if row.method == "eagle")
    assert tokens_per_step(row.per_token, drafted) == pytest.approx(kept, abs=0.03)


def test_eagle_3_paid_up_to_56_requests_in_vllm_and_up_to_64_in_sglang_and_neither_says_what_comes_after() -> None:
    """arXiv:2503.01840: 1.01 at 56 in Table 5, 1.38 at 64 in Table 3."""
    in_vllm, in_sglang = published_bound("eagle", SMALL, "vllm"), published_bound("eagle", SMALL, "sglang")
    assert in_vllm is not None
    assert in_sglang is not None
    assert (in_vllm.pays_until, in_vllm.ratio, in_vllm.stops_at) == (56, 1.01, None)
    assert (in_sglang.pays_until, in_sglang.ratio, in_sglang.stops_at) == (64, 1.38, None)


def test_the_first_eagle_stopped_paying_between_24_and_32_in_vllm_and_16_and_24_in_sglang() -> None:
    for engine, last, first_slow in (("vllm", 24, 32), ("sglang", 16, 24)):
        bound = published_bound("eagle-1", SMALL, engine)
        assert bound is not None
        assert (bound.pays_until, bound.stops_at) == (last, first_slow)


def test_prompt_look_up_is_published_for_one_request_and_slower_at_a_load_not_printed() -> None:
    bound = published_bound("ngram", SMALL, "vllm")
    assert bound is not None
    assert (bound.pays_until, bound.stops_at) == (1, None)
    assert bound.slowed is not None
    assert bound.slowed.ratio == 0.56


def test_a_curve_of_another_model_says_so() -> None:
    bound = published_bound("eagle", "meta-llama/Llama-3.3-70B-Instruct", "vllm")
    assert bound is not None
    assert not bound.own_model
    assert bound.gain.model == SMALL


def test_no_printed_load_is_no_bound() -> None:
    """DeepSeek-V3's report gives 1.8 times the speed and neither batch size nor hardware."""
    assert any(gain.method == "mtp" and gain.concurrency is None for gain in gains())
    assert published_bound("mtp", "deepseek-ai/DeepSeek-V3", "vllm") is None
