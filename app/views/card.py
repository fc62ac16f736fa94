"""The embedded card: verdict, cost, memory bar, date, two selects, and the way to the full view."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.figures.base import memory_bar
from app.format import gib, usd
from app.planning.plan import Candidate
from app.planning.remembered import remembered_plan
from app.planning.sentences import conditions, verdict
from app.scenario import Scenario, with_page_defaults
from app.sources import LocalSources
from app.text import in_markdown
from app.views import inputs
from app.views.parts import chart, old_price
from estimators.precision import Weights


def draw(sources: LocalSources) -> None:
    """Draw the card from the link; only precision and region can be changed here. Fits 480 x 480 pixels."""
    answer = st.container(gap="small", key="verdict")
    scenario = _choices(sources)
    result = remembered_plan(scenario, sources, whole=True)
    with answer:
        st.markdown(f"##### {in_markdown(verdict(result))}")
        if warning := old_price(result):
            st.caption(f":material/history: {in_markdown(warning)}")
        st.caption(in_markdown(conditions(result)))
        if result.chosen is not None:
            _draw_machine(result.chosen)
        ignored = len(st.session_state.problems)
        if ignored:
            st.caption(f"{ignored} of this link's parameters could not be used; the full view names them.")
    with st.container(key="footer"):
        st.link_button("Open full view", f"?{inputs.link_query(result.resolved)}", width="stretch")


def _choices(sources: LocalSources) -> Scenario:
    """The link's scenario with what the two selects hold; a change thaws a frozen price."""
    linked: Scenario = st.session_state.asked
    regions = sorted({*sources.book.regions, linked.region})
    with st.container(horizontal=True, gap="small"):
        weights = st.selectbox("Precision", list(Weights), key="weights", bind="query-params", width=200)
        region = st.selectbox(
            "Region", regions, index=regions.index("us-east-1"), key="region", bind="query-params", width=200
        )
    scenario = replace(with_page_defaults(linked), weights=Weights(weights), region=region)
    if (scenario.weights, scenario.region) != (linked.weights, linked.region):
        scenario = replace(scenario, price=None, price_as_of=None)
    return scenario


def _draw_machine(chosen: Candidate) -> None:
    if chosen.memory is None:
        return
    memory = f"{gib(chosen.memory.memory_bytes_per_gpu)} of {gib(chosen.memory.memory_budget_bytes_per_gpu)} per GPU"
    cost = f"**{in_markdown(usd(chosen.cost.usd_per_month))}** a month, " if chosen.cost else ""
    st.markdown(f"{cost}{memory}")
    chart(
        memory_bar(chosen.memory, compact=True),
        key="memory_bar",
        alt=f"Memory: {memory}.",
    )
