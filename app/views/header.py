"""Title row, notices about the link, and the frozen-price banner."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.exploring.decision_link import Decision, mark_of
from app.exploring.question_link import encode_question
from app.planning.plan import Plan
from app.planning.sentences import source_phrase
from app.scenario import Problem
from app.text import in_code, in_markdown
from app.views import current
from app.views.copy_link import copy_link
from app.views.decision import draw_decision, query_of
from pricing.offers import PriceSource


def draw_title() -> DeltaGenerator:
    """Title on the left; returns the place on the right that the link button fills once the plan is known."""
    with st.container(key="top", horizontal=True, vertical_alignment="center"):
        st.markdown("# Rightsize\nWhich model fits which machine, and what it costs a month.")
        return st.container(width="content", horizontal_alignment="right")


def draw_actions(place: DeltaGenerator, plan: Plan) -> None:
    """The link to the plan that is shown, with the question it answers, and the date of its price.

    The link freezes the estimate: a person's own measurements are not in it, so nobody else could check them.
    """
    with place:
        copy_link(query_of(current.estimated(), encode_question(current.asked())))
        if plan.chosen is not None and plan.chosen.offer is not None:
            st.caption(f"Prices: {source_phrase(plan.chosen.offer)}", text_alignment="right")


def draw_notices(plan: Plan) -> None:
    """Everything of the link or the boxes that was not used, by name, once."""
    unread = st.session_state.get("question_problems", ())
    found = {problem.message: problem for problem in (*st.session_state.problems, *current.problems(), *unread)}
    if found:
        lines = [
            f"- {in_code(problem.subject)} {in_markdown(problem.reason)}{_instead(problem)}"
            for problem in found.values()
        ]
        st.warning("\n".join(lines), icon=":material/info:")
    decision: Decision | None = st.session_state.get("linked_decision")
    offer = plan.chosen.offer if plan.chosen else None
    if decision is not None and mark_of(plan.asked) == mark_of(decision.scenario):
        draw_decision(decision, use_today=_thaw)
    elif offer is not None and offer.source is PriceSource.LINK:
        text, button = st.columns([4, 1], vertical_alignment="center")
        said = f"This link carries its own price: ${offer.usd_per_hour} an hour per machine, {source_phrase(offer)}."
        text.info(in_markdown(said))
        button.button("Use today's price", on_click=_thaw, width="stretch")


def _thaw() -> None:
    st.session_state.thawed = True


def _instead(problem: Problem) -> str:
    """What the page did about a value it could not read."""
    return "; the default was used." if "=" in problem.subject and problem.key not in ("v", "model") else ""
