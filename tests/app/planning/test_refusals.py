"""Sentences of what has no answer: they name the limit that stands in the way, and a way out that works."""

from __future__ import annotations

import pytest

from app.exploring.question_link import decode_question
from app.planning.planner import plan
from app.scenario import Scenario, decode
from app.sources import shared_sources

SMALL = "meta-llama/Llama-3.1-8B-Instruct"


def refusal(**fields: object) -> str:
    return str(plan(Scenario(**{"model": SMALL, **fields}), shared_sources()).refusal)  # type: ignore[arg-type]


def test_heads_that_never_divide_are_named_before_the_size_of_the_machine() -> None:
    """32 query heads over 3 GPUs: a larger instance would not help, other numbers do."""
    assert refusal(gpu="L4", gpus=3).startswith("32 query heads do not divide over 3 GPUs.")
    assert "runs on 1, 2, 4" in refusal(gpu="L4", gpus=3)


@pytest.mark.parametrize(
    ("asked", "way_out"),
    [
        ({"instance": "g6.xlarge", "gpus": 4}, "Name a larger instance"),
        ({"gpu": "L4", "gpus": 16}, "none that carries it has so many"),
    ],
)
def test_the_way_out_exists(asked: dict[str, object], way_out: str) -> None:
    assert way_out in refusal(**asked)


def test_more_stages_than_any_machine_has_accelerators_are_no_matter_of_price() -> None:
    said = refusal(pp=256)
    assert "pp=256 needs" in said
    assert "offered" not in said


def test_a_length_is_refused_where_it_is_read() -> None:
    """2^24 tokens is the longest that is searched."""
    assert decode({"prompt": "16777216"}).problems == ()
    (problem,) = decode({"prompt": "100000000"}).problems
    assert problem.message == "prompt=100000000 needs a whole number from 1 to 16,777,216"


def test_hardware_that_cannot_be_read_is_quoted_once() -> None:
    _, problems = decode_question({"owned": "-3 x Foo"}, models=(), regions=(), vendors=())
    assert [problem.message for problem in problems] == ["owned=-3 x Foo names no hardware"]
