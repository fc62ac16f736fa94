"""The embedded card: verdict, cost, memory bar, date, two selects, and the way to the full view."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.figures import memory_bar
from app.format import usd
from app.narrative import conditions, verdict
from app.planner import plan
from app.scenario import Scenario, with_page_defaults
from app.sources import LocalSources
from app.views import inputs
from estimators.precision import Weights


def draw(sources: LocalSources) -> None:
    """Draw the card from the link; only precision and region can be changed here."""
    linked: Scenario = st.session_state.asked
    left, right = st.columns(2)
    weights = left.selectbox(
        "Precision", list(Weights), index=list(Weights).index(linked.weights), key="weights", bind="query-params"
    )
    regions = sorted({*sources.book.regions, linked.region})
    region = right.selectbox("Region", regions, index=regions.index(linked.region), key="region", bind="query-params")
    scenario = replace(with_page_defaults(linked), weights=Weights(weights), region=region)
    if (scenario.weights, scenario.region) != (linked.weights, linked.region):
        scenario = replace(scenario, price=None, price_as_of=None)
    result = plan(scenario, sources)
    st.markdown(f"#### {verdict(result)}".replace("$", "\\$"))
    st.caption(conditions(result).replace("$", "\\$"))
    chosen = result.chosen
    if chosen is not None and chosen.memory is not None:
        cost, link = st.columns([1, 1], vertical_alignment="center")
        cost.metric("A month", usd(chosen.cost.usd_per_month) if chosen.cost else "not priced")
        link.link_button("Open full view", f"?{inputs.link_query(result.resolved)}", width="stretch")
        st.plotly_chart(
            memory_bar(chosen.memory),
            key="memory_bar",
            config={"displayModeBar": False},
            alt="Memory per GPU against its limit.",
        )
    if st.session_state.problems:
        st.caption(
            f"{len(st.session_state.problems)} parameter(s) of this link were not used; the full view names them."
        )
