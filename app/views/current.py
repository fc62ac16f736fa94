"""What the entry point worked out for this run, handed to the page it runs."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from app.plan import Plan
from app.scenario import Problem
from estimators.architecture import catalogue


def remember(plan: Plan, problems: tuple[Problem, ...]) -> None:
    st.session_state["_plan"], st.session_state["_problems"] = plan, problems


def plan() -> Plan:
    """The plan of the shared inputs in this run."""
    result: Plan = st.session_state["_plan"]
    return result


def problems() -> tuple[Problem, ...]:
    """What could not be used: of the link this session started with, then of the widgets now."""
    found: tuple[Problem, ...] = st.session_state["_problems"]
    return found


@lru_cache(maxsize=1)
def model_ids() -> list[str]:
    """Ids the model box offers; any other may be typed."""
    return sorted((entry.id for entry in catalogue.entries()), key=str.lower)
