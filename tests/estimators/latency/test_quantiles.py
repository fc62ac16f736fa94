"""95th percentiles: each constant by a case in which it alone decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimators.latency.numeric import FLOATS
from estimators.latency.quantiles import alone, among_others, p95
from estimators.latency.serving import Request, Steady
from estimators.workload import Load, Workload

# A first token in 0.3 s, then 100 steps of 40 ms: 4.3 s. Nothing waits, no step carries a prompt, a step takes no time.
STILL = Steady(
    ttft=0.3, tpot=0.04, e2e=4.3, requests_per_s=1.0, running=4.0, decode_step=0.0, mixed_step=0.0, mixed_share=0.0,
    queue=0.0, waiting=0.0, own=0.3, chunk=1024.0, ramp=0.0,
)  # fmt: skip
REQUEST = Request(prompt=1024.0, cached=0.0, output=101.0)


def late(
    state: Steady, load: Load = Load.CONCURRENCY, *, saturated: bool = False, request: Request = REQUEST
) -> tuple[float, float, float]:
    ttft, tpot, e2e = among_others(state, request, load, saturated, FLOATS)
    return float(ttft), float(tpot), float(e2e)


def test_alone_nothing_varies_but_the_machine_by_two_percent() -> None:
    assert alone(STILL) == pytest.approx((0.306, 0.0408, 4.386))


def test_under_poisson_arrivals_those_that_meet_a_prompt_wait_and_the_others_do_not() -> None:
    """A fifth of the time busy, 2 ms of mean wait: the 95th of a hundred waits as the 75th of those that meet one,
    10 ms x (0.8 x 2 x 0.75 + 0.2 x 1.386) = 14.77 ms, on 1.02 x (0.3 - 0.002) of its own."""
    assert late(replace(STILL, queue=0.002, busy=0.2), Load.RATE)[0] == pytest.approx(0.30396 + 0.01477, abs=1e-5)


def test_a_server_busy_less_than_one_time_in_twenty_keeps_no_twentieth_waiting() -> None:
    """Then the step under way, caught at its start: 0.45 of 40 ms."""
    idle = replace(STILL, queue=0.002, busy=0.04, decode_step=0.04)
    assert late(idle, Load.RATE)[0] == pytest.approx(0.30396 + 0.018)


def test_a_server_that_is_always_busy_has_an_exponential_wait() -> None:
    """-ln 0.05 = 3.00 times its mean."""
    assert late(replace(STILL, queue=0.1, busy=1.0), Load.RATE)[0] == pytest.approx(0.204 + 0.29957, abs=1e-5)


def test_the_99th_percentile_is_further_out() -> None:
    """A tenth of the waits at 90 % of the time busy: -ln 0.1 against -ln 0.01 where all wait."""
    busy = replace(STILL, queue=0.1, busy=1.0)
    at = [float(among_others(busy, REQUEST, Load.RATE, False, FLOATS, level)[0]) for level in (0.5, 0.9, 0.99)]
    assert at == pytest.approx([0.2 + 0.06931, 0.20312 + 0.23026, 0.20566 + 0.46052], abs=1e-5)


def test_in_a_closed_population_the_wait_for_prompts_doubles() -> None:
    assert late(replace(STILL, queue=0.1))[0] == pytest.approx(0.4)


def test_the_step_under_way_is_caught_near_its_start_rather_than_half_way() -> None:
    assert late(replace(STILL, decode_step=0.04))[0] == pytest.approx(0.3 + 0.45 * 0.04)


def test_where_hardly_anything_runs_there_is_hardly_a_step_to_catch() -> None:
    """One in a hundred arrivals meets a step of 40 ms: a hundredth of 0.45 of it."""
    lone = replace(STILL, running=0.01, decode_step=0.04)
    assert late(lone, Load.RATE)[0] == pytest.approx(0.306 + 0.00018)


def test_drafted_tokens_make_fewer_steps_to_be_struck_in() -> None:
    """Four tokens a step: a quarter of 25 steps, 6.25 give or take 2.5, for 100 tokens: half the deviation."""
    struck = replace(STILL, mixed_share=0.25, mixed_step=0.09, decode_step=0.03)
    assert late(struck)[1] == pytest.approx(0.04 + 1.64485 * 5 * 0.06 / 100, abs=1e-6)
    drafts = replace(REQUEST, accepted=4.0)
    assert late(struck, request=drafts)[1] == pytest.approx(0.04 + 1.64485 * 2.5 * 0.06 / 100, abs=1e-6)


@pytest.mark.parametrize("load", [Load.CONCURRENCY, Load.RATE])
def test_a_higher_level_is_never_sooner(load: Load) -> None:
    """At half of all a closed population's queue is shorter than its mean, which makes no request later."""
    busy = replace(
        STILL, queue=0.2, busy=0.4, decode_step=0.04, mixed_share=0.2, mixed_step=0.06, waiting=0.1, swing=0.02
    )
    levels = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    found = [[float(time) for time in among_others(busy, REQUEST, load, False, FLOATS, level)] for level in levels]
    for times in zip(*found, strict=True):
        assert list(times) == sorted(times)


def test_half_the_wait_for_a_place_comes_on_top_unless_all_wait() -> None:
    waits = replace(STILL, waiting=0.2)
    assert late(waits)[0] == pytest.approx(0.3 + 0.1)
    assert late(waits, saturated=True)[0] == pytest.approx(0.3)


def test_steps_that_carry_a_prompt_strike_at_random() -> None:
    """A quarter of 100 steps do, 25 give or take 5, and each costs 20 ms more: 1.645 x 5 x 20 ms / 100 = 1.645 ms."""
    struck = replace(STILL, mixed_share=0.25, mixed_step=0.05, decode_step=0.03)
    assert late(struck)[1] == pytest.approx(0.04 + 0.001645, abs=1e-6)


def test_where_prompts_have_steps_of_their_own_a_request_stands_still_for_all_of_each() -> None:
    """A fifth of steps: 25 in 100 tokens, give or take 5, each for 50 ms: 1.645 x 5 x 50 ms / 100 = 4.11 ms."""
    struck = replace(STILL, mixed_share=0.2, mixed_step=0.05, decode_step=0.03, mixes=0.0)
    assert late(struck)[1] == pytest.approx(0.04 + 0.0041121, abs=1e-6)


def test_many_others_slow_a_request_by_themselves_and_with_their_prompts() -> None:
    """3 % of 40 ms alone: 1.2 ms. With prompts' 1 ms, at a correlation of 0.61: sqrt(1.44 + 1 + 1.464) = 1.976 ms."""
    met = replace(STILL, swing=0.03)
    assert late(met, Load.RATE)[1] == pytest.approx(0.04 + 1.64485 * 0.0012)
    struck = replace(met, mixed_share=0.25, mixed_step=0.05, decode_step=0.03)
    assert late(struck, Load.RATE)[1] == pytest.approx(0.04 + 1.64485 * 0.0019759, abs=1e-6)


def test_a_step_with_a_prompt_that_is_no_slower_costs_nothing_and_two_percent_remain() -> None:
    assert late(replace(STILL, mixed_share=0.25, mixed_step=0.03, decode_step=0.05))[1] == pytest.approx(0.0408)


def test_the_whole_request_is_late_by_both_delays_at_right_angles() -> None:
    """The first token by 0.3 s, 100 tokens of 0.2 s by 2 %, 0.4 s: together 0.5 s on 20.5 s."""
    slow = replace(STILL, tpot=0.2, e2e=20.5, queue=0.3)
    assert late(slow)[2] == pytest.approx(21.0)


def test_the_whole_request_varies_by_two_percent_at_least() -> None:
    """One token of output: no step follows the first, so that 1 step is counted and nothing of it varies."""
    one = replace(REQUEST, output=1.0)
    assert late(replace(STILL, tpot=0.0, e2e=0.3), request=one) == pytest.approx((0.3, 0.0, 0.306))


@pytest.mark.parametrize(
    ("load", "concurrency", "expected"),
    [
        (Load.BATCH, 8, (0.3, 0.04, 4.3)),  # all start together: the mean is everybody's
        (Load.CONCURRENCY, 1, (0.306, 0.0408, 4.386)),
        (Load.CONCURRENCY, 2, (0.4, 0.0408, 4.428062)),  # 4.3 + hypot(0.1, 100 x 0.0008)
        (Load.RATE, None, (0.503573, 0.0408, 4.518728)),  # 4.3 + hypot(0.203573, 0.08)
    ],
)
def test_which_of_them_a_load_takes(load: Load, concurrency: int | None, expected: tuple[float, float, float]) -> None:
    workload = Workload(
        prompt_tokens=1024,
        output_tokens=101,
        load=load,
        concurrency=concurrency,
        requests_per_second=1.0 if load is Load.RATE else None,
    )
    assert p95(replace(STILL, queue=0.1, busy=1.0), REQUEST, workload, False) == pytest.approx(expected, rel=1e-6)
