"""The streaming client against a server of known pace and of every bad manner."""

from __future__ import annotations

import pytest

from estimators.measuring.server.connection import ServerFailure, Timeouts
from estimators.measuring.server.endpoint import Client, Reply
from estimators.measuring.server.guard import Endpoint, EndpointPolicy, check_endpoint
from tests.servers.openai import openai_server

QUICK = Timeouts(connect_s=1.0, idle_s=0.4, total_s=1.5)


def endpoint(url: str) -> Endpoint:
    return check_endpoint(url, EndpointPolicy(hosts=frozenset({"127.0.0.1"}), private=True))


def test_times_of_one_answer_follow_the_servers_pace() -> None:
    with openai_server(ttft_s=0.05, itl_s=0.01) as (url, _):
        reading = Client(endpoint(url)).complete("toy", "1 hello", 8)
    assert reading.output_tokens == 8
    assert reading.prompt_tokens == 2 + 11
    assert reading.ttft_s >= 0.05
    assert reading.itl_s is not None
    assert reading.itl_s >= 0.01
    assert reading.e2e_s == pytest.approx(reading.ttft_s + 7 * reading.itl_s)


def test_tokens_come_from_usage_when_a_piece_holds_several() -> None:
    with openai_server(tokens_per_piece=4, itl_s=0.01) as (url, _):
        reading = Client(endpoint(url)).complete("toy", "1 hello", 12)
    assert (len(reading.pieces), reading.output_tokens, reading.counted_by_server) == (3, 12, True)


def test_pieces_stand_for_tokens_when_the_server_counts_none() -> None:
    with openai_server(usage=False) as (url, _):
        reading = Client(endpoint(url)).complete("toy", "1 hello", 5)
    assert (reading.output_tokens, reading.counted_by_server, reading.prompt_tokens) == (5, False, None)


def test_inter_token_latency_excludes_the_first_token() -> None:
    reading = Reply(
        sent=10.0, first=10.5, last=11.4, pieces=(10.5, 11.4), prompt_tokens=3, output_tokens=10, counted_by_server=True
    )
    assert reading.itl_s == pytest.approx(0.1)  # 0.9 s / 9 gaps, where (last - sent) / n would say 0.14
    assert reading.ttft_s == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ("silent", "sent nothing for 0.4 s"),
        ("hangs mid-stream", "sent nothing for 0.4 s"),
        ("drips", "did not finish within 1.5 s"),
        ("closes early", "closed the stream before"),
        ("html", "no event stream"),
        ("not json", "no JSON"),
        ("error event", "CUDA out of memory"),
        ("million tokens", "claims 1,000,000 tokens; 8 were asked for"),
        ("endless", "goes on beyond the 8 tokens"),
        ("long line", "streams without end"),
        ("no text", "streamed no text"),
        ("redirect", "redirects elsewhere, which is refused"),
        ("refuses", "answered 503"),
    ],
)
def test_bad_manners_end_in_a_sentence(behaviour: str, sentence: str) -> None:
    with (
        openai_server(behaviour=behaviour, ttft_s=0.0, itl_s=0.001) as (url, _),
        pytest.raises(ServerFailure, match=sentence),
    ):
        Client(endpoint(url), limits=QUICK).complete("toy", "1 hello", 8)


def test_a_servers_words_are_cleaned_before_they_are_shown() -> None:
    with openai_server(behaviour="refuses") as (url, _), pytest.raises(ServerFailure) as failure:
        Client(endpoint(url)).complete("toy", "1 hello", 8)
    assert str(failure.value).isprintable()


def test_a_closed_port_ends_in_a_sentence() -> None:
    with openai_server() as (url, _):
        gone = endpoint(url)
    with pytest.raises(ServerFailure, match="connection broke"):
        Client(gone, limits=QUICK).complete("toy", "1 hello", 8)


def test_a_server_that_knows_no_ignore_eos_is_asked_without() -> None:
    with openai_server(refuses_ignore_eos=True) as (url, _):
        client = Client(endpoint(url))
        assert client.complete("toy", "1 hello", 3).output_tokens == 3
        assert client.ignores_eos is False


def test_the_key_is_sent_and_shown_nowhere() -> None:
    with openai_server() as (url, manners):
        client = Client(endpoint(url), api_key="sk-very-secret")
        client.complete("toy", "1 hello", 2)
        manners.behaviour = "refuses"
        with pytest.raises(ServerFailure) as failure:
            client.complete("toy", "1 hello", 2)
    assert manners.keys[0] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in str(failure.value) + repr(client) + repr(failure.value)


def test_stopping_ends_an_answer_under_way() -> None:
    import threading

    with openai_server(behaviour="silent") as (url, _):
        client = Client(endpoint(url))
        threading.Timer(0.2, client.stop).start()
        with pytest.raises(ServerFailure):
            client.complete("toy", "1 hello", 8)
        with pytest.raises(ServerFailure, match="stopped"):
            client.complete("toy", "1 hello", 8)


def test_what_a_vllm_server_says_of_itself() -> None:
    with openai_server() as (url, _):
        client = Client(endpoint(url))
        assert client.models() == ("toy",)
        assert client.version() == "0.33.0"
        assert "vllm:kv_cache_usage_perc" in client.metrics()
    with openai_server(vllm=False) as (url, _):
        assert Client(endpoint(url)).version() == ""
