"""A running server measured end to end over loopback."""

from __future__ import annotations

import pytest

from estimators.measuring.measurement import Way
from estimators.measuring.server.connection import Timeouts
from estimators.measuring.server.endpoint import Client, Reply
from estimators.measuring.server.guard import EndpointPolicy, check_endpoint
from estimators.measuring.server.sweep import EndpointUnusable, SweepPlan, sweep, throughput
from estimators.precision import Weights
from estimators.workload import Engine
from tests.servers.openai import openai_server

QUICK = Timeouts(connect_s=1.0, idle_s=0.4, total_s=3.0)


def client(url: str) -> Client:
    return Client(check_endpoint(url, EndpointPolicy(hosts=frozenset({"127.0.0.1"}), private=True)), limits=QUICK)


def quiet(share: float, message: str) -> None:
    pass


def test_a_sweep_makes_one_measurement_per_concurrency() -> None:
    told: list[tuple[float, str]] = []
    with openai_server(ttft_s=0.02, itl_s=0.005, kv_usage=0.4) as (url, manners):
        plan = SweepPlan(
            prompt_tokens=128, output_tokens=8, concurrencies=(1, 4), requests_per_stream=3, weights=Weights.BF16
        )
        one, four = sweep(client(url), plan, url, lambda *step: told.append(step))
    assert [m.batch for m in (one, four)] == [1, 4]
    assert (one.way, one.engine, one.engine_version, one.model) == (Way.ENDPOINT, Engine.VLLM, "0.33.0", "toy")
    assert one.prompt_tokens == 128  # words were fitted to the server's count: 117 + 11
    assert one.ttft_s is not None
    assert one.ttft_s.median >= 0.02
    assert one.itl_s is not None
    assert one.itl_s.median >= 0.005
    assert one.output_tok_per_s is not None
    assert four.output_tok_per_s is not None
    assert one.output_tok_per_s.median <= 8 / (0.02 + 7 * 0.005)  # 145 tokens/s is all this pace allows
    assert four.output_tok_per_s.median > 1.5 * one.output_tok_per_s.median
    assert manners.most_concurrent == 4
    assert [any("one length" in note for note in found.notes) for found in (one, four)] == [False, True]
    assert one.kv_usage_share == pytest.approx(0.4)
    assert told[-1] == (1.0, "done")


@pytest.mark.parametrize(
    ("listed", "said"), [("", "lists no model; name one"), ("toy other", "several models; name one of toy, other")]
)
def test_a_server_that_lists_none_or_several_asks_for_a_name(listed: str, said: str) -> None:
    with openai_server(model=listed) as (url, _), pytest.raises(EndpointUnusable, match=said):
        sweep(client(url), SweepPlan(prompt_tokens=32, output_tokens=4, concurrencies=(1,)), url, quiet)


def test_no_two_prompts_begin_alike() -> None:
    with openai_server(ttft_s=0, itl_s=0) as (url, manners):
        plan = SweepPlan(prompt_tokens=40, output_tokens=2, concurrencies=(1, 2), requests_per_stream=3)
        sweep(client(url), plan, url, quiet)
    openings = [prompt.split()[0] for prompt in manners.prompts]
    assert len(openings) == len(set(openings)) == 3 + 3 + 6


def test_throughput_counts_tokens_while_every_stream_was_busy() -> None:
    def answered(sent: float, *pieces: float) -> Reply:
        return Reply(
            sent=sent, first=pieces[0], last=pieces[-1], pieces=pieces, prompt_tokens=1,
            output_tokens=len(pieces), counted_by_server=True,
        )  # fmt: skip

    readings = [answered(0.0, 1.0, 2.0, 3.0, 4.0), answered(0.0, 2.0, 4.0, 6.0, 8.0)]
    assert throughput(readings, until=4.0) == pytest.approx(6 / 4.0)  # 4 tokens of the first, 2 of the second


def test_a_server_without_usage_is_measured_and_the_measurement_says_so() -> None:
    with openai_server(ttft_s=0, usage=False, vllm=False) as (url, _):
        plan = SweepPlan(prompt_tokens=16, output_tokens=3, concurrencies=(1,), requests_per_stream=2)
        (found,) = sweep(client(url), plan, url, quiet)
    assert found.output_tokens == 3
    assert found.kv_usage_share is None
    assert any("no usage" in note for note in found.notes)


@pytest.mark.parametrize(
    "behaviour", ["hangs mid-stream", "html", "closes early", "million tokens", "redirect", "refuses"]
)
def test_a_server_that_answers_nothing_usable_is_said_to(behaviour: str) -> None:
    with openai_server(behaviour=behaviour, ttft_s=0, itl_s=0) as (url, _):
        plan = SweepPlan(prompt_tokens=16, output_tokens=8, concurrencies=(1,))
        with pytest.raises(EndpointUnusable) as refusal:
            sweep(client(url), plan, url, quiet)
    assert refusal.value.field == "endpoint"


def test_failures_halfway_keep_what_was_measured() -> None:
    with openai_server(ttft_s=0, itl_s=0) as (url, manners):

        def fail_later(share: float, message: str) -> None:
            manners.behaviour = "refuses" if message.startswith("4 ") else "good"

        plan = SweepPlan(prompt_tokens=16, output_tokens=4, concurrencies=(1, 4), requests_per_stream=2)
        made = sweep(client(url), plan, url, fail_later)
    assert [m.batch for m in made] == [1]


def test_absurd_sweeps_are_refused_unsent() -> None:
    with openai_server() as (url, manners), pytest.raises(EndpointUnusable, match="requests"):
        sweep(client(url), SweepPlan(prompt_tokens=1, output_tokens=8, concurrencies=(100_000,)), url, quiet)
    assert manners.prompts == []
