"""A link freezes a decision; opened later it shows what was decided, beside ours, and says what changed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.exploring.calibration import Standing
from app.exploring.decision_link import Decision, Figure, Review, freeze, mark_of, read_decision, review
from app.planning.planner import plan
from app.scenario import ADDED_KEYS, FROZEN, KEYS, Scenario, decode
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from pricing.offers import Offer, PriceSource, PurchaseOption
from pricing.table import OfferTable
from tests.app.exploring.conftest import AddKey

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

# Links as people hold them: made on 2026-11-27 by the dashboard of commit b60c5f1, before any key was added.
MAINS = "1-83578bdd"
CHOSE_ITSELF = (
    "model=meta-llama%2FLlama-3.1-8B-Instruct&weights=bf16&method=auto&kv=bf16&prompt=1024&output=128&concurrency=1"
    "&gpus=1&pp=1&ep=1&instance=g6.xlarge&replicas=1&region=us-east-1&buy=on_demand&hours=730&engine=vllm&prefix=0"
    "&price=0.8048&price_as_of=2026-07-20&v=1&decision=57f1753fe8b9&formula=1-83578bdd&decided_on=2026-11-27"
    "&decided_usd_month=587.504&decided_memory=18072033685&decided_ttft=0.226666782&decided_tpot=0.061622699"
    "&decided_e2e=8.052749564&decided_cheapest=g6.xlarge"
)
RESERVED_FOR_A_RATE = (
    "model=mistralai%2FMixtral-8x7B-Instruct-v0.1&weights=bf16&method=auto&kv=bf16&prompt=2000&output=300&rate=9"
    "&ttft=2&tpot=0.08&e2e=30&gpus=4&pp=1&ep=1&instance=g6e.12xlarge&replicas=5&region=us-east-1"
    "&buy=reserved_1yr_no_upfront&hours=730&engine=vllm&prefix=0.3&price=6.61036&price_as_of=2026-06-15&v=1"
    "&decision=b2d64846de2b&formula=1-83578bdd&decided_on=2026-11-27&decided_usd_month=24127.814"
    "&decided_memory=29453963129&decided_ttft=0.676858819&decided_tpot=0.068253839&decided_e2e=20.858331041"
    "&decided_cheapest=p4d.24xlarge"
)
OWNED_AND_DRAFTED = (
    "model=meta-llama%2FLlama-3.3-70B-Instruct&weights=int4&method=auto&kv=fp8&prompt=3000&output=500&concurrency=8"
    "&gpus=4&pp=1&ep=1&instance=g6e.12xlarge&replicas=1&region=us-east-1&buy=owned&hours=730&engine=vllm&prefix=0"
    "&spec=eagle&price=2.5&v=1&decision=a99b52676526&formula=1-83578bdd&decided_on=2026-11-27&decided_usd_month=1825"
    "&decided_memory=16204075967&decided_ttft=7.934252553&decided_tpot=0.066979062&decided_e2e=39.356436863"
)
OLD_LINKS = (CHOSE_ITSELF, RESERVED_FOR_A_RATE, OWNED_AND_DRAFTED)


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
    assert found.calibration is Standing.CURRENT
    assert found.refitted == ()
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


def test_a_price_that_was_negotiated_is_known_by_its_list() -> None:
    """$0.8048 less 20 % is frozen as $0.64384; a dearer list of today makes today dearer, still less 20 %."""
    flat = freeze(plan(Scenario(model=MODEL, discount=Decimal(20)), THEN), TODAY, THEN)
    assert (flat["price"], flat["discount"]) == ("0.64384", "20")
    assert reviewed(flat).price_known is True
    assert not reviewed(flat).altered
    later = reviewed(flat, sources(**{"g6.xlarge": "1.6096", "g5.xlarge": "1.006"}))
    month = next(figure for figure in later.figures if figure.key == "usd_month")
    assert month.today == pytest.approx(1.28768 * 730)


def keys_of(figures: tuple[Figure, ...]) -> set[str]:
    return {figure.key for figure in figures}


@pytest.mark.parametrize(
    ("formula", "calibration", "altered", "refitted"),
    [
        (MAINS, Standing.EARLIER, set(), {"ttft"}),  # another calibration of ours may have given it
        ("1-00000000", Standing.UNKNOWN, {"ttft"}, set()),  # nobody's version, so nobody's figure
        ("", Standing.UNKNOWN, {"ttft"}, set()),
        (None, Standing.CURRENT, {"ttft"}, set()),  # ours gives another
    ],
)
def test_a_figure_that_differs_is_excused_by_a_calibration_of_ours_alone(
    formula: str | None, calibration: Standing, altered: set[str], refitted: set[str]
) -> None:
    flat = {**link(), "decided_ttft": "9.5"}
    found = reviewed(flat if formula is None else {**flat, "formula": formula})
    assert next(figure.link for figure in found.figures if figure.key == "ttft") == 9.5
    assert (found.calibration, keys_of(found.altered), keys_of(found.refitted)) == (calibration, altered, refitted)


@pytest.mark.parametrize("formula", [MAINS, "1-00000000"])
def test_the_monthly_cost_is_the_same_in_every_calibration(formula: str) -> None:
    found = reviewed({**link(), "formula": formula, "decided_usd_month": "500"})
    assert keys_of(found.altered) == {"usd_month"}


def test_figures_that_agree_are_nobodys_forgery() -> None:
    found = reviewed({**link(), "formula": "1-00000000"})
    assert (found.altered, found.refitted) == ((), ())


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


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*FROZEN, *KEYS]), st.text(max_size=40), max_size=12))
def test_whatever_a_link_says_it_opens(raw: dict[str, str]) -> None:
    decoded = decode(raw)
    decision, scenario, _ = read_decision(raw, decoded.scenario)
    assert decision is None or decision.scenario == scenario


@settings(max_examples=15)
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


@pytest.mark.parametrize(
    ("query", "usd_month", "memory", "ttft", "price_known"),
    [
        (CHOSE_ITSELF, 587.504, 18072033685, 0.226666782, True),
        (RESERVED_FOR_A_RATE, 24127.814, 29453963129, 0.676858819, True),
        (OWNED_AND_DRAFTED, 1825.0, 16204075967, 7.934252553, None),
    ],
    ids=["chose itself", "reserved for a rate", "owned and drafted"],
)
def test_a_link_of_an_earlier_main_is_ours_for_ever(
    query: str, usd_month: float, memory: float, ttft: float, price_known: bool | None
) -> None:
    """Whatever tables and formulas have become since, its mark verifies, and no figure of it is called not ours."""
    found = reviewed(dict(parse_qsl(query)))
    assert found.decision.formula == MAINS
    assert [figure.link for figure in found.figures[:3]] == [usd_month, memory, ttft]
    assert found.figures[0].ours == usd_month
    assert found.calibration is Standing.EARLIER
    assert found.altered == ()
    assert found.price_known is price_known


@pytest.mark.parametrize("query", OLD_LINKS)
def test_an_older_link_keeps_its_mark_when_a_key_is_added(query: str, add_key: AddKey) -> None:
    add_key(1)
    assert opened(dict(parse_qsl(query))).scenario.sp == 1  # type: ignore[attr-defined]


def test_an_older_link_with_an_added_key_is_another_question(add_key: AddKey) -> None:
    add_key(1)
    flat = {**dict(parse_qsl(CHOSE_ITSELF)), "sp": "4"}
    decision, scenario, problems = read_decision(flat, decode(flat).scenario)
    assert decision is None
    assert scenario.price is None
    assert [problem.key for problem in problems] == ["decision"]


def test_a_link_holds_an_added_key_and_is_marked_with_it(add_key: AddKey) -> None:
    wider = add_key(1)
    flat = freeze(plan(wider(model=MODEL, sp=4), THEN), TODAY, THEN)
    assert flat["sp"] == "4"
    assert opened(flat).scenario.sp == 4  # type: ignore[attr-defined]
    flat["sp"] = "2"
    assert read_decision(flat, decode(flat).scenario)[0] is None
    del flat["sp"]
    assert read_decision(flat, decode(flat).scenario)[0] is None


def test_a_later_default_of_an_added_key_changes_no_link(add_key: AddKey) -> None:
    wider = add_key(1)
    flat = freeze(plan(wider(model=MODEL), THEN), TODAY, THEN)
    assert flat["sp"] == "1"
    add_key(2)
    assert opened(flat).scenario.sp == 1  # type: ignore[attr-defined]


def test_every_key_added_since_the_first_links_says_what_a_link_without_it_means() -> None:
    """A new key belongs in `ADDED_KEYS`, or the marks of all links that people hold fail."""
    first = (
        "model params active weights method kv prompt output concurrency rate load ttft tpot e2e gpu gpus pp ep"
        " instance replicas region buy hours engine engine_version util max_len batched_tokens prefix"
        " spec spec_tokens accept price price_as_of"
    )
    assert set(KEYS) - set(ADDED_KEYS) == set(first.split())
