"""The lines of the Memory page: the same machine under other loads."""

from __future__ import annotations

import pytest

from app.exploring.what_if import memory_by_concurrency, memory_by_context
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources


def test_a_length_of_context_is_prompt_and_output_together() -> None:
    """Llama 3.1 8B caches 131,072 bytes a token: from 1,024 to 4,096 tokens of one request, 3,072 times that."""
    found = plan(Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge"), shared_sources())
    points = {point.amount: point.bytes_per_gpu for point in memory_by_context(found)}
    assert points[4096] - points[1024] == pytest.approx(3072 * 131_072, rel=0.01)
    flights = {point.amount: point.bytes_per_gpu for point in memory_by_concurrency(found)}
    assert flights[4] - flights[1] == pytest.approx(3 * 1152 * 131_072, rel=0.01)
    exact = plan(
        Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge", prompt=4096 - 128), shared_sources()
    ).chosen
    assert exact is not None
    assert exact.memory is not None
    assert points[4096] == exact.memory.memory_bytes_per_gpu
