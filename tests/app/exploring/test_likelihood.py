"""How likely a plan is the cheapest: certain where nothing is near, in between where two are, and monotone."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from app.exploring import likelihood as module
from app.exploring.likelihood import Likelihood, likelihood
from app.exploring.standing import stand
from app.planning.question import OwnedHardware, Question
from app.scenario import Scenario
from estimators.latency.intervals import Spread
from estimators.precision import Weights
from tests.app.exploring.test_flips import sources
from tests.app.planning.test_recommend import SMALL

ASKED = Question(scenario=Scenario(rate=12, prompt=2048, output=256, ttft=1.0), models=(SMALL,), weights=(Weights.FP8,))


def likely(question: Question = ASKED, traffic: float = 0.0, **prices: str) -> Likelihood:
    return likelihood(stand(question, sources(**prices)), traffic)


def test_what_stands_alone_is_the_cheapest_in_every_case() -> None:
    found = likely(**{"g6e.xlarge": "1.861"})
    assert (found.apart, found.together, found.beaten_by, found.plans) == (1.0, 1.0, (), 1)


def test_where_nothing_is_near_the_plan_is_certain() -> None:
    """No L4 serves this for an hundredth of the price of eight H100."""
    found = likely(**{"g6e.xlarge": "0.50", "p5.48xlarge": "5500"})
    assert (found.apart, found.together, found.none) == (1.0, 1.0, 0.0)


def test_a_near_tie_lies_between() -> None:
    found = likely(**{"g6e.xlarge": "1.861", "g6.xlarge": "0.8048"})
    assert 0.0 < found.apart < 1.0
    assert found.beaten_by[0][1] == pytest.approx(1.0 - found.apart - found.none, abs=1e-9)


def test_the_dearer_the_rival_the_likelier_the_plan() -> None:
    """Until the rival is so dear that nothing is left of it."""
    plan = stand(ASKED, sources(**{"g6e.xlarge": "1.861", "g6.xlarge": "0.8048"})).winner.key.machine
    own, other = ("g6e.xlarge", "g6.xlarge") if plan == "g6e.xlarge" else ("g6.xlarge", "g6e.xlarge")
    price = {"g6e.xlarge": Decimal("1.861"), "g6.xlarge": Decimal("0.8048")}
    shares = [
        likely(**{own: str(price[own]), other: str(price[other] * factor)}).apart
        for factor in (1, Decimal("1.2"), Decimal("1.5"), Decimal(3), Decimal(100))
    ]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == 1.0


def test_where_memory_alone_decides_no_speed_is_drawn() -> None:
    people = replace(ASKED, scenario=Scenario(concurrency=40, prompt=2048, output=256))
    found = likely(people, **{"g6e.xlarge": "1.861", "g6.xlarge": "0.8048"})
    assert (found.metric, found.spread, found.apart, found.together) == ("", None, 1.0, 1.0)


def test_people_may_be_more_than_was_said() -> None:
    """What fits one machine now takes two when more come, and one of the larger holds them for less."""
    people = replace(ASKED, scenario=Scenario(concurrency=40, prompt=2048, output=256))
    prices = {"g6e.xlarge": "1.50", "g6.xlarge": "0.8048"}
    sure, unsure = likely(people, **prices), likely(people, 200, **prices)
    assert sure.apart == 1.0
    assert 0.0 < unsure.apart < 1.0
    assert unsure.apart == unsure.together  # traffic is the same for all


def test_the_same_question_has_the_same_answer() -> None:
    prices = {"g6e.xlarge": "1.861", "g6.xlarge": "0.8048"}
    assert likely(**prices) == likely(**prices)


def test_a_plan_that_comes_out_slower_costs_what_it_costs_then() -> None:
    """One standard deviation either way: half as long, or twice. The plan takes one machine of $100 up to its estimate
    and three beyond, the rival always $200: it wins where it is faster; where nothing passes, nobody does."""
    own = stand(ASKED, sources(**{"g6e.xlarge": "1.861"})).winner.key
    other = own._replace(machine="g6.xlarge")
    width = math.log(2) * module.Q90
    spread = Spread(low=-width, high=width, rows=9, cell="")
    factors = np.array([0.5, 1.0, 2.0])
    table = np.array([[[100.0, 100.0, 300.0]], [[200.0, 200.0, 200.0]]])
    drawn = np.array([[-1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    level = np.zeros(4, dtype=np.int64)
    ranges = {own: spread, other: spread}
    share, beaten, none = module._shares(table, (own, other), own, ranges, factors, level, drawn)
    assert (share, beaten, none) == (0.5, ((other, 0.5),), 0.0)
    table[1] = np.inf
    table[0, 0, 2] = np.inf
    assert module._shares(table, (own, other), own, ranges, factors, level, drawn) == (0.5, (), 0.5)


def test_of_levels_of_traffic_four_fifths_lie_within_the_percentage() -> None:
    """The tenths of the five are at 10, 30, 50, 70 and 90 %: the outer two are its ends, 1 / 1.5 and 1.5."""
    levels = module._levels(50)
    assert (levels[0], levels[2], levels[4]) == pytest.approx((1 / 1.5, 1.0, 1.5))
    assert module._levels(0) == (1.0,)


def test_draws_fill_every_range_evenly_and_are_the_same_every_time() -> None:
    points = module._draws(9)
    assert points.shape == (9, module.DRAWS)
    for line in points:  # each part has its one draw
        assert sorted((line * module.DRAWS).astype(int)) == list(range(module.DRAWS))
    assert abs(np.corrcoef(points) - np.eye(9)).max() < 0.1
    assert (module._draws.__wrapped__(9) == points).all()
    assert float((module._normal(points)[0] < 1.2816).mean()) == pytest.approx(0.9, abs=1e-3)


def test_hardware_one_has_is_drawn_alike() -> None:
    owned = (OwnedHardware(gpu="L4", count=64, usd_per_gpu_hour=Decimal("0.5")),
             OwnedHardware(gpu="L40S", count=64, usd_per_gpu_hour=Decimal("1.2")))  # fmt: skip
    found = likely(replace(ASKED, owned=owned))
    assert 0.0 < found.apart <= 1.0
    assert found.plans == 2
