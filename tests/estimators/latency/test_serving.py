"""A server answers the same whatever it was asked before; how its load swings."""

from unittest.mock import patch

import pytest

from estimators.hardware.catalogue import find_accelerator
from estimators.latency.numeric import FLOATS
from estimators.latency.plan import resolve
from estimators.latency.serving import Server
from estimators.memory import estimate_memory
from estimators.workload import EngineSettings
from tests.latency_cases import LLAMA, ONE_GPU, precision_of, workload


def server() -> Server:
    precision, chip, load = precision_of(LLAMA), find_accelerator("H100"), workload(1024, 128)
    memory = estimate_memory(precision, chip, ONE_GPU, load, EngineSettings())
    plan = resolve(precision, chip, ONE_GPU, load, EngineSettings(), memory)
    return Server(plan.shard, plan.server.rates, plan.scheduler, plan.request, FLOATS)


def test_a_server_is_not_changed_by_what_it_is_asked() -> None:
    asked = server()
    before = (asked.closed(256.0), asked.batch(64.0), asked.maximum())
    poisson = asked.arrivals(4.0)
    assert (asked.closed(256.0), asked.batch(64.0), asked.maximum()) == before
    assert asked.arrivals(4.0) == poisson == server().arrivals(4.0)


def test_the_rate_of_a_closed_load_obeys_littles_law_and_is_found_in_a_few_steps() -> None:
    """X R = N, to 1e-5, whether they all run at once or not; each step is a look at one rate."""
    asked = server()
    for population in (1.0, *range(2, 300, 3), 5000.0):
        with patch.object(Server, "_at_rate", autospec=True, side_effect=Server._at_rate) as looked:
            state = asked.closed(float(population))
        assert state.requests_per_s * state.e2e == pytest.approx(population, rel=1.5e-5)
        assert looked.call_count <= 9


def test_a_token_swings_with_the_number_running_by_as_much_as_it_hangs_on_it() -> None:
    """20 running and a token that takes n^0.1: 0.1 / sqrt(20 x 0.9) x sqrt(0.757) = 2.05 %.

    Where nothing hangs on the number, nothing swings.
    """
    asked = server()
    for power, swing in ((0.1, 0.02050), (0.0, 0.0)):
        with patch.object(Server, "_interference", lambda self, rate, others, n, b, p=power: (0, 0, 0.01 * n**p)):
            assert asked._swing(1.0, 20.0, 0.01 * 20.0**power) == pytest.approx(swing, abs=1e-5)
