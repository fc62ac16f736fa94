"""Lengths out of logs of every usual kind, and of none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from app.exploring import traffic_log
from app.exploring.traffic_log import KEPT, LoggedRequest, read_log
from app.planning.budget import Allowance, OutOfBudget
from estimators.provenance import Refusal

USAGE = {"prompt_tokens": 900, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 512}}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("900,50", LoggedRequest(900, 50)),
        ("900;50", LoggedRequest(900, 50)),
        ("900\t50", LoggedRequest(900, 50)),
        (json.dumps({"usage": USAGE}), LoggedRequest(900, 50, 512)),  # an OpenAI answer
        (
            json.dumps({"custom_id": "a", "response": {"body": {"usage": USAGE}}}),
            LoggedRequest(900, 50, 512),
        ),  # of a batch
        (
            json.dumps({"timestamp": 0, "input_length": 900, "output_length": 50, "hash_ids": [1]}),
            LoggedRequest(900, 50),
        ),
        (json.dumps({"prompt_len": 900, "output_len": 50}), LoggedRequest(900, 50)),
        (json.dumps({"prompt_tokens": 900, "output_tokens": 50}), LoggedRequest(900, 50)),  # a GuideLLM trace
        (json.dumps([{"input_tokens": 900, "output_tokens": 50}]), LoggedRequest(900, 50)),
    ],
)
def test_a_line_of_every_kind(line: str, found: LoggedRequest) -> None:
    assert read_log([line]).exchanges == (found,)


def test_the_header_says_the_columns() -> None:
    log = read_log(["TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16,4808,10", "2023-11-16,3180,8"])
    assert log.exchanges == (LoggedRequest(4808, 10), LoggedRequest(3180, 8))
    assert log.said == "Lengths of 2 requests of the log."


def test_a_detailed_result_of_vllms_own_benchmark() -> None:
    log = read_log([json.dumps({"input_lens": [1000, 2000], "output_lens": [10, 20]})])
    assert log.exchanges == (LoggedRequest(1000, 10), LoggedRequest(2000, 20))


def test_lines_that_failed_are_counted() -> None:
    log = read_log(["prompt,output", "900,50", "900,0", "x,y", "{broken", ""])
    assert (log.requests, log.unread) == (1, 3)
    assert "3 lines without both lengths" in log.said


@pytest.mark.parametrize("lines", [[], ["hello"], ["a,b,c", "1,2"][:1], ["{}"], ['{"usage": null}'], ["-1,5"]])
def test_a_log_without_lengths_is_refused_with_the_formats(lines: list[str]) -> None:
    with pytest.raises(Refusal, match="Give a CSV of two columns") as refusal:
        read_log(lines)
    assert refusal.value.field == "log"


def test_a_million_lines_are_streamed_and_an_even_sample_is_kept() -> None:
    def lines() -> Iterator[str]:
        for number in range(200_000):
            yield f"{number % 1000 + 1},10"

    log = read_log(lines())
    assert len(log.exchanges) == KEPT
    assert log.requests == 200_000
    mean = sum(one.prompt for one in log.exchanges) / KEPT
    assert mean == pytest.approx(500.5, rel=0.02)
    assert log.said.startswith("Lengths of an even sample of 20,000 of 200,000 requests")


def test_something_else_is_given_up_early() -> None:
    def forever() -> Iterator[str]:
        while True:
            yield "INFO nothing of use"

    with pytest.raises(Refusal):
        read_log(forever())


def test_a_line_without_end_and_objects_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refusal):
        read_log(['{"a":' * 5_000])
    assert read_log(["x" * 200_000, '"' + "x" * 200_000, "900,50", "\0,5"]).unread == 3
    monkeypatch.setattr(traffic_log, "LONGEST_LINE", 10)
    with pytest.raises(Refusal, match="longer than 10 characters"):
        read_log(["1" * 11])


def test_a_log_without_end_is_stopped_where_its_reader_has_a_budget() -> None:
    ticks = count()
    with pytest.raises(OutOfBudget), Allowance(5.0, lambda: float(next(ticks))).spending():
        read_log("7,8" for _ in count())
