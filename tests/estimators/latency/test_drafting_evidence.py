"""Published evidence on drafting: acceptance per model, and the load up to which a gain was measured."""

from __future__ import annotations

import pytest

from estimators.latency.drafting_evidence import drafted_for, gains, published_bound, speed_up
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


def test_no_printed_load_is_no_bound_of_its_own() -> None:
    """DeepSeek-V3 is printed 1.8 times as fast, without batch size or hardware: another model's curve stands."""
    own = [gain for gain in gains() if (gain.method, gain.model) == ("mtp", "deepseek-ai/DeepSeek-V3")]
    assert [gain.concurrency for gain in own] == [None]
    bound = published_bound("mtp", "deepseek-ai/DeepSeek-V3", "vllm")
    assert bound is not None
    assert not bound.own_model
    assert bound.gain.engine == "vllm"


@pytest.mark.parametrize("method", ["mtp", "eagle"])
def test_a_speed_up_falls_with_the_load_and_its_range_holds_four_pairs_in_five(method: str) -> None:
    found = [speed_up(method, load) for load in (1.0, 4.0, 16.0, 64.0)]
    ratios = [made.ratio for made in found if made is not None]
    assert ratios == sorted(ratios, reverse=True)
    pairs = [gain for gain in gains() if gain.method == method and gain.concurrency is not None]
    held = 0
    for gain in pairs:
        made = speed_up(method, gain.concurrency or 1.0)
        assert made is not None
        held += made.low <= gain.ratio <= made.high
    assert 0.72 <= held / len(pairs) <= 0.9


def test_prediction_layers_give_half_again_at_sixteen_in_flight() -> None:
    """InferenceX at 16 requests in flight: median 1.56 (vLLM), 1.45 (SGLang), 1.66 (TensorRT-LLM)."""
    made = speed_up("mtp", 16.0)
    assert made is not None
    assert made.ratio == pytest.approx(1.55, abs=0.1)


def test_a_method_published_for_few_models_has_no_curve() -> None:
    assert speed_up("ngram", 8.0) is None
