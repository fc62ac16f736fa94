"""Every number of the Memory page is the plan's."""

from __future__ import annotations

import pytest

from app.format import gib
from tests.app.views.pages import opened, planned, table, text_of

LINK = {"instance": "g6.xlarge", "concurrency": "9", "replicas": "2"}


def test_the_sentence_and_the_variants() -> None:
    page, (_, chosen) = opened("memory", **LINK), planned(**LINK)
    memory = chosen.memory
    assert memory is not None
    ends = f"{gib(memory.memory_bytes_per_gpu_low)} to {gib(memory.memory_bytes_per_gpu_high)}"
    assert f"it may use (80 % interval {ends})." in text_of(page)
    assert f"one context of up to **{memory.max_context:,} tokens** at this concurrency." in text_of(page)
    (now,) = [row for row in table(page, "Needed, GiB per GPU", "Longest context") if row[""] == "now"]
    assert now["Needed, GiB per GPU"] == pytest.approx(memory.memory_bytes_per_gpu / 1_073_741_824)
    assert (now["Holds"], now["Longest context"]) == (memory.max_concurrency, memory.max_context)
