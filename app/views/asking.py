"""Boxes of a page that asks something of its own, and what every such page ends with: its table, its link, its report.

The boxes are bound to the keys of `PAGE_KEYS` and read back through the validators of a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.exploring.decision_link import unpinned
from app.exploring.finding import PageFinding
from app.exploring.question_link import encode_question, link_of
from app.exploring.report_page import report_html
from app.scenario import decode_page, encode_page
from app.text import in_code, in_markdown, in_spreadsheet
from app.views import current
from app.views.copy_link import copy_link
from app.views.decision import query_of


def number(place: DeltaGenerator, label: str, key: str, low: int, high: int, start: int | None, tip: str = "") -> None:
    """A box for a whole number, bound to its key."""
    place.number_input(
        label, low, high, start, step=1, key=key, bind="query-params", persist_state="session", help=tip or None
    )


def amount(
    place: DeltaGenerator,
    label: str,
    key: str,
    low: float,
    high: float,
    start: float | None,
    tip: str = "",
    *,
    shown: str = "",
) -> None:
    """A box for any number, bound to its key; it may start empty and say in grey what that means."""
    place.number_input(
        label,
        float(low),
        float(high),
        None if start is None else float(start),
        placeholder=shown or None,
        format="%g",
        key=key,
        bind="query-params",
        persist_state="session",
        help=tip or None,
    )


def choice(place: DeltaGenerator, label: str, key: str, options: Sequence[str], start: str, tip: str = "") -> None:
    """A box for one of several, bound to its key."""
    place.selectbox(
        label,
        list(options),
        index=list(options).index(start),
        key=key,
        bind="query-params",
        persist_state="session",
        help=tip or None,
    )


def text(place: DeltaGenerator, label: str, key: str, start: str, tip: str = "", *, shown: str = "") -> None:
    """A box for words, bound to its key."""
    place.text_input(
        label,
        start,
        key=key,
        bind="query-params",
        persist_state="session",
        help=tip or None,
        placeholder=shown or None,
        max_chars=2_000,
    )


def held(keys: Sequence[str]) -> dict[str, Any]:
    """What the boxes of these keys hold; a value no link may carry is named and left out."""
    values, problems = decode_page(_flat(keys))
    for problem in problems:
        st.warning(f"{in_code(problem.subject)} {in_markdown(problem.reason)}", icon=":material/info:")
    return values


def _flat(keys: Sequence[str]) -> dict[str, str]:
    return encode_page({key: st.session_state.get(key) for key in keys})


def draw_table(finding: PageFinding, *, key: str) -> None:
    """Every row of the answer, and its notes."""
    if finding.rows:
        heads = list(finding.heads)
        rows = [[in_spreadsheet(cell) for cell in row] for row in finding.rows]  # the table has a button to save it
        table = pd.DataFrame(rows, columns=heads)
        st.dataframe(table, hide_index=True, key=key, width="stretch")
    for note in finding.notes:
        st.caption(in_markdown(note))


def query_of_question() -> str:
    """A link to the question of the first screen and the card that is chosen, for a page that asks it anew; a frozen
    price and the machine it is of are left open."""
    scenario = current.scenario()
    link = link_of(current.asked(), unpinned(scenario) if scenario.price is not None else scenario)
    choice = st.session_state.get("choice")
    return urlencode(link | ({"choice": choice} if choice else {}))


def draw_ending(
    finding: PageFinding,
    keys: Sequence[str],
    *,
    key: str,
    also: Sequence[PageFinding] = (),
    query: str = "",
    instead: Mapping[str, str] | None = None,
) -> None:
    """A link to this page as it stands, and the plan's report with this answer and what else the page says; `query` in
    place of the plan's own decision link, `instead` of what the boxes hold."""
    plan, question = current.plan(), encode_question(current.asked())
    query = "&".join((query or query_of(plan, question), urlencode(_flat(keys) if instead is None else instead)))
    left, right = st.columns([1, 3])
    link, today = f"{st.context.url or ''}?{query}", datetime.now(UTC).date()
    report = partial(report_html, plan, link=link, today=today, findings=(finding, *also))
    left.download_button("Report with this answer", report, f"{key}.html", "text/html", on_click="ignore")
    with right:
        copy_link(query, label="Copy link to this answer")
