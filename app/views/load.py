"""The load in people's units: people, tasks a day or tokens a month, lengths that differ, or a log of requests."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import streamlit as st

from app.exploring.decision_link import unpinned
from app.exploring.load_units import (
    PeopleLoad,
    PlannedLoad,
    ServedLoad,
    Unit,
    boxes_of,
    keys_of,
    load_of,
    serve_load,
    traffic_of,
)
from app.exploring.load_words import load_finding
from app.exploring.traffic_log import FORMATS, TrafficLog, read_log
from app.figures.loads import lengths_and_times
from app.planning.budget import Allowance, OutOfBudget
from app.text import in_markdown
from app.views import current
from app.views.asking import amount, choice, draw_ending, draw_table, held, number, text
from app.views.parts import chart, how, uploader
from estimators.provenance import Refusal

KEYS = (
    "load_unit", "load_amount", "load_each", "load_peak", "week", "load_in", "load_out", "load_cached", "load_turns",
    "load_system",
)  # fmt: skip
START = PeopleLoad()
MOST_PASTED = 2_000_000  # characters


def draw_boxes() -> PeopleLoad:
    first = st.columns([1.6, 1, 1, 1, 1.2], vertical_alignment="bottom")
    amount(first[0], "How many", "load_amount", 0.000_001, 1e9, START.amount)
    choice(first[1], "Of what", "load_unit", [unit.value for unit in Unit], START.unit.value)
    amount(
        first[2],
        "Requests each",
        "load_each",
        0.001,
        1e5,
        START.each,
        "Of a person in an hour; calls of a task. Of no meaning for tokens a month.",
    )
    amount(
        first[3],
        "Peak factor",
        "load_peak",
        1.0,
        100.0,
        START.peak,
        "The busiest minutes over the mean of a busy hour.",
    )
    text(first[4], "Week", "week", START.week, "always, or 8-18x5@20: 8 to 18 o'clock on 5 days, 20 % otherwise.")
    second = st.columns(5, vertical_alignment="bottom")
    shape = "A mean such as 1024, or short/typical/long such as 200/1000/8000: a quarter, half and a quarter of them."
    text(second[0], "Tokens in, new", "load_in", START.prompt, shape)
    text(second[1], "Tokens out of each", "load_out", START.output, shape)
    amount(second[2], "Cached share", "load_cached", 0.0, 0.9999, START.prefix, "Of the input of a first turn.")
    number(
        second[3], "Turns", "load_turns", 1, 100, START.turns, "Of a conversation; each carries all before it, cached."
    )
    number(
        second[4], "System prompt, tokens", "load_system", 0, 1_000_000, START.system, "Before every request, cached."
    )
    return traffic_of(held(KEYS))


def draw_log() -> TrafficLog | None:
    """The lengths of a log, where one is given; a link does not carry it."""
    with st.expander("Lengths from a log", key="load_log_fold"):
        st.caption(
            in_markdown(
                f"{FORMATS} It stays in this visit: a link carries its rate, and the mean lengths of the "
                "shortest quarter, the middle half and the longest."
            )
        )
        file = uploader("Log", ["csv", "jsonl", "json", "txt", "log"], key="load_file")
        pasted = st.text_area("Or paste it", key="load_pasted", max_chars=MOST_PASTED, persist_state="session")
        if file is None and not pasted:
            return None
        lines = io.TextIOWrapper(file, encoding="utf-8", errors="replace") if file else io.StringIO(pasted)
        mark = file.file_id if file else hash(pasted)
        known: tuple[object, TrafficLog] | None = st.session_state.get("load_log_read")
        if known is not None and known[0] == mark:
            return known[1]
        try:
            with Allowance().spending():
                log = read_log(lines, datetime.now(UTC).date())
        except Refusal as refusal:
            st.error(in_markdown(str(refusal)), icon=":material/error:")
            return None
        except OutOfBudget:
            st.error("This log takes too long to read here. Give a part of it.", icon=":material/error:")
            return None
        st.session_state["load_log_read"] = mark, log
        return log


def draw(asked: PeopleLoad, log: TrafficLog | None) -> None:
    timed = (
        log is None or log.arrivals is None or st.toggle("Take the rate from the log's timestamps", True, key="timed")
    )
    try:
        load = load_of(asked, log, timed=timed)
        served = serve_load(unpinned(current.plan().asked), load, current.sources())
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
        return
    finding = load_finding(served, log)
    st.markdown(f"## {in_markdown(finding.sentence)}")
    left, right = st.columns([1, 1])
    left.button("Ask the first screen for this load", on_click=_take, args=(load,), key="take_load", width="stretch")
    with right:
        how({"Requests a second": load.terms}, key="why_load", label="How it became a rate")
    _draw_picture(served)
    draw_table(finding, key="load_table")
    instead = keys_of(boxes_of(asked, log, timed=timed)) if log is not None else None
    draw_ending(finding, KEYS, key="load", instead=instead)


def _draw_picture(served: ServedLoad) -> None:
    if len(served.load.lengths) > 1 and served.times:
        said = "Tokens in and out of each class of requests, and its time."
        chart(lengths_and_times(served), key="load_picture", alt=said)


def _take(load: PlannedLoad) -> None:
    """Into the shared boxes, which every page reads."""
    keys, state = load.keys, st.session_state
    state.rate, state.prompt, state.output = keys["rate"], int(keys["prompt"]), int(keys["output"])
    state.prefix, state.concurrency = keys["prefix"] if load.prefix else "", None
    state.max_len = max(load.longest, load.prompt + load.output) if len(load.lengths) > 1 else None


draw(draw_boxes(), draw_log())
