"""What another model would save, and whether it is good enough: one table, worked out when it is opened."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app.exploring.good_enough import GoodEnough, evidence, good_enough, machines_of, sentence, tasks_of
from app.exploring.question_link import question_of
from app.planning.question import Question
from app.planning.recommendation import Recommendation
from app.planning.remembered import remembered_recommendation
from app.planning.sentences import model_name
from app.scenario import Scenario
from app.text import in_markdown
from app.views import current
from estimators.provenance import Refusal


def draw() -> None:
    """Folded; nothing of it is worked out before somebody opens it."""
    found, asked = current.answer(), current.asked()
    if found is None or found.asked.asked.model is None or asked.owned or len(asked.models) > 1:
        return
    as_asked, reference = found.asked, found.asked.asked.model
    with st.expander("Would a smaller model do, and what would it save?", key="good_enough", on_change="rerun") as fold:
        if not fold.open:
            return
        tasks = tasks_of(asked.use, asked.task if asked.percent is not None else None)
        try:
            with st.spinner("Weighing other models ..."):
                question = question_of(replace(asked, models=(reference,)), as_asked.asked, ())
                table = good_enough(reference, tasks, question, as_asked, _remembered)
        except Refusal as refusal:
            st.info(in_markdown(str(refusal)), icon=":material/info:")
            return
        _draw_table(table)


def _remembered(question: Question) -> Recommendation:
    return remembered_recommendation(question, current.sources())


def _draw_table(table: GoodEnough) -> None:
    st.markdown(f"**{in_markdown(sentence(table))}**")
    bench = table.benchmark.name
    rows = [
        {
            "Model": model_name(Scenario(model=row.model)),
            "Parameters": f"{row.params / 1e9:.4g} B",
            bench: f"{row.pair.candidate.score:g}" if row.pair else "no score",
            "Of the reference": 100 * row.pair.ratio if row.pair else None,
            "A month": float(row.usd_month) if row.usd_month is not None else None,
            "Saves a month": float(row.saving_usd) if row.saving_usd is not None else None,
            "Machines": machines_of(row),
            "Hosted API, a month": float(row.api_usd_month) if row.api_usd_month is not None else None,
            "Evidence": evidence(row),
        }
        for row in table.rows
    ]
    money = st.column_config.NumberColumn(format="dollar")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="good_enough_table",
        height=37 + 35 * len(rows),
        column_config={
            "A month": money,
            "Saves a month": money,
            "Hosted API, a month": money,
            "Of the reference": st.column_config.NumberColumn(format="%.0f %%"),
        },
    )
    lines = []
    if table.task is not table.wanted:
        wanted, task = (task.value.replace("-", " ") for task in (table.wanted, table.task))
        name = model_name(Scenario(model=table.reference))
        lines.append(f"Nobody has measured {name} beside others on {wanted}; {task} is shown in its place.")
    lines.append(f"Every score is of {bench} as {table.ruler[1]} ran it ({table.source}).")
    lines.append(
        "Dollars are each model as published on the cheapest machines that meet the limits above; less precision may "
        "save more. The API is the cheapest that lists the model, for the same requests. "
        "Reasoning takes more tokens than this load has."
    )
    st.caption(in_markdown(" ".join(lines)))
