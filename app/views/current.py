"""What the entry point worked out for this run, handed to the page it runs."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from app.measuring.overlay import with_own_measurements
from app.planning.plan import Plan
from app.scenario import Problem
from estimators.architecture import catalogue
from estimators.provenance import Refusal


def remember(plan: Plan, problems: tuple[Problem, ...]) -> None:
    st.session_state["_plan"], st.session_state["_problems"] = plan, problems


def plan() -> Plan:
    """The plan of the shared inputs in this run."""
    result: Plan = st.session_state["_plan"]
    return result


def problems() -> tuple[Problem, ...]:
    """What could not be used: of the link the visit began with, then of the widgets now."""
    found: tuple[Problem, ...] = st.session_state["_problems"]
    return found


def estimated() -> Plan:
    """The same plan before this person's measurements were laid over it."""
    result: Plan = st.session_state["_estimated"]
    return result


def with_measurements(plan: Plan) -> Plan:
    """The plan narrowed by the measurements this person chose to use; as it is without any."""
    st.session_state["_estimated"] = plan
    chosen: list[str] = st.session_state.get("own_measurements", [])
    if not chosen:
        return plan
    from app.measuring.jobs import measurement_store

    try:
        return with_own_measurements(plan, measurement_store().find(chosen))
    except Refusal:  # the database is away: the estimate stands as published rows made it
        return plan


@lru_cache(maxsize=1)
def model_ids() -> list[str]:
    """Ids the model box offers; any other may be typed."""
    return sorted((entry.id for entry in catalogue.entries()), key=str.lower)
