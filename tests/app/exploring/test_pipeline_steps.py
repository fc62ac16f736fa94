"""Steps of a task as people write them, and the order they run in."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exploring.pipeline_steps import EXAMPLES, MOST_STEPS, critical_path, parse_steps
from estimators.provenance import Refusal
from estimators.quality.tasks import Task


def test_a_line_is_a_step_and_waits_for_the_one_above() -> None:
    first, second = parse_steps("extract, any, 5 at once, 2048, 256, 0.25\nsynthesis, Llama 3.1 70B, 1, 4096, 512")
    assert (first.name, first.model, first.calls, first.at_once) == ("extract", "any", 5, True)
    assert (first.prompt, first.output, first.cached, first.after) == (2048, 256, 0.25, ())
    assert second.after == ("extract",)
    assert second.cached == 0
    assert (first.in_a_row, second.in_a_row) == (1, 1)


def test_the_name_says_what_it_is_good_at() -> None:
    steps = parse_steps("routing, 1B, 1, 9, 1; retrieval, 8B, 1, 9, 1; other, 8B, 1, 9, 1; reasoning, 8B, 1, 9, 1")
    assert [step.task for step in steps] == [
        Task.INSTRUCTION_FOLLOWING, Task.INSTRUCTION_FOLLOWING, Task.INSTRUCTION_FOLLOWING, Task.REASONING,
    ]  # fmt: skip


def test_the_longest_chain_is_what_a_task_waits_for() -> None:
    """a of 1 s, b of 2 s beside c of 5 s, d of 1 s after both: a, c, d."""
    steps = parse_steps("a, 8B, 1, 9, 1; b, 8B, 1, 9, 1; c, 8B, 1, 9, 1, 0, a; d, 8B, 1, 9, 1, 0, b+c")
    assert critical_path(steps, {"a": 1, "b": 2, "c": 5, "d": 1}) == (7, ("a", "c", "d"))


def test_a_step_may_start_with_the_task() -> None:
    steps = parse_steps("a, 8B, 1, 9, 1; b, 8B, 1, 9, 1, 0, -")
    assert critical_path(steps, {"a": 1, "b": 3}) == (3, ("b",))


@pytest.mark.parametrize("text", EXAMPLES.values())
def test_examples_can_be_read(text: str) -> None:
    assert parse_steps(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There are no steps"),
        ("a, 8B, 1, 9", "Line 1: '' is no number of tokens out"),
        ("a, 8B, none, 9, 1", "Line 1: 'none' is no number of calls"),
        ("a, 8B, 0, 9, 1", "from above 0 to 1,000 calls"),
        ("a, 8B, 1, 9, 1, 1.5", "'1.5' is no cached share below 1"),
        ("a, <b>, 1, 9, 1", "is no model"),
        ("a, 8B, 1, 9, 1; a, 8B, 1, 9, 1", "Two steps are called a"),
        ("a, 8B, 1, 9, 1, 0, b", "waits for 'b', which is no step"),
        ("a, 8B, 1, 9, 1, 0, b; b, 8B, 1, 9, 1, 0, a", "in a circle"),
        ("a, 8B, 1, 9, 1, 0, a", "in a circle"),
        ("a, 8B, 1, 9, 1, 0, -, x", "has 8 parts"),
        (";".join(f"s{chr(97 + n)}, 8B, 1, 9, 1" for n in range(MOST_STEPS + 1)), "13 steps are too many"),
    ],
)
def test_what_is_no_pipeline_is_refused_with_the_line(text: str, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_steps(text)
    assert said in str(refusal.value)
    assert refusal.value.field == "pipe_steps"


@given(st.text(max_size=200))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Refusal):  # and nothing else
        assert parse_steps(text)
