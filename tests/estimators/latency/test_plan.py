"""Requests a replica runs at once, from its memory."""

import pytest

from estimators.latency.plan import running_capacity
from estimators.memory.sweep import Held
from estimators.workload import Load
from tests.latency_cases import workload

DEVICE = 100_000_000_000


def held(weights: int, requests: int) -> Held:
    """1 MB of cache a token, 3 GB beside weights and cache."""
    return Held(
        weights_bytes_per_gpu=weights,
        kv_bytes_per_token_per_gpu=1e6,
        activation_bytes_per_gpu=2_000_000_000,
        overhead_bytes_per_gpu=1_000_000_000,
        memory_bytes_per_gpu=weights + 4_000_000_000,
        memory_budget_bytes_per_gpu=92_000_000_000,
        max_concurrency=requests,
        longest_concurrency=requests,
        starts=True,
        stages=(),
    )


@pytest.mark.parametrize(
    ("weights", "requests", "capacity"),
    [
        (49_000_000_000, 40, 40.0),  # the default budget holds more than 6 % of the memory does
        (90_000_000_000, 0, 4.0),  # 97 - 93 GB, at 1 GB a request
        (86_000_000_000, 3, 6.0),  # 6 % of the memory, less than 97 - 89 GB
    ],
)
def test_where_weights_leave_next_to_nothing_the_budget_is_raised(weights: int, requests: int, capacity: float) -> None:
    """Requests of 900 + 100 tokens hold half their output on average: 1,000 / 950 as many fit as of full length."""
    found = running_capacity(held(weights, requests), workload(900, 100), DEVICE)
    assert found == pytest.approx(capacity * 1000 / 950)


def test_a_static_batch_ends_with_all_its_tokens() -> None:
    found = running_capacity(held(49_000_000_000, 40), workload(900, 100, 8.0, load=Load.BATCH), DEVICE)
    assert found == 40.0
