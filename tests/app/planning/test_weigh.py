"""Layouts bought, put in the planner's one order, and the choice that nothing of its price beats."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from app.planning import weigh
from app.planning.fleet import Pace
from app.planning.market import Market, Purchase, machine_of
from app.planning.plan import Machine, p95_of
from app.planning.planner import plan
from app.planning.question import Question
from app.planning.replicas import Served
from app.planning.ways import Laid, Layout
from app.planning.weigh import Weighed, buy, clears, ordered, undominated
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.hardware.catalogue import find_accelerator
from estimators.workload import Placement
from pricing.instances import find_instance
from tests.app.planning.layouts import layouts_of

ASKED = Question.of(Scenario(model="8B", ttft=1.0))


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


@dataclass(frozen=True, kw_only=True)
class Known:
    """A way with what the planner's order reads of it."""

    usd: float = 100.0
    clear: bool = True  # limits cleared by the whole interval
    quality: float = 0.9
    ttft: float = 1.0
    tpot: float = 0.05
    e2e: float = 5.0
    gpus: int = 2
    drafts: bool = False
    instances: int = 2
    machine: int = 0
    gone: bool = False  # at a spot price too old to choose by


def scales(*known: Known) -> tuple[Weighed, np.ndarray]:
    """Each way a layout and a variant of its own, all passing; and the quality of each variant."""
    rows = np.arange(len(known))
    nothing, every = np.zeros(len(known)), np.ones(len(known), dtype=bool)

    def column(name: str) -> np.ndarray:
        return np.array([getattr(one, name) for one in known])

    pace = Pace(
        ttft=nothing, tpot=nothing, e2e=nothing, ttft_p95=column("ttft"), tpot_p95=column("tpot"),
        e2e_p95=column("e2e"), running=nothing, requests_per_s=nothing, saturated=~every,
    )  # fmt: skip
    served = Served(
        replicas=rows + 1, meets=every, pace=pace, best=pace, most_requests_per_s=nothing, in_flight=nothing
    )
    laid = Laid(placement=Placement())
    weighed = Weighed(
        layouts=tuple(Layout(row, 0, laid) for row in rows.tolist()), variant=rows, chip=0 * rows,
        gpus=column("gpus"), runs=every, drafts=column("drafts"), served=served, layout=rows,
        machine=column("machine"), instances=column("instances"), usd=column("usd"), gone=column("gone"),
        offers=rows, speed=every, passing=every,
    )  # fmt: skip
    return weighed, column("quality")


def first_of(monkeypatch: pytest.MonkeyPatch, *known: Known, fewest: bool = False) -> Known:
    weighed, quality = scales(*known)
    clear = np.array([one.clear for one in known])
    monkeypatch.setattr(weigh, "clears", lambda _question, _weighed, _market, ways: clear[ways])
    found = ordered(ASKED, weighed, Market(()), quality, np.arange(len(known)), fewest=fewest)
    return known[int(found[0])]


# Each rule of the order: a way that is better in it and worse in every later one.
BETTER = Known(usd=99.0, clear=True, quality=0.95, e2e=4.0, gpus=1, drafts=False, instances=1, machine=0, gone=False)
WORSE = Known(usd=101.0, clear=False, quality=0.85, e2e=6.0, gpus=4, drafts=True, instances=3, machine=1, gone=True)
RULES = ("gone", "usd", "clear", "quality", "e2e", "gpus", "drafts", "instances")


@pytest.mark.parametrize("rule", RULES)
def test_the_order_is_price_limits_cleared_quality_speed_gpus_no_drafting_machines(
    monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """A fresh price before one too old to choose by; of those the lower; and so on down the order."""
    place = RULES.index(rule)
    equal = {name: getattr(Known(), name) for name in RULES[:place]}
    wins = replace(WORSE, **equal, **{rule: getattr(BETTER, rule)})
    loses = replace(BETTER, **equal, **{rule: getattr(WORSE, rule)})
    assert first_of(monkeypatch, wins, loses) is wins
    assert first_of(monkeypatch, loses, wins) is wins


def test_what_is_equal_in_all_stays_in_the_order_of_layouts_and_then_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Known(machine=1), Known(machine=0)
    assert first_of(monkeypatch, one, other) is one


@pytest.mark.parametrize("rule", ["gone", "usd", "gpus", "instances", "machine"])
def test_of_an_accelerator_that_was_named_the_fewest_that_do_come_first(
    monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """Price, then GPUs of a replica, then machines: neither quality nor speed, which are bought by naming more."""
    rules = ("gone", "usd", "gpus", "instances", "machine")
    equal = {name: getattr(Known(), name) for name in rules[: rules.index(rule)]}
    wins = replace(WORSE, **equal, **{rule: getattr(BETTER, rule)})
    loses = replace(BETTER, **equal, **{rule: getattr(WORSE, rule)})
    assert first_of(monkeypatch, wins, loses, fewest=True) is wins
    assert first_of(monkeypatch, loses, wins, fewest=True) is wins


def test_what_nobody_prices_comes_after_all_that_is_priced(monkeypatch: pytest.MonkeyPatch) -> None:
    unpriced, priced = Known(usd=math.nan, quality=1.0), Known(usd=10**9)
    assert first_of(monkeypatch, unpriced, priced) is priced


def choice(*known: Known) -> list[int]:
    weighed, quality = scales(*known)
    return undominated(weighed, quality, np.arange(len(known)), np.zeros(len(known))).tolist()


def test_the_choice_is_never_one_that_another_of_its_price_beats() -> None:
    """Llama 3.1 70B in INT4 (2.05 s, 110 ms, 95.4 %), Llama 3.3 70B in NVFP4 (0.87 s, 60 ms, 99.5 %), both $2,455.08:
    the second is the choice whichever came first."""
    beaten = Known(usd=2455.08, ttft=2.05, tpot=0.110, quality=0.954)
    beats = Known(usd=2455.08, ttft=0.87, tpot=0.060, quality=0.995)
    assert choice(beaten, beats) == [1, 0]
    assert choice(beats, beaten) == [0, 1]


@pytest.mark.parametrize("better", [{"quality": 0.91}, {"ttft": 0.99}, {"tpot": 0.049}])
def test_one_that_is_better_in_one_thing_and_equal_in_the_others_beats(better: dict[str, float]) -> None:
    assert choice(Known(), Known(**better)) == [1, 0]


@pytest.mark.parametrize(
    "other",
    [
        {},  # equal in all: the order decides
        {"quality": 0.95, "ttft": 1.1},
        {"ttft": 0.5, "tpot": 0.06},
        {"tpot": 0.01, "quality": 0.89},
        {"e2e": 1.0},  # the whole request is the two times together, and no dimension of its own
    ],
)
def test_one_that_is_worse_in_anything_does_not_beat(other: dict[str, float]) -> None:
    assert choice(Known(), Known(**other)) == [0, 1]


def test_only_rivals_of_the_price_count() -> None:
    """A dollar more buys better times, and so does a spot price of long ago; both stay behind. A millionth of a
    millionth is the same price."""
    assert choice(Known(usd=100.0), Known(usd=101.0, ttft=0.5)) == [0, 1]
    assert choice(Known(), Known(ttft=0.5, gone=True)) == [0, 1]
    assert choice(Known(usd=100.0), Known(usd=100.0 * (1 + 1e-12), ttft=0.5)) == [1, 0]
    assert choice(Known(usd=math.inf), Known(usd=math.inf, ttft=0.5)) == [0, 1]


def test_the_first_in_order_that_nobody_beats_is_moved_to_the_front_and_the_rest_stay() -> None:
    """The second beats the first; the third and fourth beat neither it nor one another."""
    assert choice(
        Known(), Known(ttft=0.9), Known(tpot=0.04, ttft=2.0), Known(quality=0.99, ttft=3.0)
    ) == [1, 0, 2, 3]  # fmt: skip


def test_nothing_to_choose_from_is_no_choice() -> None:
    weighed, quality = scales(Known())
    assert undominated(weighed, quality, np.arange(0), np.zeros(0)).tolist() == []


@pytest.mark.parametrize("key", ["ttft", "tpot", "e2e"])
def test_a_limit_is_cleared_where_the_upper_end_of_the_interval_is_within_it(key: str) -> None:
    """As the explained plan shows it: a hundredth above that end clears, a hundredth below is met and no more."""
    scenario = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", concurrency=8, gpus=1)
    market = shared_sources()
    explained = plan(replace(scenario, instance="g6.xlarge"), market).chosen
    assert explained is not None
    assert explained.latency is not None
    high = p95_of(explained.latency, key).high
    for limit, clear in ((1.01 * high, True), (0.99 * high, False)):
        weigher, layouts = layouts_of(replace(scenario, gpu="L4", **{key: limit}), market)
        weigher.add(layouts)
        assert weigher.weighed.served.meets.tolist() == [True]
        ways = np.arange(1)
        assert clears(weigher.question, weigher.weighed, weigher.market, ways).tolist() == [clear]


def test_a_replica_larger_than_its_machine_is_bought_only_where_its_size_was_named() -> None:
    """Eight accelerators to a replica, or six, four to a machine: 3 replicas take 3 x 2 machines."""
    market = Market(((sold("g5.12xlarge", 350),),))
    sizes, copies = np.array([8]), np.array([3])
    assert len(buy(market, np.array([0]), sizes, copies).usd) == 0
    for size in (8, 6):
        named = buy(market, np.array([0]), np.array([size]), copies, named=True)
        assert (named.instances.tolist(), named.usd.tolist()) == ([6], [2100.0])


def test_an_accelerator_aws_does_not_sell_is_one_machine_per_replica_and_has_no_price() -> None:
    loose = Machine(accelerator=find_accelerator("RTX 4090"), instance=None, memory_bytes=24 << 30)
    purchase = Purchase(machine=loose, gpus=1, usd_per_month=math.inf, offer=None, offers=0)
    found = buy(Market(((purchase,),)), np.array([0]), np.array([2]), np.array([3]))
    assert (found.instances.tolist(), found.usd.tolist(), found.sold.tolist()) == ([3], [math.inf], [True])
    unsold = buy(Market(((sold("g5.xlarge", math.inf),),)), np.array([0]), np.array([1]), np.array([1]))
    assert unsold.sold.tolist() == [False]  # AWS has it, and not here
