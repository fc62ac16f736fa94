"""The embedded card: verdict, cost, memory bar, date, two selects, and the way to the full view."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from app.exploring.opened import refused, shown
from app.exploring.question_link import Asked, encode_question
from app.figures.memory_bar import memory_bar
from app.format import gib, seconds, usd
from app.planning.plan import Candidate
from app.planning.sentences import conditions, load_phrase, verdict
from app.scenario import Scenario, with_page_defaults
from app.sources import LocalSources
from app.text import in_markdown
from app.views import coming, inputs
from app.views.parts import Html, old_price
from estimators.latency.estimate import SHORT_TIMES
from estimators.precision import Weights


def draw(sources: LocalSources) -> None:
    """Draw the card from the link; only precision and region can be changed here. Fits 480 x 480 pixels."""
    answer = st.container(gap="small", key="verdict")
    scenario = _choices(sources)
    asked: Asked = st.session_state.linked_question
    if (unknown := inputs.unknown_model()) is not None:
        result = refused(scenario, unknown).plan
    else:
        result = shown(scenario, asked, st.session_state.get("choice"), sources).plan
    with answer:
        st.markdown(f"##### {in_markdown(verdict(result))}")
        if warning := old_price(result):
            st.caption(f":material/history: {in_markdown(warning)}")
        load = f". Load: {load_phrase(result.asked)}" if result.spec is not None else ""
        st.caption(in_markdown(f"{conditions(result)}{load}"))
        coming.draw(result)
        if result.chosen is not None:
            _draw_machine(result.chosen)
        ignored = len(st.session_state.problems)
        if ignored:
            st.caption(f"{ignored} of this link's parameters could not be used; the full view names them.")
    with st.container(key="footer"):
        if unknown is None:
            query = urlencode({**inputs.link_of(result.resolved), **encode_question(asked)})
            st.link_button("Open full view", f"?{query}", width="stretch")


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
    times = [
        f"{SHORT_TIMES[key].lower()} {seconds(chosen.latency.of(key)[1])}"
        for key in ("ttft", "tpot", "e2e")
        if chosen.latency is not None
    ]
    if times:
        st.caption(f"95 of 100 within: {', '.join(times)}")
    memory = f"{gib(chosen.memory.memory_bytes_per_gpu)} of {gib(chosen.memory.memory_budget_bytes_per_gpu)} per GPU"
    cost = f"**{in_markdown(usd(chosen.cost.usd_per_month))}** a month, " if chosen.cost else ""
    st.markdown(f"{cost}{memory}")
    st.html(Html(memory_bar(chosen.memory, said=f"Memory: {memory}.", compact=True)))
