"""Rent tokens or run machines, at the tokens a month that a person has."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.exploring.api_or_machines import EVERY, SAME, ApiOrMachines, Volume, rent_finding, rent_or_run, volume_of
from app.exploring.decision_link import unpinned
from app.figures.apis import over_volume
from app.planning.answer import Kind
from app.scenario import Scenario
from app.text import in_markdown
from app.views import current
from app.views.asking import amount, choice, draw_ending, draw_table, held, query_of_question
from app.views.parts import chart
from estimators.provenance import Refusal

KEYS = ("api_tokens", "api_peak", "api_models", "api_own")
START = Volume()


def draw_boxes() -> Volume:
    columns = st.columns([1.3, 1, 1.5, 2.6], vertical_alignment="top")
    amount(columns[0], "Million output tokens a month", "api_tokens", 0.000_001, 1e9, START.millions)
    amount(columns[1], "Peak factor", "api_peak", 1.0, 100.0, START.peak, "Machines must hold the peak.")
    choice(columns[2], "APIs of", "api_models", (SAME, EVERY), START.models)
    columns[3].text_area(
        "Your own prices, a line each: name, in, out, cached in",
        key="api_own",
        bind="query-params",
        persist_state="session",
        max_chars=1_000,
        height=68,
        placeholder="ours batch, 0.10, 0.40, 0.05",
        help="Dollars per million tokens; a tier or a discount that no list has. Cached in may be left out.",
    )
    return volume_of(held(KEYS))


def recommended() -> Scenario:
    """The question of the cheapest plan, whichever plan is open; of the one shown where nothing is recommended."""
    found = current.answer()
    card = found.card(Kind.CHEAPEST) if found is not None else None
    if card is None:
        return unpinned(current.plan().asked)
    asked = unpinned(card.candidate.scenario)
    return replace(asked, spec=None, spec_tokens=None, accept=None)


def draw(asked: Volume) -> None:
    try:
        found = rent_or_run(recommended(), asked, current.sources())
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
        return
    finding = rent_finding(found)
    st.markdown(f"## {in_markdown(finding.sentence)}")
    _draw_picture(found, finding.sentence)
    draw_table(finding, key="api_table")
    draw_ending(finding, KEYS, key="apis", query=query_of_question())


def _draw_picture(found: ApiOrMachines, said: str) -> None:
    lines = [
        (f"{month.tier.name}, {month.tier.tier}", float(month.usd) / found.volume.millions) for month in found.months
    ]
    chart(over_volume(found.curve, lines, found.volume.millions), key="api_picture", alt=said)


draw(draw_boxes())
