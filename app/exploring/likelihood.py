"""How likely the plan that comes first is the cheapest, given how far estimates of speed were from measurements.

Every plan's times are multiplied by a factor drawn from its own 80 % interval, log-normal on either side: the quantiles
of log(measured / estimated) of cases held out of the fit. What each plan then costs is the planner's answer for it at
that factor, read off a grid. Plans on one accelerator err alike, since chip, engine and model share their formulas; how
much plans on different ones do nobody has measured, so the share is given for both ends: not at all, and wholly.
Draws fill the ranges evenly, the same every time. No Streamlit, no own I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist

import numpy as np

from app.exploring.standing import Standings, slowed
from app.planning.contenders import PlanKey, cheapest_by_plan, contenders, key_of
from app.planning.ground import weighed_together
from app.planning.loads import workload_of
from app.planning.plan import OBJECTIVES
from app.planning.question import Question
from app.planning.stacks import Floats, Ints
from app.planning.weigh import SAME_PRICE
from app.planning.weigher import Weigher
from app.scenario import Scenario
from estimators.latency.intervals import Spread
from estimators.latency.model import kind_of, spread_of

DRAWS = 2_048
Q90 = NormalDist().inv_cdf(0.9)  # the interval's ends in standard deviations
FARTHEST = 4.0  # times as slow or fast; what is drawn beyond counts as that
GRID = 17  # factors at which plans are weighed, 19 % apart
TRAFFICS = 5  # levels of traffic, as likely as each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """Shares of the draws in which the plan costs no more than any other that meets every limit.

    `apart`: plans on different accelerators err independently; `together`: all err alike. `beaten_by`: who is cheaper,
    in whatever precision, with its share of the draws where they err apart; `none` of these draws leave no plan.
    `metric` is the time whose range is drawn; empty where no speed matters, as only memory decides.
    """

    apart: float
    together: float
    beaten_by: tuple[tuple[PlanKey, float], ...]
    none: float
    metric: str
    spread: Spread | None  # of the plan's own speed
    traffic_percent: float
    plans: int

    @property
    def between(self) -> tuple[float, float]:
        return min(self.apart, self.together), max(self.apart, self.together)


def likelihood(standing: Standings, traffic_percent: float = 0.0) -> Likelihood:
    """`traffic_percent`: with 80 % certainty traffic is within that of what was said, up or down: 50 is from two thirds
    to half more."""
    scenario, own = standing.question.scenario, standing.winner.key
    timed = slowed(scenario, 2.0) != scenario
    factors = np.exp(np.linspace(-1, 1, GRID) * math.log(FARTHEST)) if timed else np.ones(1)
    traffics = _levels(traffic_percent)
    costs, spreads, chips = _weighed(standing, factors, traffics)
    keys = tuple(costs)
    table = np.array([costs[key] for key in keys])  # plan, traffic, factor
    names = sorted(set(chips.values()))
    draws = _draws(len(names) + 1)
    level = np.minimum((draws[-1] * len(traffics)).astype(np.int64), len(traffics) - 1)
    normal = _normal(draws[:-1])
    apart = np.array([normal[names.index(chips[key])] for key in keys])
    shares, beaten, none = _shares(table, keys, own, spreads, factors, level, apart)
    together, _, _ = _shares(table, keys, own, spreads, factors, level, np.broadcast_to(normal[0], apart.shape))
    return Likelihood(
        apart=shares,
        together=together,
        beaten_by=beaten,
        none=none,
        metric=_metric(scenario) if timed else "",
        spread=spreads[own] if timed else None,
        traffic_percent=traffic_percent,
        plans=len(keys),
    )


def _weighed(
    standing: Standings, factors: Floats, traffics: Sequence[float]
) -> tuple[Mapping[PlanKey, Floats], Mapping[PlanKey, Spread], Mapping[PlanKey, str]]:
    """(dollars a month by traffic and factor, range of speed, accelerator) of each plan that could be the cheapest."""
    lightest = _asked(standing.question, float(factors[0]), min(traffics))
    heaviest = _asked(standing.question, float(factors[-1]), max(traffics))
    (worst,) = standing.firsts(standing.near, [heaviest])
    weigher, benches = standing.ground.asking(lightest).weighed(standing.book)
    most = FARTHEST * standing.winner.usd if worst is None else worst.usd
    ground = standing.ground.narrowed(contenders(weigher, benches, max(most, standing.winner.usd)))
    grid = [_asked(standing.question, float(factor), traffic) for traffic in traffics for factor in factors]
    made = weighed_together([ground.asking(question) for question in grid], standing.book)
    costs: dict[PlanKey, Floats] = {}
    for place, scales in enumerate(made):
        for key, usd in (cheapest_by_plan(scales) if scales is not None else {}).items():
            costs.setdefault(key, np.full(len(grid), np.inf))[place] = usd
    costs.setdefault(standing.winner.key, np.full(len(grid), standing.winner.usd))
    spreads, chips = _ranges_of([weigher, standing.winner.weigher], _metric(standing.question.scenario))
    return (
        {key: usd.reshape(len(traffics), len(factors)) for key, usd in costs.items()},
        {key: spreads[key] for key in costs},
        {key: chips[key] for key in costs},
    )


def _asked(question: Question, factor: float, traffic: float) -> Question:
    scenario = question.scenario
    if scenario.rate is not None:
        scenario = replace(scenario, rate=scenario.rate * traffic)
    elif (flight := scenario.requests_in_flight) is not None:
        scenario = replace(scenario, concurrency=max(1, round(flight * traffic)))
    return replace(question, scenario=slowed(scenario, factor))


def _metric(scenario: Scenario) -> str:
    """The time whose range is drawn: of those with a limit the first, which is the widest; else of a whole request."""
    return next((key for key in OBJECTIVES if getattr(scenario, key) is not None), "e2e")


def _ranges_of(weighers: Sequence[Weigher], metric: str) -> tuple[dict[PlanKey, Spread], dict[PlanKey, str]]:
    spreads: dict[PlanKey, Spread] = {}
    chips: dict[PlanKey, str] = {}
    for weigher in weighers:
        kind = kind_of(workload_of(weigher.question.scenario, 1))
        w = weigher.weighed
        for way in np.flatnonzero(w.passing).tolist():
            layout = weigher.layouts[w.layout[way]]
            key, accelerator = key_of(weigher, way), weigher.chips[layout.chip].machine.accelerator
            if key not in spreads and layout.laid.replica is not None:
                spreads[key] = spread_of(layout.laid.replica, accelerator, kind, metric)
                chips[key] = accelerator.name
    return spreads, chips


def _shares(
    table: Floats,
    keys: Sequence[PlanKey],
    own: PlanKey,
    spreads: Mapping[PlanKey, Spread],
    factors: Floats,
    level: Ints,
    normal: Floats,
) -> tuple[float, tuple[tuple[PlanKey, float], ...], float]:
    """(share of the draws that the plan wins, who else wins how many, share that nobody does)."""
    lows = np.array([min(0.0, spreads[key].low) for key in keys])[:, None] / Q90
    highs = np.array([max(0.0, spreads[key].high) for key in keys])[:, None] / Q90
    drawn = np.where(normal < 0, -normal * lows, normal * highs)  # logarithm of each plan's factor
    place = np.abs(drawn[:, :, None] - np.log(factors)).argmin(axis=2)
    usd = table[np.arange(len(keys))[:, None], level, place]
    mine, least = usd[keys.index(own)], usd.min(axis=0)
    wins = np.isfinite(mine) & (mine <= least * (1 + SAME_PRICE))
    others = np.bincount(usd.argmin(axis=0)[~wins & np.isfinite(least)], minlength=len(keys)) / len(wins)
    beaten: dict[PlanKey, float] = {}
    for key, share in zip(keys, others.tolist(), strict=True):
        if share > 0:  # precisions that cost the same on a machine are one rival
            same = next((k for k in beaten if k._replace(weights=key.weights) == key), key)
            beaten[same] = beaten.get(same, 0.0) + share
    by_share = sorted(beaten.items(), key=lambda pair: -pair[1])
    return float(wins.mean()), tuple(by_share), float((~np.isfinite(least)).mean())


def _levels(percent: float) -> tuple[float, ...]:
    """Levels of traffic, as likely as each other, of which 80 % lie within the percentage."""
    if percent <= 0:
        return (1.0,)
    width = math.log1p(percent / 100) / Q90
    return tuple(math.exp(width * NormalDist().inv_cdf((n + 0.5) / TRAFFICS)) for n in range(TRAFFICS))


@cache
def _draws(dimensions: int) -> Floats:
    """`DRAWS` points of the unit cube, in each dimension one in each of as many equal parts (a Latin hypercube); they
    are shuffled the same way every time."""
    shuffle = np.random.default_rng(1)
    even = (np.arange(DRAWS) + 0.5) / DRAWS
    points: Floats = np.stack([shuffle.permutation(even) for _ in range(dimensions)])
    return points


def _normal(uniform: Floats) -> Floats:
    """Standard normal values of points in (0, 1)."""
    inverse = NormalDist().inv_cdf
    values = [inverse(value) for value in uniform.ravel().tolist()]
    return np.array(values).reshape(uniform.shape)
