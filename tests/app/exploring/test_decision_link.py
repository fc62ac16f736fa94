"""A link freezes a decision; opened later it shows what was decided, beside ours, and says what changed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.exploring import decision_link
from app.exploring.decision_link import Decision, Review, freeze, mark_of, read_decision, review
from app.planning.planner import plan
from app.scenario import FROZEN, KEYS, Scenario, decode
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.table import OfferTable

_VERSIONS = itertools.count(1_000_000)


class Sources(LocalSources):
    """A book of its own and a version of its own, so that no plan of another test is remembered for it."""

    @property
    def version(self) -> int:
        return self._own_version

    def __init__(self, book: OfferTable) -> None:
        super().__init__(book, HubClient(offline=True))  # type: ignore[arg-type]
        self._own_version = next(_VERSIONS)


TODAY = date(2026, 11, 21)
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def sources(**prices: str) -> Sources:
    rows = prices or {"g6.xlarge": "0.8048", "g5.xlarge": "1.006"}
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
        for name, price in rows.items()
    )
    return Sources(OfferTable(offers))


THEN = sources()


def link() -> dict[str, str]:
    return freeze(plan(Scenario(model=MODEL), THEN), TODAY, THEN)


def opened(flat: dict[str, str]) -> Decision:
    decoded = decode(flat)
    assert decoded.problems == ()
    decision, scenario, problems = read_decision(flat, decoded.scenario)
    assert problems == ()
    assert decision is not None
    assert decision.scenario == scenario
    return decision


def reviewed(flat: dict[str, str], at: Sources = THEN) -> Review:
    return review(opened(flat), at)


def test_a_link_holds_inputs_price_figures_and_version_and_no_auto() -> None:
    """g6.xlarge at $0.8048 an hour for 730 hours is $587.504."""
    flat = link()
    assert flat["instance"] == "g6.xlarge"
    assert flat["price"] == "0.8048"
    assert flat["price_as_of"] == "2026-11-20"
    assert flat["decided_usd_month"] == "587.504"
    assert flat["decided_on"] == "2026-11-21"
    assert flat["decided_cheapest"] == "g6.xlarge"
    assert set(flat) <= {*KEYS, *FROZEN, "v"}
    assert "auto" not in {flat[key] for key in ("kv", "instance", "gpus", "replicas")}


def test_opened_the_same_day_it_agrees_with_us_and_stands() -> None:
    found = reviewed(link())
    assert [figure.key for figure in found.figures if figure.differs] == []
    assert found.altered == ()
    assert found.flips is False
    assert found.recalibrated is False
    assert found.price_known is True


def test_a_changed_price_changes_only_the_column_of_today() -> None:
    """At $1.00 an hour the same machine is $730: the frozen figure stays, and another machine is cheaper."""
    dearer = sources(**{"g6.xlarge": "1.00", "g5.xlarge": "0.90"})
    found = reviewed(link(), dearer)
    money = found.figures[0]
    assert (money.link, money.ours, money.today) == (587.504, 587.504, 730.0)
    assert money.moved == pytest.approx(730 / 587.504 - 1)
    assert found.flips is True
    assert found.cheapest_now == "g5.xlarge"


def test_frozen_figures_survive_refitted_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    flat = {**link(), "decided_ttft": "9.5"}
    monkeypatch.setattr(decision_link, "formula_version", lambda: "1-00000000")
    found = reviewed(flat)
    ttft = next(figure for figure in found.figures if figure.key == "ttft")
    assert ttft.link == 9.5
    assert found.recalibrated
    assert ttft in found.refitted
    assert ttft not in found.altered


def test_a_forged_figure_is_told_from_ours() -> None:
    found = reviewed({**link(), "decided_usd_month": "5"})
    money = found.figures[0]
    assert (money.link, money.ours) == (5.0, 587.504)
    assert money in found.altered


def test_a_forged_price_is_one_the_book_never_had() -> None:
    scenario = decode({**link(), "price": "0.01"}).scenario
    flat = {**link(), "price": "0.01", "decision": mark_of(scenario), "decided_usd_month": "7.3"}
    assert reviewed(flat).price_known is False


def test_figures_do_not_stay_with_other_inputs() -> None:
    flat = {**link(), "prompt": "9000"}
    decision, scenario, problems = read_decision(flat, decode(flat).scenario)
    assert decision is None
    assert scenario.price is None
    assert [problem.key for problem in problems] == ["decision"]


def test_a_link_of_a_machine_that_no_longer_exists_opens() -> None:
    flat = {**link(), "instance": "g1.gone"}
    flat["decision"] = mark_of(decode(flat).scenario)
    found = reviewed(flat)
    assert found.machine_gone
    assert found.altered == ()
    assert found.figures[0].link == 587.504
    assert found.cheapest_now == "g6.xlarge"


def test_an_older_link_without_figures_is_just_a_scenario() -> None:
    flat = {"model": MODEL, "instance": "g6.xlarge", "price": "0.75", "v": "1"}
    decision, scenario, problems = read_decision(flat, decode(flat).scenario)
    assert (decision, problems) == (None, ())
    assert scenario.price == Decimal("0.75")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*FROZEN, *KEYS]), st.text(max_size=40), max_size=12))
def test_whatever_a_link_says_it_opens(raw: dict[str, str]) -> None:
    decoded = decode(raw)
    decision, scenario, _ = read_decision(raw, decoded.scenario)
    assert decision is None or decision.scenario == scenario


@settings(max_examples=15, deadline=None)
@given(rate=st.integers(1, 200), prompt=st.integers(1, 8000), ttft=st.integers(2, 50))
def test_what_is_frozen_is_read_back(rate: int, prompt: int, ttft: int) -> None:
    decided = plan(Scenario(model=MODEL, rate=rate / 10, prompt=prompt, ttft=ttft / 10), THEN)
    if decided.chosen is None or decided.chosen.cost is None or decided.chosen.latency is None:
        return
    decision = opened(freeze(decided, TODAY, THEN))
    assert decision.usd_per_month == decided.chosen.cost.usd_per_month
    assert decision.ttft_s == pytest.approx(decided.chosen.latency.ttft_p95_s, abs=1e-9)


def test_the_mark_follows_every_input() -> None:
    base = Scenario(model=MODEL, instance="g6.xlarge")
    assert mark_of(base) == mark_of(replace(base, concurrency=1))
    assert mark_of(base) != mark_of(replace(base, output=129))
