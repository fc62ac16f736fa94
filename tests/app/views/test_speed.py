"""Every number of the Speed page is the plan's."""

from __future__ import annotations

from app.exploring.what_if import serving_curve
from app.format import seconds, significant, span, usd
from tests.app.views.pages import metrics, opened, planned, table, text_of

LINK = {"instance": "g6.xlarge", "concurrency": "9", "replicas": "2"}


def test_ranges_and_percentiles() -> None:
    page, (_, chosen) = opened("speed", **LINK), planned(**LINK)
    latency = chosen.latency
    assert latency is not None
    boxes = metrics(page)
    for name, found in (
        ("Time to first token", latency.ttft_s),
        ("Time per output token", latency.tpot_s),
        ("Whole request", latency.e2e_s),
    ):
        assert boxes[name][0] == span(found.low, found.high)
    tokens = latency.output_tok_per_s
    assert boxes["Tokens/s of a replica"][0] == f"{significant(tokens.low, 2)} to {significant(tokens.high, 2)}"
    late = f"first token {seconds(latency.ttft_p95_s)}, per token {seconds(latency.tpot_p95_s)}"
    assert f"95th percentiles: {late}, whole request {seconds(latency.e2e_p95_s)}." in text_of(page)


def test_a_million_tokens_of_one_replica_at_each_load() -> None:
    """One g6.xlarge is $0.8048 an hour whatever the copies: 0.8048 x 10^6 / 3600 = $223.56 for a million at a token a
    second, over the tokens a second of each point; its fast end is the cheap one."""
    page, (found, _) = opened("speed", **LINK), planned(**LINK)
    points = serving_curve(found)
    rows = table(page, "Requests at a time")
    assert len(rows) == len(points) > 3
    for row, point in zip(rows, points, strict=True):
        rate, hour = point.output_tok_per_s, 0.8048e6 / 3600
        assert row["Per million output tokens"] == f"{usd(hour / rate.high)} to {usd(hour / rate.low)}"
        assert row["Tokens per second"] == f"{significant(rate.low, 2)} to {significant(rate.high, 2)}"
        assert row["First token"] == span(point.ttft_s.low, point.ttft_s.high)
        assert row["Per token"] == span(point.tpot_s.low, point.tpot_s.high)
