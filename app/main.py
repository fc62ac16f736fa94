"""The dashboard's entry point: page settings, shared inputs, navigation. No arithmetic."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.planning.remembered import remembered_plan
from app.scenario import with_page_defaults
from app.sources import dashboard_sources
from app.views import card, current, header, inputs

FOLDED = ("accuracy", "recommend", "compare")  # pages that ask something of their own
OWN_LINKS = ("recommend",)  # pages whose answer is another plan than that of the shared inputs
ICON = str(Path(__file__).with_name("static") / "icon.svg")

st.set_page_config(page_title="Rightsize", page_icon=ICON, layout="wide", initial_sidebar_state="collapsed")
st.html(Path(__file__).with_name("static") / "page.css")
sources = dashboard_sources()

if st.context.is_embedded:
    inputs.canonicalise()
    card.draw(sources)
else:
    page = st.navigation(
        [
            st.Page("views/estimate.py", title="Estimate", default=True),
            st.Page("views/recommend.py", title="Recommend", url_path="recommend"),
            st.Page("views/levers.py", title="Levers", url_path="levers"),
            st.Page("views/compare.py", title="Compare", url_path="compare"),
            st.Page("views/memory.py", title="Memory", url_path="memory"),
            st.Page("views/speed.py", title="Speed", url_path="speed"),
            st.Page("views/cost.py", title="Cost", url_path="cost"),
            st.Page("views/prices.py", title="Prices", url_path="prices"),
            st.Page("views/profile.py", title="Measure", url_path="measure"),
            st.Page("views/accuracy.py", title="Accuracy", url_path="accuracy"),
        ],
        position="top",
    )
    st.set_page_config(page_title=f"{page.title} - Rightsize", page_icon=ICON)
    inputs.canonicalise()  # after the navigation, so that a rerun stays on the page the link named
    top = header.draw_title()
    inputs.draw(current.model_ids(), sources.book.regions, folded=page.url_path in FOLDED)
    decoded = inputs.read()
    scenario = with_page_defaults(decoded.scenario)
    sources.watch(scenario.region)
    if scenario.model is not None:
        sources.check_hub(scenario.model)
    result = current.with_measurements(remembered_plan(scenario, sources, whole=True))
    current.remember(result, decoded.problems)
    if page.url_path not in OWN_LINKS:
        header.draw_actions(top, result)
    header.draw_notices(result)
    page.run()
