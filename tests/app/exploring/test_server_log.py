"""A load out of what vLLM servers of several versions print, worked by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from app.exploring.server_log import ServerLog
from app.exploring.traffic_log import LoggedRequest, read_log
from estimators.provenance import Refusal

ANSWERED = 'INFO:     10.0.0.7:50300 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
REFUSED = 'INFO:     10.0.0.7:50300 - "POST /v1/chat/completions HTTP/1.1" 404 Not Found'
STARTED = "INFO 11-27 09:58:00 [utils.py:233] vLLM API server version 0.11.0"
RECEIVED = (
    "INFO 11-27 {at} [logger.py:40] Received request chatcmpl-1: prompt: 'a, b', params: SamplingParams(n=1, "
    "temperature=1.0, max_tokens=300, min_tokens=0), prompt_token_ids: None, lora_request: None."
)
TODAY = date(2026, 11, 28)


def rates(at: str, *, ins: float = 100.0, out: float = 50.0, hits: float = 50.0, engine: str = "Engine 000: ") -> str:
    return (
        f"(APIServer pid=1) INFO 11-27 {at} [loggers.py:259] {engine}Avg prompt throughput: {ins} tokens/s, "
        f"Avg generation throughput: {out} tokens/s, Running: 3 reqs, Waiting: 0 reqs, GPU KV cache usage: 1.0%, "
        f"Prefix cache hit rate: {hits}%"
    )


def old_rates(at: str) -> list[str]:
    """Of 0.8 and before, which print over whatever time passed, and hits on a line of their own."""
    return [
        f"INFO 11-27 {at} metrics.py:467] Avg prompt throughput: 100.0 tokens/s, "
        "Avg generation throughput: 50.0 tokens/s, "
        "Running: 1 reqs, Swapped: 0 reqs, Pending: 0 reqs, GPU KV cache usage: 0.0%, CPU KV cache usage: 0.0%.",
        f"INFO 11-27 {at} metrics.py:483] Prefix cache hit rate: GPU: 50.00%, CPU: 0.00%",
    ]


THREE = [rates("10:00:00"), *[ANSWERED] * 10, rates("10:00:10"), REFUSED, rates("10:00:20")]


def test_requests_are_counted_and_tokens_are_throughput_times_time() -> None:
    """Three lines of ten seconds each: 3,000 tokens computed, as many cached, and 1,500 out, of ten requests."""
    log = read_log(THREE)
    assert log.exchanges == (LoggedRequest(600, 150, 300),)
    assert log.requests == 10
    assert "10 requests answered by the server of the log, 6,000 tokens in and 1,500 out" in log.said
    assert "over 0.500 minutes" in log.said
    assert "50 % of the input came from the prefix cache" in log.said


def test_before_0_16_cached_tokens_are_in_the_throughput_of_prompts() -> None:
    assert read_log([STARTED, *THREE]).exchanges == (LoggedRequest(300, 150, 150),)


def test_of_an_old_engine_a_line_counts_the_time_since_the_one_before() -> None:
    """5 seconds (the first, as usual), 5, 5 and 20: 35 seconds, 3,500 in and 1,750 out of seven requests; of the first
    line's no hits are known yet."""
    lines = [line for at in ("10:00:00", "10:00:05", "10:00:10", "10:00:30") for line in old_rates(at)]
    assert read_log([*[ANSWERED] * 7, *lines]).exchanges == (LoggedRequest(500, 250, 214),)  # 250 x 30 / 35


def test_a_pause_prints_nothing_and_counts_for_nothing() -> None:
    """Ten seconds for each of four lines, though an hour lies between two of them."""
    lines = [rates(at, hits=0.0) for at in ("10:00:00", "10:00:10", "11:00:00", "11:00:10")]
    assert read_log([*lines, *[ANSWERED] * 4]).exchanges == (LoggedRequest(1000, 500),)


def test_engines_add_up_and_a_line_for_all_of_them_is_the_sum() -> None:
    two = [rates(at, hits=0.0, engine=f"Engine 00{n}: ") for at in ("10:00:00", "10:00:10") for n in (0, 1)]
    all_of_them = [rates(at, hits=0.0, ins=200.0, engine="2 Engines Aggregated: ") for at in ("10:00:00", "10:00:10")]
    assert read_log([ANSWERED, *two]).exchanges == (LoggedRequest(4000, 2000),)
    assert read_log([ANSWERED, *two, *all_of_them]).exchanges == (LoggedRequest(4000, 1000),)


def test_what_a_connector_brought_is_cached_too() -> None:
    """Half from the server's own cache, half of the rest from outside: a quarter is computed, 2,000 of 8,000."""
    lines = [f"{rates(at)}, External prefix cache hit rate: 50.0%" for at in ("10:00:00", "10:00:10")]
    assert read_log([ANSWERED, *lines]).exchanges == (LoggedRequest(8000, 1000, 6000),)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: f"2026-11-27T10:00:00.000000002Z {line}",  # a collector's stamp before each line
        lambda line: json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2026-11-27T10:00:00.5Z"}),  # Docker's
        lambda line: f"web-0 | {line}",  # compose's
    ],
)
def test_lines_as_collectors_wrap_them(wrap: object) -> None:
    assert callable(wrap)
    assert read_log([wrap(line) for line in [*THREE[:1], *[ANSWERED] * 2]]).exchanges == (
        LoggedRequest(1000, 250, 500),
    )


def test_received_requests_count_where_they_are_logged_and_say_what_they_asked_for() -> None:
    log = read_log([RECEIVED.format(at="10:00:00"), RECEIVED.format(at="10:00:01"), *THREE])
    assert log.requests == 2
    assert "2 requests received by the server" in log.said
    assert "a request asks for up to 300" in log.said


def test_moments_give_the_rate_and_the_peak() -> None:
    """One every ten seconds for an hour, both ends counted: 361; an access line takes the stamp that follows it."""
    lines = []
    for second in range(0, 3601, 10):
        lines += [ANSWERED, rates(f"{10 + second // 3600}:{second // 60 % 60:02}:{second % 60:02}")]
    came = read_log(lines, TODAY).arrivals
    assert came is not None
    assert (came.requests, came.in_hour, came.in_window) == (361, 360, 30)
    assert datetime.fromtimestamp(came.first, UTC) == datetime(2026, 11, 27, 10, tzinfo=UTC)
    assert read_log(lines).arrivals is None  # vLLM writes no year


def test_a_day_that_this_year_has_not_seen_is_of_last_year() -> None:
    server = ServerLog(date(2026, 11, 25))  # local time is a day ahead at most
    for hour in (10, 11):
        assert server.takes(RECEIVED.format(at=f"{hour}:00:00"))
    came = server.arrivals.arrivals()
    assert came is not None
    assert datetime.fromtimestamp(came.last, UTC) == datetime(2025, 11, 27, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "said", "remedy"),
    [
        ([rates("10:00:00")], "no lines of its requests", "--enable-log-requests"),
        ([STARTED, ANSWERED], "no lines of its throughput", "--disable-log-stats"),
        ([rates("10:00:00", out=0.0), ANSWERED], "no lines of its throughput", "--disable-log-stats"),
        ([STARTED.replace("version 0.11.0", "starts")], "no lines of its requests", "--enable-log-requests"),
        ([rates("10:00:00", ins=9e8), ANSWERED], "which none serves", "of its throughput for the same hours"),
    ],
)
def test_what_is_missing_is_said(lines: list[str], said: str, remedy: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read_log(lines)
    assert said in refusal.value.message
    assert remedy in refusal.value.remedy
    assert refusal.value.field == "log"


def test_a_request_whose_prompt_quotes_a_server_is_a_request() -> None:
    quoted = json.dumps({"prompt_tokens": 900, "completion_tokens": 50, "prompt": rates("10:00:00")})
    assert read_log([quoted]).exchanges == (LoggedRequest(900, 50),)


def test_a_start_that_prints_more_than_is_looked_at_does_not_end_the_reading() -> None:
    trace = ["  File 'x', line 1"] * 2_000
    assert read_log([STARTED, *trace, *THREE]).requests == 10


def test_a_server_ahead_of_utc_stamps_tomorrow() -> None:
    """What is printed late on the 28th in UTC is of the 29th in Auckland, and not of a year before."""
    log = ServerLog(TODAY)
    for at in ("11-28 23:00:00", "11-29 00:00:00", "11-29 01:00:00"):
        log.takes(rates("10:00:00").replace("11-27 10:00:00", at))
        log.takes(ANSWERED)
    log.means()
    found = log.arrivals.arrivals()
    assert found is not None
    assert datetime.fromtimestamp(found.first, UTC) == datetime(2026, 11, 29, tzinfo=UTC)
    assert datetime.fromtimestamp(found.last, UTC) == datetime(2026, 11, 29, 1, tzinfo=UTC)


@pytest.mark.parametrize("odd", ["1.2.3", "9" * 40, "٣.٥", "", "1e9"])
def test_a_rate_that_is_no_number_is_no_line_of_rates(odd: str) -> None:
    log = read_log([*THREE, rates("10:00:30").replace("throughput: 100.0", f"throughput: {odd}")])
    assert log.exchanges == (LoggedRequest(600, 150, 300),)


def test_more_than_everything_cannot_come_from_a_cache() -> None:
    """At most 99 % of the input are taken to be cached."""
    (mean,) = read_log([rates("10:00:00", hits=9999.0), *[ANSWERED] * 10, rates("10:00:10", hits=9999.0)]).exchanges
    assert mean.cached == pytest.approx(0.99 * mean.prompt, rel=0.01)


def test_a_version_that_is_not_printed_is_said_to_be_assumed() -> None:
    assert "the log does not say its version" in read_log(THREE).said
    assert "the log does not say its version" not in read_log([STARTED.replace("0.11.0", "0.19.0"), *THREE]).said


@pytest.mark.parametrize(
    ("said", "longest"), [("max_tokens=40", "up to 40"), ("xmax_tokens=9000, max_tokens=40", "up to 40")]
)
def test_the_limit_is_the_field_of_that_name_alone(said: str, longest: str) -> None:
    asked = RECEIVED.format(at="10:00:05").replace("max_tokens=300", said)
    assert f"a request asks for {longest}." in read_log([rates("10:00:00"), asked, rates("10:00:10")]).said


def test_a_stamp_of_no_day_or_time_says_no_moment() -> None:
    server = ServerLog(TODAY)
    for stamp in ("13-01 10:00:00", "02-30 10:00:00", "11-27 24:00:00", "11-27 10:60:00"):
        assert server.takes(RECEIVED.format(at="10:00:00").replace("11-27 10:00:00", stamp))
    assert server._moment is None
