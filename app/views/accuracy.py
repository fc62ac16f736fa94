"""How far the estimates were from published measurements: tables made by commands, kept as data, read here."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.accuracy import latency_scores, memory_scores

st.markdown("### How accurate are these estimates?")
st.markdown(
    "Every figure here is the result of a command that anyone can run on facts in the repository. "
    "Its output is kept as dated data and shown as it is."
)

st.markdown("#### Memory, against what servers logged")
memory = memory_scores()
percent = {
    name: st.column_config.NumberColumn(format="percent") for name in ("Median error", "90th percentile", "Worst")
}
st.dataframe(
    pd.DataFrame(
        [
            {
                "What": score.measure,
                "Measured by": score.table,
                "Rows": score.rows,
                "Median error": score.median_error,
                "90th percentile": score.p90_error,
                "Worst": score.worst_error,
            }
            for score in memory
        ]
    ),
    hide_index=True,
    key="memory_scores",
    column_config=percent,
)
st.caption(
    f"`{memory[0].command}`, {memory[0].as_of}. Rows that cannot be compared are listed with their reason below."
)
with st.expander("Rows left out, and why"):
    for score in memory:
        st.markdown(f"**{score.measure}, {score.table}**")
        st.caption(score.left_out or "none")

scores = latency_scores()
if scores:
    st.markdown("#### Speed, against published benchmarks")
