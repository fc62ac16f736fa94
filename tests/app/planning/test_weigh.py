"""Layouts bought: whole machines, the cheapest that carry the replicas, and never more than one has."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.planning.market import Market, Purchase, machine_of
from app.planning.plan import Machine
from app.planning.weigh import buy
from pricing.instances import find_instance


def sold(name: str, usd: float, most: int | None = None) -> Purchase:
    machine = machine_of(find_instance(name))
    assert isinstance(machine, Machine)
    assert machine.instance is not None
    gpus = 1 if most else machine.instance.accelerator_count
    return Purchase(machine=machine, gpus=gpus, usd_per_month=usd, offer=None, offers=1, most=most)


def bought(market: tuple[Purchase, ...], tp: int, replicas: int) -> tuple[int, int, float]:
    found = buy(Market((market,)), np.array([0]), np.array([tp]), np.array([replicas]))
    if not len(found.usd):
        return -1, 0, math.inf
    best = int(np.argmin(found.usd))
    return int(found.machine[best]), int(found.instances[best]), float(found.usd[best])


@pytest.mark.parametrize(
    ("tp", "replicas", "machine", "instances", "usd"),
    [
        (1, 3, 0, 3, 300.0),  # three small machines cost 300, one of four 350
        (1, 4, 1, 1, 350.0),  # four small ones 400
        (2, 3, 1, 2, 700.0),  # two replicas of two fit one machine of four
        (4, 1, 1, 1, 350.0),
    ],
)
def test_whole_machines_that_carry_the_replicas_for_least(
    tp: int, replicas: int, machine: int, instances: int, usd: float
) -> None:
    market = (sold("g5.xlarge", 100), sold("g5.12xlarge", 350))
    assert bought(market, tp, replicas) == (machine, instances, usd)


def test_what_no_machine_carries_costs_without_end() -> None:
    assert bought((sold("g5.xlarge", 100),), tp=8, replicas=1) == (-1, 0, math.inf)


def test_one_cannot_use_more_than_one_has() -> None:
    """Eight accelerators at $50 each: four replicas of two are all of them, five are not to be had."""
    market = (sold("g5.xlarge", 50, most=8),)
    assert bought(market, tp=2, replicas=4) == (0, 8, 400.0)
    assert bought(market, tp=2, replicas=5)[2] == math.inf
