"""Tasks of several calls, and routers: what they cost against one large model for everything."""

from __future__ import annotations

import streamlit as st

from app.exploring.asking import known_models
from app.exploring.decision_link import unpinned
from app.exploring.finding import PageFinding
from app.exploring.pipeline import (
    Pipeline,
    Router,
    Routing,
    TaskBill,
    TaskLoad,
    price_pipeline,
    price_router,
    router_of,
    task_load_of,
)
from app.exploring.pipeline_steps import EXAMPLES, SHAPE, parse_steps
from app.exploring.pipeline_words import model_of, pipeline_finding, routing_finding
from app.figures.pipelines import cost_by_share, cost_of_tasks
from app.text import in_markdown
from app.views import current
from app.views.asking import amount, draw_ending, draw_table, held, text
from app.views.parts import chart
from estimators.provenance import Refusal

STEPS, ROUTER = "steps", "router"
OF_BOTH = ("pipe_kind", "pipe_tasks", "pipe_peak", "week", "pipe_large")
KEYS = {
    STEPS: (*OF_BOTH, "pipe_bar", "pipe_steps"),
    ROUTER: (*OF_BOTH, "route_small", "route_by", "route_share", "route_fail"),
}
LOAD, ROUTE = TaskLoad(), Router()


def draw_boxes() -> str:
    """What both ways ask; which of the two it is."""
    st.segmented_control(
        "Ask about",
        (STEPS, ROUTER),
        default=STEPS,
        key="pipe_kind",
        bind="query-params",
        persist_state="session",
        required=True,
        help="The steps of a task, or a router in front of a small and a large model.",
    )
    columns = st.columns([1, 1, 1.2, 2.2], vertical_alignment="bottom")
    amount(columns[0], "Tasks a day", "pipe_tasks", 0.001, 1e9, LOAD.tasks)
    amount(
        columns[1], "Peak factor", "pipe_peak", 1.0, 100.0, LOAD.peak, "The busiest minutes over the mean of an hour."
    )
    text(columns[2], "Week", "week", LOAD.week, "always, or 8-18x5@20: 8 to 18 o'clock on 5 days, 20 % otherwise.")
    text(columns[3], "One large model for everything", "pipe_large", LOAD.large)
    return str(st.session_state.get("pipe_kind") or STEPS)


def draw_steps() -> None:
    st.pills("Examples", list(EXAMPLES), key="pipe_example", on_change=_take_example, label_visibility="collapsed")
    left, right = st.columns([5, 1.2])
    left.text_area(
        "Steps, a line each: name, model, calls, tokens in, tokens out, cached share, after",
        next(iter(EXAMPLES.values())),
        key="pipe_steps",
        bind="query-params",
        persist_state="session",
        max_chars=2_000,
        height=120,
        help=f"{SHAPE}. The model may be any: whatever is good enough. Calls run one after another, or 5 at once. "
        "After is empty for the step above, - for the start, or names joined by +.",
    )
    amount(right, "Good enough, %", "pipe_bar", 1.0, 200.0, LOAD.bar, "Of the large model's published score, for any.")


def draw_router() -> None:
    columns = st.columns([2, 2, 1, 1], vertical_alignment="bottom")
    text(columns[0], "Small model", "route_small", ROUTE.small)
    text(columns[1], "Model that routes", "route_by", ROUTE.by, "A call of 512 tokens in and 4 out before every task.")
    amount(columns[2], "Small takes, %", "route_share", 0.0, 100.0, ROUTE.share)
    amount(columns[3], "Of which fail, %", "route_fail", 0.0, 100.0, ROUTE.fail, "And go on to the large model.")


def draw(kind: str) -> None:
    """The answer. Tokens of a routed task are those of the boxes above."""
    values, known, sources = held(KEYS[kind]), known_models(), current.sources()
    scenario, asked = unpinned(current.plan().asked), task_load_of(values)
    try:
        if kind == ROUTER:
            routed = price_router(router_of(values), asked, scenario, sources, known)
            _draw_answer(routing_finding(routed), kind, routed)
        else:
            steps = parse_steps(values.get("pipe_steps", ""))
            found = price_pipeline(steps, asked, scenario, sources, known)
            _draw_answer(pipeline_finding(found), kind, found)
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")


def _draw_answer(finding: PageFinding, kind: str, found: Pipeline | Routing) -> None:
    st.markdown(f"## {in_markdown(finding.sentence)}")
    if isinstance(found, Routing):
        curve = [(share, float(cost)) for share, cost in found.curve]
        figure = cost_by_share(curve, float(found.all_large.usd_per_month), found.router.share)
    else:
        bars = [("these steps", _pools(found.mixed))]
        bars += [("one large model", _pools(found.all_large))] if found.all_large else []
        figure = cost_of_tasks(bars)
    chart(figure, key="pipe_picture", alt=finding.sentence)
    draw_table(finding, key="pipe_table")
    draw_ending(finding, KEYS[kind], key="pipelines")


def _pools(bill: TaskBill) -> list[tuple[str, float]]:
    return [(model_of(pool), float(pool.usd_per_month)) for pool in bill.pools]


def _take_example() -> None:
    if example := EXAMPLES.get(st.session_state.get("pipe_example") or ""):
        st.session_state.pipe_steps = example


kind = draw_boxes()
if kind == ROUTER:
    draw_router()
else:
    draw_steps()
draw(kind)
