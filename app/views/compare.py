"""Up to six scenarios side by side: the current one and pasted links."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.exploring.compare import MOST_SCENARIOS, Compared, ComparedRow, cheapest_sentence, opened, rows
from app.planning.sentences import model_name, precision_name
from app.sources import dashboard_sources
from app.text import in_code, in_markdown
from app.views import current
from estimators.provenance import Refusal


def _pasted() -> list[str]:
    text = st.session_state.get("links") or ""
    return [line.strip() for line in text.splitlines() if line.strip()]


def draw_input() -> list[Compared]:
    """The box for links and what became of each line."""
    st.markdown("## Scenarios side by side")
    st.text_area(
        "Links, a line each",
        key="links",
        height=120,
        max_chars=40_000,
        persist_state="session",
        placeholder="Paste what Copy link gave you, up to six lines",
    )
    st.toggle("With the scenario above", value=True, key="with_current", persist_state="session")
    found = []
    if st.session_state.with_current:
        found.append(Compared(plan=current.plan(), decision=None, problems=()))
    lines = _pasted()
    room = MOST_SCENARIOS - len(found)
    for number, line in enumerate(lines[:room], start=1):
        try:
            entry = opened(line, dashboard_sources())
        except Refusal as refusal:
            st.warning(f"Line {number}: {in_markdown(str(refusal))}", icon=":material/info:")
            continue
        if entry.problems:
            ignored = "; ".join(f"{problem.key[:40]} {problem.reason}" for problem in entry.problems)
            st.warning(f"Line {number}: {in_code(ignored)}", icon=":material/info:")
        found.append(entry)
    if len(lines) > room:
        st.warning(f"Only the first {room} links are shown: six scenarios are compared at most.")
    return found


def _heads(compared: list[Compared]) -> list[str]:
    """A short, unique name per column."""
    heads = []
    for number, entry in enumerate(compared, start=1):
        plan = entry.plan
        precision = f" {precision_name(plan.precision.weights)}" if plan.precision else ""
        heads.append(in_markdown(f"({number}) {model_name(plan.asked)}{precision}"))
    return heads


def _marked(row: ComparedRow) -> list[str]:
    return [in_markdown(f"{cell} (best)" if index in row.best else cell) for index, cell in enumerate(row.cells)]


def draw_table(compared: list[Compared]) -> None:
    lines = rows(compared)
    only = st.toggle("Only what differs", key="only_different", persist_state="session", value=len(compared) > 1)
    shown = [row for row in lines if row.differs or not only]
    if not shown:
        st.markdown("These scenarios are the same.")
        return
    heads = _heads(compared)
    table = pd.DataFrame([_marked(row) for row in shown], columns=heads)
    table.insert(0, "", [f"{row.name} \\*" if row.differs else row.name for row in shown])
    st.table(table.set_index(""))
    st.caption("A star marks a line that differs; (best) the least of a line.")


def draw_sentence(compared: list[Compared]) -> None:
    if said := cheapest_sentence(compared):
        st.markdown(f"## {in_markdown(said)}")


found = draw_input()
if not found:
    st.info("Nothing to compare yet: paste a link.")
else:
    draw_sentence(found)
    draw_table(found)
