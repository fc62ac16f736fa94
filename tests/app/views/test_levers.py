"""Every number of the Levers page's table is the plan's."""

from __future__ import annotations

import pytest

from app.format import seconds
from tests.app.views.pages import opened, planned, table


def test_the_plan_as_it_is() -> None:
    link = {"instance": "g6.xlarge"}
    page, (_, chosen) = opened("levers", **link), planned(**link)
    assert chosen.memory is not None
    assert chosen.latency is not None
    row = next(row for row in table(page, "Memory, GiB per GPU") if row["Lever"] == "As it is")
    assert row["A month"] == pytest.approx(587.504)  # $0.8048 x 730
    assert row["Memory, GiB per GPU"] == pytest.approx(chosen.memory.memory_bytes_per_gpu / 1_073_741_824)
    assert row["p95 first token"] == seconds(chosen.latency.ttft_p95_s)
    assert row["p95 per token"] == seconds(chosen.latency.tpot_p95_s)
