"""Scenarios side by side: what differs, what is least, and links that are not links."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.exploring.compare import LONGEST_LINK, Compared, cheapest_sentence, opened, rows
from app.exploring.decision_link import freeze
from app.planning.planner import plan
from app.scenario import Scenario, encode
from app.sources import shared_sources
from estimators.provenance import Refusal

SOURCES = shared_sources()
ARTICLE = (
    Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g5.xlarge"),
    Scenario(model="meta-llama/Llama-3.1-70B-Instruct", instance="p4d.24xlarge"),
)


def compared(*scenarios: Scenario) -> list[Compared]:
    return [Compared(plan=plan(scenario, SOURCES), decision=None, problems=()) for scenario in scenarios]


def test_the_articles_8b_and_70b_differ_by_22_times_in_cost() -> None:
    """g5.xlarge $734.38 a month, p4d.24xlarge $16,029.08: 21.8 times."""
    lines = {row.name: row for row in rows(compared(*ARTICLE))}
    assert lines["A month"].cells == ("$734", "$16,029")
    assert lines["A month"].best == (0,)
    assert lines["Machines"].differs
    assert not lines["Load"].differs
    assert lines["Load"].best == ()


def test_the_sentence_says_which_is_cheapest_and_how_many_times_less_than_the_dearest() -> None:
    """16,029.08 / 734.38 = 21.8, whichever stands first."""
    small, large = compared(*ARTICLE)
    said = "is the cheapest: $734 a month on one A10G (g5.xlarge), 21.8 times less than number"
    assert cheapest_sentence([large, small]) == f"Number 2 {said} 1."
    assert cheapest_sentence([small, large, small]) == f"Number 1 {said} 2."
    assert cheapest_sentence([small, small]) == "Number 1 is the cheapest: $734 a month on one A10G (g5.xlarge)."
    assert cheapest_sentence([small]) == ""


def test_the_same_twice_differs_in_nothing() -> None:
    assert not any(row.differs or row.best for row in rows(compared(ARTICLE[0], ARTICLE[0])))


def test_a_link_a_path_and_a_bare_query_open_alike() -> None:
    query = urlencode(encode(ARTICLE[0], every_field=True))
    found = [opened(text, SOURCES) for text in (query, f"?{query}", f"https://rightsize.example/compare?{query}")]
    assert len({entry.plan.asked for entry in found}) == 1
    assert found[0].plan.asked.instance == "g5.xlarge"
    assert all(entry.problems == () for entry in found)


def test_a_decision_link_brings_its_frozen_cost_apart_from_ours() -> None:
    flat = freeze(plan(ARTICLE[0], SOURCES), date(2026, 11, 2), SOURCES)
    lines = {row.name: row for row in rows([opened(urlencode(flat), SOURCES)])}
    assert lines["Decided, from the link"].cells == ("$734 a month on 2026-11-02",)


@pytest.mark.parametrize(
    "text", ["", "hello", "https://example.com/", "javascript:alert(1)", "x" * (LONGEST_LINK + 1), "?", "http://[::1"]
)
def test_what_is_no_link_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        opened(text, SOURCES)
    assert refused.value.field == "link"


@settings(max_examples=80)
@given(st.text(max_size=300))
def test_any_text_is_opened_or_refused(text: str) -> None:
    try:
        found = opened(text, SOURCES)
    except Refusal:
        return
    assert found.plan is not None


def test_a_link_of_an_unknown_machine_opens_with_its_reason() -> None:
    lines = {row.name: row for row in rows([opened("model=Qwen/Qwen3-8B&instance=g1.gone", SOURCES)])}
    assert "g1.gone" in lines["Verdict"].cells[0]
    assert lines["A month"].cells == ("unknown",)


def test_a_plan_that_cannot_serve_its_rate_is_never_the_cheapest() -> None:
    """One L4 at $588 a month does not serve 50 requests a second, so the 30 that do are not beaten by it."""
    drowned, served = compared(
        Scenario(model=ARTICLE[0].model, instance="g6.xlarge", rate=50, replicas=1),
        Scenario(model=ARTICLE[0].model, instance="g6.xlarge", rate=50),
    )
    assert cheapest_sentence([drowned, served]) == ""
    lines = {row.name: row for row in rows([drowned, served])}
    for name in ("A month", "p95 time per output token", "p95 whole request"):
        assert lines[name].cells[0] == "overloaded"
        assert lines[name].best == (1,)


def test_speculative_decoding_is_a_line_of_its_own() -> None:
    lines = {row.name: row for row in rows(compared(ARTICLE[0], replace(ARTICLE[0], spec="eagle", accept=0.62)))}
    assert lines["Speculative decoding"].cells == ("none", "eagle, 3 tokens, acceptance 0.62")
    assert lines["Speculative decoding"].differs
