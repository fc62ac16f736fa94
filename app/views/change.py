"""What would change this decision: where each assumption flips it, and how likely the plan is the cheapest."""

from __future__ import annotations

import streamlit as st

from app.exploring.asking import known_models
from app.exploring.decision_link import unpinned
from app.exploring.flip_words import finding_of, likely_sentence, name_text, turning_sentence, value_text
from app.exploring.flips import Decided, Outlook, decided, how_likely
from app.exploring.question_link import question_of
from app.figures.flips import Reach, reaches_to_flips
from app.planning.answer import narrowed_to
from app.planning.question import Question
from app.scenario import with_page_defaults
from app.text import in_markdown
from app.views import current
from app.views.asking import draw_ending, draw_table, held, number, query_of_question
from app.views.parts import chart
from estimators.provenance import Refusal

KEYS = ("change_traffic",)


def draw_boxes() -> float:
    columns = st.columns([1, 3])
    number(
        columns[0],
        "Traffic may be off by, %",
        "change_traffic",
        0,
        300,
        0,
        "80 of 100 cases lie within it, up or down: 50 is from two thirds to half more. Counts in how likely the plan "
        "is the cheapest.",
    )
    return float(held(KEYS).get("change_traffic", 0))


def asked_question() -> Question:
    """What the plan that is open answers: the question of the first screen, as far as its card goes. A frozen price,
    and the machine it is of, are left open: what they are held against is today's."""
    found, card = current.answer(), current.card()
    if found is not None and found.found is not None and card is not None:
        return narrowed_to(card, found.found.question, found.asked.asked)
    scenario = with_page_defaults(current.scenario())
    if scenario.load is not None:  # the plan is of the model as it is asked for
        return Question.of(unpinned(scenario))
    return question_of(current.asked(), unpinned(scenario), known_models())


def draw(traffic: float) -> None:
    sources = current.sources()
    try:
        question = asked_question()
        with st.spinner("Moving each assumption"):
            found = decided(question, sources)
            likely = how_likely(question, sources, traffic)
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)), icon=":material/error:")
        return
    finding = finding_of(found, likely)
    st.markdown(f"## {in_markdown(turning_sentence(found))}")
    st.markdown(in_markdown(likely_sentence(found, likely)))
    chart(reaches_to_flips(_reaches(found)), key="change_picture", alt=finding.sentence)
    draw_table(finding, key="change_table")
    draw_ending(finding, KEYS, key="change", query=query_of_question())


def _reaches(found: Decided) -> list[Reach]:
    near = found.by_nearness
    return [_reach(found, outlook) for outlook in (*near, *(o for o in found.outlooks if o not in near))]


def _reach(found: Decided, outlook: Outlook) -> Reach:
    down, up = outlook.down, outlook.up
    return Reach(
        name=name_text(found, outlook),
        down=0.0 if outlook.low >= outlook.now else outlook.distance(down) if down else None,
        up=0.0 if outlook.high <= outlook.now else outlook.distance(up) if up else None,
        down_said=value_text(outlook, down.value, unit=False) if down else "",
        up_said=value_text(outlook, up.value, unit=False) if up else "",
    )


draw(draw_boxes())
