"""Repeating until the spread is known, and what the runs come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from estimators.measuring.device.assembly import Depth, assemble
from estimators.measuring.device.timing import Run, at_full_depth, relative_error, repeat
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.measuring.measurement import DeviceFacts
from estimators.precision import Weights


class Clock:
    """A clock that a run advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def run(self, seconds: Iterator[float]) -> Callable[[], Run]:
        def once() -> Run:
            step = next(seconds)
            self.now += step
            return Run(prefill_s=step, step_s=step)

        return once


def steps(*values: float) -> Iterator[float]:
    yield from values


def silent(done: int, expected: int, left: float | None) -> None:
    pass


def test_relative_error_of_three_readings() -> None:
    assert relative_error([1.0, 2.0, 3.0]) == pytest.approx(1.0 / (2.0 * 3**0.5))


def test_steady_runs_end_after_two_warm_ups_and_five() -> None:
    clock = Clock()
    kept = repeat(clock.run(steps(9, 5, *[1.0] * 20)), clock, 1000, silent)
    assert [run.step_s for run in kept] == [1.0] * 5  # neither 9 nor 5: the first calls are slower


def test_restless_runs_go_on_to_fifteen() -> None:
    clock = Clock()
    kept = repeat(clock.run(steps(1, 1, *[0.5, 1.0] * 10)), clock, 1000, silent)
    assert len(kept) == 15


def test_what_twenty_seconds_do_not_settle_is_left_unsettled() -> None:
    """Two warm-ups of 1 s, then 2 and 4 s in turn: 16 s after five, 20 s after six, 22 s after seven."""
    clock = Clock()
    kept = repeat(clock.run(steps(1, 1, *[2.0, 4.0] * 10)), clock, 1000, silent)
    assert len(kept) == 7


def test_a_slow_case_gives_one_run_rather_than_none() -> None:
    clock = Clock()
    assert len(repeat(clock.run(steps(*[70.0] * 20)), clock, 100, silent)) == 1


def test_time_left_is_told() -> None:
    clock, told = Clock(), []
    repeat(clock.run(steps(*[2.0] * 20)), clock, 1000, lambda *step: told.append(step))
    assert told[0] == (1, 7, 12.0)  # six runs of 2 s to go


def test_depth_is_scaled_in_a_straight_line() -> None:
    assert at_full_depth(10.0, 14.0, 2, 4, 80) == pytest.approx(166.0)
    assert at_full_depth(10.0, 9.0, 2, 4, 80) == 9.0  # noise never makes layers cost less than nothing


def job(**changes: object) -> DeviceJob:
    plain = {
        "model": "toy",
        "config": {},
        "weights": Weights.BF16,
        "prompt_tokens": 128,
        "output_tokens": 11,
        "batch": 2,
    }
    return DeviceJob(**(plain | changes))  # type: ignore[arg-type]


FACTS = DeviceFacts(name="EPYC", kind="cpu", threads=1)


def depth(layers: int | None, prefill: float, step: float, peak: int) -> Depth:
    runs = tuple(Run(prefill_s=prefill, step_s=step) for _ in range(5))
    return Depth(layers=layers, runs=runs, peak_bytes=peak, real_weights=False)


def test_a_whole_request_is_its_prefill_and_ten_steps() -> None:
    made = assemble(job(), FACTS, ("5.23.0", "2.13.0"), 8, [depth(None, 0.5, 0.05, 1000)])
    assert made.e2e_s is not None
    assert made.output_tok_per_s is not None
    assert made.e2e_s.median == pytest.approx(0.5 + 10 * 0.05)
    assert made.output_tok_per_s.median == pytest.approx(2 * 11 / 1.0)
    assert (made.layers_measured, made.scaled, made.peak_memory_bytes) == (8, False, 1000)


def test_a_shallow_run_is_scaled_and_says_so() -> None:
    deep, shallow = depth(4, 0.30, 0.014, 400), depth(2, 0.20, 0.010, 300)
    made = assemble(job(), FACTS, ("5.23.0", "2.13.0"), 80, [deep, shallow])
    assert made.itl_s is not None
    assert made.itl_s.median == pytest.approx(0.014 + 76 * 0.002)
    assert made.ttft_s is not None
    assert made.ttft_s.median == pytest.approx(0.30 + 76 * 0.05)
    assert made.peak_memory_bytes == 400 + 76 * 50
    assert made.scaled
    assert any("2 and 4 of 80 layers" in note for note in made.notes)


def test_random_weights_never_claim_a_speed_up() -> None:
    runs = tuple(Run(prefill_s=0.1, step_s=0.01, extra_s=(0.002, 0.012)) for _ in range(5))
    made = assemble(
        job(draft="toy-draft"),
        FACTS,
        ("5", "2"),
        8,
        [Depth(layers=None, runs=runs, peak_bytes=None, real_weights=False)],
    )
    assert made.draft_step_s is not None
    assert made.verify_step_s is not None
    assert (made.draft_step_s.median, made.verify_step_s.median) == (0.002, 0.012)
    assert made.itl_s is not None
    assert made.itl_s.median == pytest.approx(0.01)
    assert any("acceptance" in note for note in made.notes)
