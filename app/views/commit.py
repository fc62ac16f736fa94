"""Sign for it? The plan's machines under every way to pay, what a fall of traffic puts at risk, and the best mix."""

from __future__ import annotations

import streamlit as st

from app.exploring.commit import Commitment, WaysToPay, asked_of, compare
from app.exploring.commit_words import finding_of, mix_sentence, week_words
from app.figures.commitments import over_hours_used
from app.planning.sentences import option_name, verdict
from app.text import in_markdown
from app.views import current
from app.views.asking import draw_ending, draw_table, held, number, text
from app.views.parts import chart
from estimators.provenance import Refusal
from pricing.cost import HOURS_PER_MONTH

KEYS = ("commit_fall", "commit_grow", "week", "commit_wait", "commit_redo")
START = Commitment()


def draw_boxes() -> Commitment:
    columns = st.columns([1, 1, 1.4, 1, 1], vertical_alignment="bottom")
    number(columns[0], "Traffic falls by, %", "commit_fall", 0, 100, START.fall)
    number(columns[1], "Traffic grows by, %", "commit_grow", 0, 1_000, START.grow)
    text(
        columns[2],
        "Week",
        "week",
        START.week,
        "always: every hour alike. 8-18x5@20: the peak from 8 to 18 o'clock on 5 days, 20 % of it otherwise.",
    )
    number(columns[3], "Can wait, %", "commit_wait", 0, 100, START.wait, "Share of the work that may run on spot.")
    number(columns[4], "Spot work done twice, %", "commit_redo", 0, 500, START.redo, "What interruptions throw away.")
    return asked_of(held(KEYS))


def draw(asked: Commitment) -> None:
    plan = current.plan()
    try:
        found = compare(plan, asked, current.sources())
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
        return
    finding = finding_of(plan, found)
    st.markdown(f"## {in_markdown(finding.sentence)}")
    st.markdown(f"The plan: {in_markdown(verdict(plan))} Load over the week: {week_words(asked.week)}.")
    if mixed := mix_sentence(found):
        st.markdown(f"**{in_markdown(mixed)}**")
    _draw_picture(found, finding.sentence)
    draw_table(finding, key="commit_table")
    draw_ending(finding, KEYS, key="commit")


def _draw_picture(found: WaysToPay, said: str) -> None:
    lines = [
        (option_name(way.option), float(found.now * way.offer.usd_per_hour * HOURS_PER_MONTH), way.option.committed)
        for way in found.ways
        if "convertible" not in way.option
    ]
    chart(over_hours_used(lines, found.share_used), key="commit_picture", alt=said)


draw(draw_boxes())
