"""What servers tell of themselves on /metrics."""

from __future__ import annotations

import pytest

from estimators.measuring.server.exposition import kv_usage_share, own_words

VLLM = """# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{le="0.1",model_name="m"}} {of}.0
vllm:time_to_first_token_seconds_sum{{engine="0"}} {first}
vllm:time_to_first_token_seconds_count{{engine="0"}} {of}
vllm:inter_token_latency_seconds_sum{{engine="0"}} {token}
vllm:inter_token_latency_seconds_count{{engine="0"}} {tokens}
vllm:inter_token_latency_seconds_sum{{engine="1"}} {token}
vllm:inter_token_latency_seconds_count{{engine="1"}} {tokens}
"""


def test_the_servers_own_means_are_those_of_the_time_between_two_looks() -> None:
    """(3.0 - 1.0) s over 20 first tokens; 2 x (7.0 - 1.0) s over 2 x 150 tokens, of two engines."""
    before = VLLM.format(first=1.0, of=10, token=1.0, tokens=50)
    after = VLLM.format(first=3.0, of=30, token=7.0, tokens=200)
    said = "By its own /metrics the server took 100 ms to the first token and 40 ms a token on average."
    assert own_words(before, after) == said
    assert own_words(after, after) == ""


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_releases_that_call_it_time_per_output_token(engine: str) -> None:
    name = f"{engine}:time_per_output_token_seconds"
    said = own_words("", f"{name}_sum 0.5\n{name}_count 100\n")
    assert said == "By its own /metrics the server took 5 ms a token on average."


def test_llama_cpp_counts_the_tokens_it_predicts() -> None:
    said = own_words(
        "llamacpp:tokens_predicted_total 100\nllamacpp:tokens_predicted_seconds_total 1\n",
        "llamacpp:tokens_predicted_total 300\nllamacpp:tokens_predicted_seconds_total 3.5\n",
    )
    assert said == "By its own /metrics the server took 12.5 ms a token on average."


@pytest.mark.parametrize("page", ["", "<html>", "vllm:time_to_first_token_seconds_sum NaN\n", "a b\nc {} d\n"])
def test_a_page_of_something_else_says_nothing(page: str) -> None:
    assert own_words(page, page) == ""
    assert own_words("", page) == ""
    assert kv_usage_share(page) is None


def test_the_cache_is_as_full_as_the_fullest_engine_says() -> None:
    assert kv_usage_share('vllm:kv_cache_usage_perc{engine="0"} 0.2\nvllm:kv_cache_usage_perc{engine="1"} 0.7\n') == 0.7
    assert kv_usage_share('sglang:token_usage{model_name="m"} 0.28\n') == 0.28
    assert kv_usage_share("vllm:kv_cache_usage_perc 1.7\n") is None
