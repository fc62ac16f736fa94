"""Replicas for a population: by hand, against trying every number, and as a recommendation has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from app.planning.plan import Candidate
from app.planning.planner import plan
from app.planning.question import Question
from app.planning.recommend import recommend
from app.planning.replicas import Ask, Served, _power_below, _probes, serve
from app.scenario import LoadMode, Scenario
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from estimators.precision import KvPrecision, Weights
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.table import OfferTable
from tests.app.planning.layouts import layouts_of

SMALL = "meta-llama/Llama-3.1-8B-Instruct"
TYPES = {"g6.xlarge": "0.8048", "g6.12xlarge": "4.6016", "g6e.xlarge": "1.861", "p5.48xlarge": "55.04"}


def sources(**prices: str) -> LocalSources:
    offers = (
        Offer(
            instance_type=name,
            region="us-east-1",
            option=PurchaseOption.ON_DEMAND,
            usd_per_hour=Decimal(price),
            source=PriceSource.SNAPSHOT,
            as_of=date(2026, 11, 20),
            origin="test",
        )
        for name, price in prices.items()
    )
    return LocalSources(OfferTable(offers), HubClient(offline=True))


ASKED = Scenario(model=SMALL, prompt=1024, output=128)


def chosen(scenario: Scenario, market: LocalSources) -> Candidate:
    result = plan(scenario, market)
    assert result.refusal is None
    assert result.chosen is not None
    return result.chosen


def test_two_small_machines_come_before_one_large_one() -> None:
    """An L4 holds 30 requests of 1,152 tokens: 40 take two at 2 x $0.8048 x 730 = $1,175.01, an L40S is $1,358.53."""
    answer = chosen(replace(ASKED, concurrency=40), sources(**TYPES))
    assert (answer.label, answer.replicas, answer.instances) == ("g6.xlarge", 2, 2)
    assert answer.cost is not None
    assert answer.cost.usd_per_month == pytest.approx(Decimal("1175.01"), abs=Decimal("0.01"))


def test_one_request_more_than_a_replica_holds_takes_another() -> None:
    market = sources(**{"g6.xlarge": "0.8048"})
    assert [chosen(replace(ASKED, concurrency=n), market).replicas for n in (30, 31, 60, 61)] == [1, 2, 2, 3]


@pytest.mark.parametrize("limits", [{}, {"ttft": 0.5}, {"tpot": 0.08}])
@pytest.mark.parametrize("concurrency", [30, 90])
def test_it_is_the_first_number_that_does(concurrency: int, limits: dict[str, float]) -> None:
    market = sources(**{"g6.xlarge": "0.8048"})
    asked = replace(ASKED, concurrency=concurrency, gpus=1, **limits)  # type: ignore[arg-type]
    found = chosen(asked, market)
    doing = []
    for count in range(1, found.replicas + 1):
        tried = plan(replace(asked, instance="g6.xlarge", replicas=count), market).chosen
        assert tried is not None
        assert tried.latency is not None
        doing.append(tried.eligible and not tried.latency.saturated)
    assert doing == [False] * (found.replicas - 1) + [True]


@pytest.mark.parametrize("concurrency", [1, 30, 31, 500, 3_000, 20_000])
@pytest.mark.parametrize("limits", [{}, {"ttft": 1.0}])
def test_a_recommendation_takes_as_many(concurrency: int, limits: dict[str, float]) -> None:
    market = sources(**TYPES)
    asked = replace(ASKED, concurrency=concurrency, kv=KvPrecision.BF16, **limits)  # type: ignore[arg-type]
    question = Question(scenario=asked, models=(SMALL,), weights=(Weights.BF16,), kv=(KvPrecision.AUTO,))
    first = recommend(question, market).plans[0].candidate
    answer = chosen(asked, market)
    assert (first.label, first.placement.tp if first.placement else 0, first.replicas) == (
        answer.label,
        answer.placement.tp if answer.placement else 0,
        answer.replicas,
    )


def test_what_the_engine_would_not_run_at_once_counts_as_not_held() -> None:
    """Eight B300 hold 10,000 requests of this length, but vLLM runs 1,024 of them at once."""
    answer = chosen(replace(ASKED, concurrency=10_000), sources(**{"p6-b300.48xlarge": "142.42"}))
    assert answer.latency is not None
    assert answer.replicas > 1
    assert not answer.latency.saturated


def test_a_named_machine_stays_one_replica_and_says_how_many_would_do() -> None:
    market = sources(**TYPES)
    named = plan(replace(ASKED, concurrency=50, instance="g6.xlarge"), market).chosen
    assert named is not None
    assert named.replicas == 1
    assert not named.fits
    assert any("replicas=2 would" in note for note in named.notes)
    enough = chosen(replace(ASKED, concurrency=50, gpu="L4", gpus=1, replicas=2), market)
    assert not any("would" in note for note in enough.notes)


def test_a_batch_runs_in_waves_on_one_replica() -> None:
    batch = replace(ASKED, concurrency=500, load=LoadMode.BATCH)
    assert chosen(batch, sources(**TYPES)).replicas == 1


def test_several_replicas_share_a_machine_where_that_costs_less() -> None:
    """Four L4 in one machine: four replicas of one each hold 120, so 90 at once take one machine either way."""
    answer = chosen(replace(ASKED, concurrency=900, gpus=1), sources(**{"g6.12xlarge": "4.6016"}))
    assert (answer.replicas, answer.instances) == (30, 8)


def test_a_limit_no_number_meets_is_refused_with_what_the_load_needs() -> None:
    result = plan(replace(ASKED, concurrency=500, ttft=0.0001), sources(**TYPES))
    assert result.refusal is not None
    assert "p95 TTFT" in str(result.refusal)


def on_an_l4(*, affordable: int | None = None, **load: object) -> Served:
    """One L4 to a replica, served; `affordable` copies at most."""
    scenario = replace(ASKED, gpus=1, **load)  # type: ignore[arg-type]
    weigher, layouts = layouts_of(scenario, sources(**{"g6.xlarge": "0.8048"}))
    (mine,) = [one for one in layouts if weigher.chips[one.chip].machine.accelerator.name == "L4"]
    caps = None if affordable is None else lambda _copies, _does: np.array([affordable])
    return serve([Ask(scenario, (mine,), affordable=caps)])[0]


def count(served: Served) -> tuple[int, bool]:
    return int(served.replicas[0]), bool(served.meets[0])


# Requests a second that a full L4 serves; p95 to the first token of one that is all but idle.
MOST = float(on_an_l4(rate=0.5).most_requests_per_s[0])
IDLE_TTFT = float(on_an_l4(rate=1e-6).pace.ttft_p95[0])


@pytest.mark.parametrize(("times", "replicas"), [(0.99, 1), (1.01, 2), (2.99, 3), (3.01, 4)])
def test_a_rate_takes_one_more_than_what_would_only_just_serve_it(times: float, replicas: int) -> None:
    assert count(on_an_l4(rate=times * MOST)) == (replicas, True)


@pytest.mark.parametrize(("times", "shown"), [(0.5, 1), (1.5, 2), (4.5, 8), (8.5, 16)])
def test_where_no_number_is_fast_enough_for_a_rate_the_first_power_of_two_that_keeps_up_is_shown(
    times: float, shown: int
) -> None:
    """4.5 times what one serves needs 5: 8 are shown, so that the times beside them are not of a server on its edge."""
    assert count(on_an_l4(rate=times * MOST, ttft=0.0001)) == (shown, False)


def test_where_no_number_is_fast_enough_for_a_population_those_that_hold_it_are_shown() -> None:
    assert count(on_an_l4(concurrency=75, ttft=0.0001)) == (3, False)  # 30 to a replica


def test_copies_are_not_added_once_they_stand_idle() -> None:
    """Half a request a second keeps 4.38 in flight over idle replicas. 120 copies bring the first token within 1 % of
    an idle one's: at 64, the doubling before, each had 0.068 of a request. Within 0.6 % takes more than 128, where each
    has 0.034, under the 0.05 that is called idle: that search is given up there, and shown as it stood."""
    found, given_up = on_an_l4(rate=0.5, ttft=1.01 * IDLE_TTFT), on_an_l4(rate=0.5, ttft=1.006 * IDLE_TTFT)
    copies, does = count(found)
    assert does
    assert 64 < copies <= 128
    assert count(given_up) == (1, False)
    assert float(given_up.best.running[0]) == pytest.approx(float(given_up.in_flight[0]) / 128, rel=1e-3)


def test_ten_thousand_copies_are_the_most_a_population_gets() -> None:
    assert count(on_an_l4(concurrency=300_000)) == (10_000, True)  # 30 to a replica
    assert count(on_an_l4(concurrency=300_001))[1] is False


def test_a_layout_is_searched_no_further_than_it_could_be_the_cheapest() -> None:
    """What 90 requests with their first tokens within 0.5 s take is found up to just that many copies."""
    copies, does = count(on_an_l4(concurrency=90, ttft=0.5))
    assert does
    assert copies > 3  # which hold them
    assert count(on_an_l4(concurrency=90, ttft=0.5, affordable=copies)) == (copies, True)
    assert count(on_an_l4(concurrency=90, ttft=0.5, affordable=copies - 1))[1] is False


def test_a_batch_is_good_in_waves_and_a_queue_on_given_replicas_is_not() -> None:
    assert count(on_an_l4(concurrency=90, load=LoadMode.BATCH)) == (1, True)
    assert count(on_an_l4(concurrency=93, replicas=3)) == (3, False)  # 31 each, 30 held
    assert count(on_an_l4(concurrency=90, replicas=3)) == (3, True)


def test_copies_are_tried_by_doubling_and_then_between() -> None:
    """Above 4, none known good: 5, 10, 20. Between 4, which falls short, and 12, which is good: 6, 8 and 10."""
    assert _probes(np.array([4]), np.array([0]), 3).tolist() == [[5, 10, 20]]
    assert _probes(np.array([0]), np.array([0]), 4).tolist() == [[1, 2, 4, 8]]
    assert _probes(np.array([4]), np.array([12]), 3).tolist() == [[6, 8, 10]]
    assert _probes(np.array([4]), np.array([6]), 3).tolist() == [[5, 5, 5]]


def test_the_power_of_two_before() -> None:
    assert _power_below(np.array([1, 2, 3, 4, 5, 8, 9, 110, 128, 129])).tolist() == [1, 1, 2, 2, 4, 4, 8, 64, 64, 128]
