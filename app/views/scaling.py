"""What size to train, and the smaller one that serving asks for, by three published scaling laws."""

from __future__ import annotations

import streamlit as st

from app.exploring.scaling import Training, finding_of, known_of, sizes, training_of
from app.figures.scaling import smaller_trained_longer
from app.text import in_markdown
from app.views import current
from app.views.asking import draw_ending, draw_table, held, number, text
from app.views.parts import chart
from estimators.provenance import Refusal
from estimators.quality.scaling_laws import trained_models

KEYS = ("law_budget", "law_mfu", "law_served", "law_months")
START = Training()


def draw_boxes() -> Training:
    columns = st.columns([1.4, 1, 1.4, 1], vertical_alignment="bottom")
    text(
        columns[0],
        "Training budget",
        "law_budget",
        START.budget,
        "FLOP such as 5.76e23 (Chinchilla's), or dollars of H100 hours such as $1000000.",
    )
    number(
        columns[1], "Of the peak, %", "law_mfu", 1, 100, START.mfu, "Share of the H100's peak that training reaches."
    )
    text(
        columns[2],
        "Tokens served over its life",
        "law_served",
        "",
        "In and out. Blank: what the plan's load makes in the months beside.",
        shown="the plan's load",
    )
    number(columns[3], "Months served", "law_months", 1, 240, START.months)
    return training_of(held(KEYS))


def draw(asked: Training) -> None:
    try:
        found = sizes(current.plan(), asked, current.sources())
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
        return
    finding, pair = finding_of(found), found.pair
    st.markdown(f"## {in_markdown(finding.sentence)}")
    figure = smaller_trained_longer(pair.law, pair.trained, pair.served, trained_models())
    chart(figure, key="scaling_picture", alt=finding.sentence)
    st.caption("Right of the dotted line models are larger than any the constants were fitted on.")
    draw_table(finding, key="scaling_table")
    with st.expander("Known models on the law", key="scaling_known"):
        draw_table(known_of(), key="known_table")
    draw_ending(finding, KEYS, key="scaling")


draw(draw_boxes())
