"""How far the estimates were from published measurements: tables made by commands, kept as data, read here."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.figures.accuracy import predicted_against_published
from app.measuring.accuracy import (
    GROUPS,
    LATENCY_COMMAND,
    class_checks,
    class_summary,
    figures,
    group_scores,
    interval_scores,
    left_out_scores,
    memory_scores,
    misses,
    percentile_scores,
    speed_scores,
    worst_figures,
)
from app.measuring.peers import beside, tool
from app.views.parts import chart
from estimators.fitting.held_out import LEFT_OUT

st.markdown("## How accurate are these estimates?")
st.markdown(
    "Every figure here is the result of a command that anyone can run on facts in the repository. "
    "Its output is kept as dated data and shown as it is."
)

st.markdown("### Memory, against what servers logged")
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

PERCENT = st.column_config.NumberColumn(format="percent")

st.markdown("### Architectures, against the classes that run them")
st.markdown(class_summary())
with st.expander("Type by type"):
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model type": check.model_type,
                    "Parameters built": check.params,
                    "Parameters read": check.read_params,
                    "Cache per token built": check.cache,
                    "Cache per token read": check.read_cache,
                    "Other sizes": check.sizes,
                    "Of them exact": check.exact,
                    "Worst": check.worst,
                    "Read": check.reading,
                }
                for check in class_checks()
            ]
        ),
        hide_index=True,
        key="class_checks",
        column_config={"Worst": PERCENT},
    )
    st.caption(f"Elements of keys and values per token. {class_checks()[0].source}, {class_checks()[0].as_of}.")

st.markdown("### Speed, against published benchmarks the fit never saw")
st.dataframe(
    pd.DataFrame(
        [
            {
                "What": what,
                "Rows": score.rows,
                "Publications": score.publications,
                "Median error": score.median,
                "Median of rows": score.of_rows,
                "Within 20 %": score.within_20,
                "Within 30 %": score.within_30,
                "To reach": reach,
            }
            for what, reach, score in speed_scores()
        ]
    ),
    hide_index=True,
    key="speed_scores",
    column_config={
        **dict.fromkeys(("Median error", "Median of rows", "Within 20 %", "Within 30 %"), PERCENT),
        "To reach": st.column_config.TextColumn(width="large"),
    },
)
st.caption(
    f"`{LATENCY_COMMAND}`. Each row is predicted by a fit that left out every row of its publication; in the medians "
    "and shares every publication weighs alike, however many rows it prints."
)
with st.expander("With other things left out"):
    st.dataframe(
        pd.DataFrame(
            [
                {"What": what, "Nothing": found["fit"].median}
                | {name.capitalize(): found[key].median for key, name in LEFT_OUT.items()}
                for what, found in left_out_scores()
            ]
        ),
        hide_index=True,
        key="left_out_scores",
        column_config=dict.fromkeys(("Nothing", *(text.capitalize() for text in LEFT_OUT.values())), PERCENT),
    )
with st.expander("What is not reached, and which rows it comes from"):
    for miss in misses():
        st.markdown(f"**{miss.what}**: to reach {miss.reach}. {miss.noise}")
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Model": group.model,
                        "Engine": group.engine,
                        "Format": group.path,
                        "Rows": group.rows,
                        "Beyond the reach": group.beyond,
                        "Estimate, and what it rests on": group.sentence,
                    }
                    for group in miss.groups
                ]
            ),
            hide_index=True,
            key=f"missed_{miss.what}",
        )
chart(
    predicted_against_published(figures()),
    key="predicted",
    alt="Predicted against published times on logarithmic axes, with a band of 20 % either way.",
)

st.markdown("### Do the 80 % intervals hold?")
st.dataframe(
    pd.DataFrame(
        [
            {
                "Load": score.kind.replace("_", " "),
                "Figure": score.metric,
                "Publications": score.publications,
                "Rows": score.rows,
                "Held, of rows": score.covered,
                "Publications alike": score.alike,
                "Median half width": score.half_width,
            }
            for score in interval_scores()
        ]
    ),
    hide_index=True,
    key="interval_scores",
    column_config={"Held, of rows": PERCENT, "Publications alike": PERCENT, "Median half width": PERCENT},
)

st.markdown("### How far are late requests from typical ones?")
st.dataframe(
    pd.DataFrame(
        [
            {
                "Load": score.load,
                "Figure": score.figure,
                "Percentile": f"p{score.level}",
                "Publications": score.publications,
                "Rows": score.rows,
                "Over the median, printed": score.printed,
                "Estimated": score.estimated,
                "Off": score.error,
                "The time itself, off": score.value_error,
            }
            for score in percentile_scores()
        ]
    ),
    hide_index=True,
    key="percentile_scores",
    column_config={
        **dict.fromkeys(("Off", "The time itself, off"), PERCENT),
        **dict.fromkeys(("Over the median, printed", "Estimated"), st.column_config.NumberColumn(format="%.2f")),
    },
)
st.caption(
    "A percentile says how late some of one server's requests are; the interval above says how far its mean may be "
    "from the estimate. The time itself stands on a mean from a fit without the publication."
)

st.markdown("### Where it is good, and where not")
group = st.selectbox("By", list(GROUPS), key="accuracy_group")
st.dataframe(
    pd.DataFrame(
        [
            {group: score.name, "Figures": score.rows, "Median error": score.median, "Within 20 %": score.within_20}
            for score in group_scores(group)
        ]
    ),
    hide_index=True,
    key="group_scores",
    column_config={"Median error": PERCENT, "Within 20 %": PERCENT},
)
with st.expander("The worst figures"):
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "Model": figure.model,
                    "Precision": figure.precision,
                    "Accelerator": f"{figure.gpus} x {figure.accelerator}",
                    "Engine": figure.engine,
                    "Load": f"{figure.kind.replace('_', ' ')} {figure.load}",
                    "Figure": figure.metric,
                    "Published": figure.published,
                    "Predicted": figure.without_model,
                    "Source": figure.source,
                }
                for figure in worst_figures()
            ]
        ),
        hide_index=True,
        key="worst",
    )
with st.expander(f"Beside {tool()}, on the same rows"):
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "What": found.what,
                    "Rows": found.ours.rows,
                    "Publications": found.ours.publications,
                    "Median error, ours": found.ours.median,
                    "Theirs": found.theirs.median,
                    "Median of rows, ours": found.ours.of_rows,
                    "Of rows, theirs": found.theirs.of_rows,
                    "Within 20 %, ours": found.ours.within_20,
                    "Within 20 %, theirs": found.theirs.within_20,
                    "Theirs all measured": found.measured,
                    "It is nearer on": ", ".join(found.ahead),
                    "It does not answer": found.refusals,
                }
                for found in beside()
            ]
        ),
        hide_index=True,
        key="beside",
        column_config=dict.fromkeys(
            (
                "Median error, ours",
                "Theirs",
                "Median of rows, ours",
                "Of rows, theirs",
                "Within 20 %, ours",
                "Within 20 %, theirs",
                "Theirs all measured",
            ),
            PERCENT,
        ),
    )
    st.caption(
        "Both over exactly the rows that both answer; ours by a fit without the publication, theirs as it is shipped. "
        "What it does not answer counts for neither. Other estimators were not run on these rows."
    )
