"""A decision kept as a file: read strictly, and held against other prices, other formulas and other hands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from app.documents import Parsed, read_yaml
from app.exploring.kept_plan import HeldAgainstToday, check, kept_text, read_kept
from app.planning import remembered
from app.planning.planner import plan
from app.scenario import FROZEN, KEYS, Scenario
from app.sources import LocalSources, shared_sources
from app.timed_cache import TimedCache
from estimators.architecture.hub.client import HubClient
from estimators.provenance import Refusal
from pricing.book import Book
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.store import PriceStore

DECIDED = Scenario(params=8.0, concurrency=40, ttft=2.0)
TODAY = date(2026, 11, 28)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans are remembered by the version of a process's one book; here there are two books."""
    monkeypatch.setattr(remembered, "_plans", TimedCache(entries=100, seconds=60.0))


def text_of(scenario: Scenario = DECIDED) -> str:
    return kept_text(plan(scenario, shared_sources()), TODAY, shared_sources())


def document_of(text: str) -> dict[str, Parsed]:
    found = read_yaml(text.encode())
    assert isinstance(found, dict)
    return found


def held(text: str, sources: LocalSources | None = None, **tolerance: str) -> HeldAgainstToday:
    sources = sources or shared_sources()
    return check(read_kept(document_of(text), sources, tolerance), sources)


def with_prices(folder: Path, prices: Iterable[tuple[str, str]]) -> LocalSources:
    """A book in which a later reading gives these machines other prices, and leaves the rest as they are."""
    store = PriceStore(create_engine(f"sqlite:///{folder / 'prices.db'}"))
    store.create()
    now = datetime.now(UTC)
    offers = tuple(
        Offer(
            instance_type=machine,
            region="us-east-1",
            option=PurchaseOption.ON_DEMAND,
            usd_per_hour=Decimal(usd),
            source=PriceSource.LIVE,
            as_of=now.date(),
            origin="test book",
        )
        for machine, usd in prices
    )
    store.record(
        PriceReading(
            region="us-east-1", listing=Listing.PRICE_LIST, read_at=now, origin="test", offers=offers, complete=False
        )
    )
    return LocalSources(Book(store=store), HubClient(offline=True))


def test_a_decision_just_kept_stands() -> None:
    found = held(text_of())
    assert found.stands
    assert found.verdict == (
        "A typical 8B model in BF16 fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month."
    )
    assert {finding.about for finding in found.findings} == {"fit", "limits", "price", "memory", "speed", "ranking"}


def test_a_price_that_rose_past_the_tolerance_breaks_it(tmp_path: Path) -> None:
    """0.8048 to 0.9000 an hour is 11.8 % more: 2 x 0.9 x 730 = $1,314."""
    dearer = with_prices(tmp_path, [("g6.xlarge", "0.9000")])
    found = held(text_of(), dearer)
    (moved,) = [finding for finding in found.findings if not finding.stands]
    assert moved.about == "price"
    assert moved.said.startswith("monthly cost: $1,314, decided $1,175 (+11.8 %, tolerance 5 %)")
    assert held(text_of(), dearer, price="12").stands


def test_a_price_that_fell_breaks_nothing(tmp_path: Path) -> None:
    assert held(text_of(), with_prices(tmp_path, [("g6.xlarge", "0.5")])).stands


def test_another_machine_that_became_much_cheaper_breaks_the_ranking(tmp_path: Path) -> None:
    """The two replicas on an L40S each, at 0.50 an hour: 2 x 0.5 x 730 = $730, against $1,175."""
    cheaper = with_prices(tmp_path, [("g6e.xlarge", "0.50")])
    found = held(text_of(), cheaper)
    (moved,) = [finding for finding in found.findings if not finding.stands]
    assert moved.about == "ranking"
    assert moved.said == (
        "one L40S in each of 2 replicas (2 x g6e.xlarge) is now the cheapest that does: $730 a month, 37.9 % less"
        " (tolerance 5 %)"
    )
    assert held(text_of(), cheaper, ranking="38").stands


def test_hardware_one_owns_is_held_at_its_own_price() -> None:
    owned = Scenario(params=8.0, gpu="L4", buy=PurchaseOption.OWNED, price=Decimal("0.2"))
    assert held(text_of(owned)).stands


def changed(old: str, new: str) -> str:
    text = text_of()
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ("rightsize: 1", "rightsize: 2", "rightsize", "A kept plan of version 2; this program reads version 1"),
        ("rightsize: 1", "rightsize: 1\ncolour: red", "colour", "not a part of a kept plan"),
        ('output: "128"', 'output: "100"', "decision", "frozen for other inputs"),
        ('price: "0.8048"', 'price: "0.5"', "decision", "frozen for other inputs"),
        ('output: "128"', 'output: "many"', "output", "output=many needs a whole number"),
        ('output: "128"', 'outputs: "128"', "outputs", "Did you mean output?"),
        ('output: "128"', "output: [1]", "output", "needs a whole number"),
        ('decided_usd_month: "1175.008"', 'decided_usd_month: "900"', "decided_usd_month", "it was altered"),
        ("  price: 5", "  price: lots", "tolerance.price", "percentage from 0 to 1000, not lots"),
        ("  price: 5", "  price: NaN", "tolerance.price", "percentage from 0 to 1000, not NaN"),
        ("  price: 5", "  luck: 5", "tolerance.luck", "there are price, memory, speed, ranking"),
    ],
)
def test_a_file_of_another_version_or_hand_is_refused(old: str, new: str, field: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        held(changed(old, new))
    assert refused.value.field == field
    assert said in str(refused.value)


def test_formulas_that_never_were_are_refused() -> None:
    text = "\n".join('  formula: "9-00000000"' if "formula:" in line else line for line in text_of().splitlines())
    with pytest.raises(Refusal, match="newer version than this one, or of none"):
        held(text)


@pytest.mark.parametrize("text", ["", "[]", "model: 8B", "rightsize: 1\ndecision: 8B", "rightsize: 1\ndecision: {}"])
def test_what_is_no_kept_plan_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        read_kept(read_yaml(text.encode()), shared_sources())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"decision": st.dictionaries(st.sampled_from([*KEYS, *FROZEN, "v"]), st.text(max_size=20), max_size=8)},
        optional={"rightsize": st.sampled_from(["1", "2", ""]), "tolerance": st.text() | st.lists(st.text())},
    )
)
def test_whatever_a_file_holds_is_read_or_refused(document: dict[str, Parsed]) -> None:
    with pytest.raises(Refusal):
        read_kept(document, shared_sources())


def test_a_plan_that_does_not_fit_is_not_kept() -> None:
    with pytest.raises(Refusal):
        text_of(Scenario(model="meta-llama/Llama-3.1-405B-Instruct", instance="zz9.xlarge"))
