"""What the entry point worked out for this run, handed to the page it runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from app.exploring.opened import PageSources, PlanShown
from app.exploring.question_link import Asked
from app.measuring.overlay import with_own_measurements
from app.planning.answer import Answer, Card
from app.planning.plan import Plan
from app.planning.remembered import remembered_plan
from app.scenario import Decoded, Problem, Scenario
from app.sources import WHILE_WAITING, LocalSources, MeasuredSources, dashboard_sources
from estimators.measuring.measurement import Measurement
from estimators.provenance import Refusal
from estimators.quality.scores import Score


@dataclass(slots=True)
class PageRun:
    """What one run of the page worked out. One entry of the session: Streamlit walks over all of them at every box."""

    sources: PageSources
    scenario: Scenario  # as the boxes hold it
    asked: Asked
    problems: tuple[Problem, ...]  # of the link the visit began with, then of the boxes now
    answer: Answer | None = None
    card: Card | None = None  # the one that is chosen
    plan: Plan = field(init=False)  # this and what follows are there once it is settled
    estimated: Plan = field(init=False)
    timed: bool = False


def begin(decoded: Decoded, asked: Asked, sources: LocalSources, own: Sequence[Measurement]) -> PageRun:
    """A run that plans from `sources`, with the start-up logs among this person's measurements."""
    logs = [made for made in own if made.logged is not None]
    planned_from = MeasuredSources(sources, logs) if logs else sources
    st.session_state["_run"] = _HERE.run = run = PageRun(planned_from, decoded.scenario, asked, decoded.problems)
    return run


_HERE = threading.local()  # a thread runs the pages of one visit; looking into the session takes longer


def _run() -> PageRun:
    found: PageRun = getattr(_HERE, "run", None) or st.session_state["_run"]
    return found


def plan() -> Plan:
    """The plan that is chosen in this run."""
    return _run().plan


def estimated() -> Plan:
    """The same plan before this person's measurements were laid over it."""
    return _run().estimated


def scenario() -> Scenario:
    """What the boxes hold, without the page's own defaults."""
    return _run().scenario


def asked() -> Asked:
    """What the boxes hold beyond the scenario."""
    return _run().asked


def answer() -> Answer | None:
    """The cards of this run."""
    return _run().answer


def card() -> Card | None:
    """The card that is chosen."""
    return _run().card


def problems() -> tuple[Problem, ...]:
    """What could not be used."""
    return _run().problems


def sources() -> PageSources:
    """What this run plans from, for pages that ask what else could be done."""
    return _run().sources


def timed() -> bool:
    """Whether this person's measurements moved the times of the plan."""
    return _run().timed


def own_measurements() -> tuple[Measurement, ...]:
    """The measurements this person chose to use."""
    chosen: list[str] = st.session_state.get("own_measurements", [])
    if not chosen:
        return ()
    from app.measuring.jobs import measurement_store

    try:
        with WHILE_WAITING.get()():
            return measurement_store().find(chosen)
    except Refusal:  # the database is away: the estimate stands as published rows made it
        return ()


def settle(run: PageRun, found: PlanShown, own: Sequence[Measurement]) -> Plan:
    """The plan of this run, narrowed by this person's measurements of speed; as it is without any. Logs of memory were
    in what made it."""
    run.answer, run.card, plan = found
    logged = isinstance(run.sources, MeasuredSources) and plan.refusal is None
    run.estimated = remembered_plan(plan.resolved, dashboard_sources()) if logged else plan
    run.plan = with_own_measurements(plan, [made for made in own if made.logged is None])
    run.timed = run.plan is not plan
    return run.plan


def own_scores() -> tuple[Score, ...]:
    """Scores of this person's own runs that count in the plan: read in this visit, or kept and chosen."""
    read: tuple[Score, ...] = tuple(st.session_state.get("own_scores", ()))
    chosen: list[str] = st.session_state.get("used_scores") or []
    if not chosen:
        return read
    from app.measuring.jobs import measurement_store

    try:
        with WHILE_WAITING.get()():
            kept = measurement_store().quality_scores()
    except Refusal:  # the database is away: what is published decides
        return read
    return (*read, *(entry.score for entry in kept if entry.id in chosen and entry.score not in read))


def hub_question(plan: Plan) -> str:
    """What a checkpoint that was seen on the Hub is remembered by, on every page."""
    return f"{plan.asked.model} {plan.precision.weights if plan.precision else ''}"
