"""A server answers the same whatever it was asked before; how its load swings."""

import math
from dataclasses import replace
from unittest.mock import patch

import pytest

from estimators.hardware.catalogue import find_accelerator
from estimators.latency.numeric import FLOATS
from estimators.latency.plan import resolve
from estimators.latency.serving import Server
from estimators.memory import estimate_memory
from estimators.workload import EngineSettings
from tests.latency_cases import LLAMA, ONE_GPU, precision_of, workload


def server(**told: float) -> Server:
    precision, chip, load = precision_of(LLAMA), find_accelerator("H100"), workload(1024, 128)
    memory = estimate_memory(precision, chip, ONE_GPU, load, EngineSettings())
    plan = resolve(precision, chip, ONE_GPU, load, EngineSettings(), memory)
    scheduler = replace(plan.scheduler, poll=told.get("poll", 1.0))
    return Server(plan.shard, plan.server.rates, scheduler, replace(plan.request, alike=told.get("alike", 0.0)), FLOATS)


def test_a_server_is_not_changed_by_what_it_is_asked() -> None:
    asked = server()
    before = (asked.closed(256.0), asked.batch(64.0), asked.maximum())
    poisson = asked.arrivals(4.0)
    assert (asked.closed(256.0), asked.batch(64.0), asked.maximum()) == before
    assert asked.arrivals(4.0) == poisson == server().arrivals(4.0)


def test_the_rate_of_a_closed_load_obeys_littles_law_and_is_found_in_a_few_steps() -> None:
    """X R = N, to 1e-5, whether they all run at once or not; each step is a look at one rate."""
    asked = server()
    for population in (1.0, *range(2, 300, 3), 5000.0):
        with patch.object(Server, "_at_rate", autospec=True, side_effect=Server._at_rate) as looked:
            state = asked.closed(float(population))
        assert state.requests_per_s * state.e2e == pytest.approx(population, rel=1.5e-5)
        assert looked.call_count <= 9


def test_a_token_swings_with_the_number_running_by_as_much_as_it_hangs_on_it() -> None:
    """20 running and a token that takes n^0.1: 0.1 / sqrt(20 x 0.9) x sqrt(0.757) = 2.05 %.

    Where nothing hangs on the number, nothing swings.
    """
    asked = server()
    for power, swing in ((0.1, 0.02050), (0.0, 0.0)):
        with patch.object(Server, "_interference", lambda self, rate, others, n, b, p=power: (0, 0, 0.01 * n**p)):
            assert asked._swing(1.0, 20.0, 0.01 * 20.0**power) == pytest.approx(swing, abs=1e-5)


def test_requests_of_one_length_meet_each_other_however_little_prompts_take() -> None:
    """Eight that end together come together: each waits for 0.8 ln 8 = 1.7 prompts, beside the wave of the start."""
    alone, among = server(alike=1.0).closed(1.0), server(alike=1.0).closed(8.0)
    assert alone == server().closed(1.0)
    assert among.busy < 0.25
    service = among.mixed_step * 1024 / among.chunk
    assert (among.queue - among.ramp) / service == pytest.approx(server().rates.training * math.log(8.0), rel=1e-6)
    assert among.queue > 2.0 * server().closed(8.0).queue


def test_a_prompt_that_waits_for_others_to_join_comes_as_many_steps_later() -> None:
    """`poll` 41: twenty decode steps later than where each step looks at the queue, while others run."""
    at_once, later = server().closed(4.0), server(poll=41.0).closed(4.0)
    assert later.ttft - at_once.ttft == pytest.approx(20.0 * later.decode_step, rel=0.1)


def test_where_the_load_jumps_past_what_was_asked_for_the_rest_waits() -> None:
    """Two prompts of 200,000 tokens over four stages: no rate has two requests under way, since a prompt that shares
    its steps takes longer at once. As many are counted as there are."""
    base = server()
    scheduler = replace(base.scheduler, chunk=2_048.0, mixes=0.0)
    request = replace(base.request, prompt=200_000.0, output=1_024.0, accepted=2.2)
    jumping = Server(replace(base.shard, stages=4.0), base.rates, scheduler, request, FLOATS)
    for population in (2.0, 3.0, 5.0, 9.0):
        state = jumping.closed(population)
        assert state.requests_per_s * state.e2e == pytest.approx(population, rel=1e-2)


def test_a_run_that_ends_soon_keeps_less_of_the_steady_rate() -> None:
    """N requests all queued at once, R of them running: as long as N + ending x R of them at the steady rate."""
    asked = server()
    filling, ending, running = asked.rates.filling, asked.rates.ending, asked.scheduler.running
    steady = asked.full().requests_per_s
    assert asked.maximum().requests_per_s == pytest.approx(filling * steady, rel=1e-4)
    for waves in (1.0, 4.0, 40.0):
        found = asked.maximum(requests=waves * running)
        assert found.requests_per_s == pytest.approx(filling * steady * waves / (waves + ending), rel=1e-6)
        assert found.requests_per_s * found.e2e == pytest.approx(running, rel=1e-3)


def test_where_prompts_fill_every_step_no_more_decode_than_came_in_them() -> None:
    """700 prompts of 8,000 for 16 tokens each: a step of 8,192 brings one prompt, which stays for 15 steps.

    So some 15 decode while the others wait, and prompts never pause. As if all 700 decoded in every step, a step would
    take far longer.
    """
    base = server()
    request = replace(base.request, prompt=8000.0, output=16.0)
    scheduler = replace(base.scheduler, chunk=8192.0, running=700.0)
    asked = Server(base.shard, base.rates, scheduler, request, FLOATS)
    state = asked.closed(700.0)
    step = asked.mixed(15.0 * 8192 / 8000, 8192.0)
    assert state.requests_per_s == pytest.approx(0.97 / (step * 8000 / 8192), rel=1e-3)
    assert state.busy > 0.9
    assert state.running < 20.0
    assert asked.mixed(700.0, 8192.0) > 1.5 * step
