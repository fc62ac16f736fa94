"""The rate, the peak and the week of a log whose requests have moments, worked by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from app.exploring.arrivals import ArrivalCounter, Arrivals, moment_of
from app.exploring.load_units import PeopleLoad, load_of, serve_load
from app.exploring.load_words import load_finding
from app.exploring.traffic_log import read_log
from app.scenario import Scenario
from app.sources import shared_sources
from pricing.commitments import week_of

AT = 1700158546.0  # 2023-11-16 18:15:46 UTC, a Thursday
MONDAY = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
HOUR = 3600


@pytest.mark.parametrize(
    "stamp",
    [
        1700158546, 1700158546.0, 1700158546000, 1700158546000000, 1700158546000000000, "1700158546",
        "2023-11-16T18:15:46Z", "2023-11-16 18:15:46", "2023-11-16T19:15:46+01:00", " 2023-11-16 18:15:46.000000 ",
    ],
)  # fmt: skip
def test_one_moment_in_every_usual_writing(stamp: object) -> None:
    assert moment_of(stamp) == AT


@pytest.mark.parametrize(
    "stamp", [27482, 0, -1, 1e30, float("nan"), float("inf"), True, None, "2023-11-16", "noon", "1" * 400, "1:2", [AT]]
)
def test_what_is_no_moment(stamp: object) -> None:
    """A trace's 27482 may be seconds or milliseconds since it began; a day has no hour."""
    assert moment_of(stamp) is None


def counted(moments: list[float]) -> Arrivals:
    counter = ArrivalCounter()
    for moment in moments:
        counter.add(moment)
    found = counter.arrivals()
    assert found is not None
    return found


def test_the_busiest_minutes_and_hour() -> None:
    """One a minute from 9 to 11, and 30 more at 10:07: 60 + 30 in the hour from 10, 5 + 30 in five minutes."""
    calm = [MONDAY + 9 * HOUR + 60 * minute for minute in range(120)]
    found = counted([*calm, *[MONDAY + 10 * HOUR + 7 * 60 + 1] * 30])
    assert (found.requests, found.in_hour, found.in_window) == (150, 90, 35)
    assert found.mean_rate == pytest.approx(150 / (119 * 60))
    assert found.hour_rate == pytest.approx(90 / 3600)
    assert found.peak_rate == pytest.approx(35 / 300)
    assert found.said == (
        "150 requests from 2026-11-02 09:00 to 2026-11-02 10:59 UTC: 90 in the busiest hour, 35 in the busiest 5 "
        "minutes, 4.7 times as dense."
    )


def test_the_order_of_lines_is_nothing() -> None:
    moments = [MONDAY + 7 * second for second in range(500)]
    assert counted(moments) == counted(moments[::-1])


def test_a_log_within_an_hour_has_the_rate_of_its_own_span() -> None:
    """600 requests in 1,198 s, two seconds apart, are 0.5 a second in every window."""
    found = counted([MONDAY + 3000 + 2 * number for number in range(600)])
    assert found.hour_rate == found.mean_rate == pytest.approx(600 / 1198)
    assert found.peak_rate == pytest.approx(0.5, rel=0.01)


def test_too_short_a_log_says_no_rate() -> None:
    counter = ArrivalCounter()
    counter.add(None)
    counter.add(MONDAY)
    counter.add(MONDAY + 599)
    assert counter.arrivals() is None


def office(days: int, *, nights: int = 0, weekend: bool = False) -> list[float]:
    """Two weeks: ten requests an hour from 8 to 18 on working days, `nights` in the other hours."""
    made = []
    for hour in range(24 * days):
        busy = 8 <= hour % 24 < 18 and (weekend or hour // 24 % 7 < 5)
        made += [MONDAY + hour * HOUR + 30 * number for number in range(10 if busy else nights)]
    return made


@pytest.mark.parametrize(
    ("moments", "week"),
    [
        (office(14), "8-18x5"),
        (office(14, nights=2), "8-18x5@20"),
        (office(14, weekend=True), "8-18x7"),
        (office(14, nights=10), "always"),
        (office(6), ""),  # less than a week
    ],
)
def test_the_hours_as_a_week(moments: list[float], week: str) -> None:
    found = counted(moments)
    assert found.week == week
    if week:
        assert week_of(found.week).mean > 0


def test_the_load_takes_the_rate_of_the_log_unless_it_is_told_another() -> None:
    lines = ["timestamp,prompt_tokens,completion_tokens"]
    lines += [f"{MONDAY + 10 * number},1000,100" for number in range(360)]
    lines += [f"{MONDAY + 1800},1000,100"] * 60
    log = read_log(lines)
    assert log.arrivals is not None
    load = load_of(PeopleLoad(), log)
    assert load.rate == pytest.approx((30 + 60) / 300)  # one each ten seconds, and sixty at once
    assert load.mean_rate == pytest.approx(420 / 3590)
    assert [term.formula for term in load.terms] == [
        "requests of the busiest hour / 3600 = 420 / 3600",
        "requests of the busiest 5 minutes / 300 = 90 / 300",
    ]
    assert load_of(PeopleLoad(), log, timed=False).rate == pytest.approx(500 * 12 / 3600 * 2)
    served = serve_load(Scenario(model="meta-llama/Llama-3.1-8B-Instruct"), load, shared_sources())
    notes = load_finding(served, log).notes
    assert any("420 requests from 2026-11-02 00:00 to 2026-11-02 00:59 UTC" in note for note in notes)


def test_moments_of_json_lines_and_of_azures_trace() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 5}
    (found,) = read_log([json.dumps({"response": {"body": {"created": 1700158546, "usage": usage}}})]).exchanges
    assert found.at == AT
    trace = ["TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:15:46.6805900,4808,10"]
    assert read_log(trace).exchanges[0].at == pytest.approx(AT + 0.68059)
    assert read_log(['{"timestamp": 27482, "input_length": 9, "output_length": 5}']).exchanges[0].at is None


def test_moments_all_over_the_centuries_take_no_longer() -> None:
    def lines() -> Iterator[str]:
        yield "ts,in,out"
        for number in range(300_000):
            yield f"{1_000_000_000 + 29_989 * number},9,5"

    begun = time.process_time()
    log = read_log(lines())
    assert time.process_time() - begun < 15
    assert log.arrivals is not None
    assert (log.arrivals.requests, log.arrivals.week) == (200_000, "")
    assert log.arrivals.in_window == 1
