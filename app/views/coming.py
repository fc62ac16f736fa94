"""What a page does while the Hub is asked for its model: it says so, and fills itself in when the answer is there."""

from __future__ import annotations

import streamlit as st

from app.planning.plan import Plan
from app.sources import dashboard_sources
from estimators.architecture.hub.errors import HubPending

LOOK_S = 1.0


def draw(plan: Plan) -> None:
    """Nothing, unless this plan waits for the Hub."""
    if isinstance(plan.refusal, HubPending) and plan.asked.model is not None:
        _draw_until(plan.asked.model)


@st.fragment(run_every=LOOK_S)
def _draw_until(model: str) -> None:
    if dashboard_sources().reading(model):
        st.caption("This page fills itself in when the Hub has answered.")
    else:
        st.rerun()
