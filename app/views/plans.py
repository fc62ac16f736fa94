"""All plans that meet every limit: the table, why the cheaper ones fail, the pictures, and the evidence."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.figures.decisions import LATENCIES, cost_against_latency, cost_against_quality
from app.format import p95
from app.planning.drafting import bound_words
from app.planning.plan import Candidate
from app.planning.recommendation import Recommendation
from app.planning.sentences import model_name
from app.planning.words import (
    cheaper_sentence,
    drafting_of,
    machine_of,
    precision_of,
    purchase_of,
)
from app.scenario import Scenario
from app.text import in_markdown, in_markdown_with_links
from app.views.parts import chart
from estimators.latency.estimate import SHORT_TIMES
from estimators.precision import KvPrecision, Weights

FIRST, EACH = f"{p95(SHORT_TIMES['ttft'])}, s", f"{p95(SHORT_TIMES['tpot'])}, ms"  # columns


def draw_plans(answer: Recommendation) -> None:
    st.markdown("### Plans that meet every limit")
    drafting = any(ranked.candidate.drafting for ranked in answer.plans)
    rows = [
        {
            "": number,
            "Model": model_name(ranked.candidate.scenario),
            "Precision": _precision(ranked.candidate),
            "A month": float(ranked.candidate.usd_per_month or 0),
            FIRST: ranked.candidate.ttft_p95_s,
            EACH: (ranked.candidate.tpot_p95_s or 0) * 1e3,
            **({"Quality": 100 * (ranked.candidate.quality.ratio or 0)} if answer.question.bar else {}),
            "Machines": machine_of(ranked.candidate),
            **({"Speculative decoding": drafting_of(ranked.candidate)} if drafting else {}),
            "Bought": purchase_of(ranked.candidate),
        }
        for number, ranked in enumerate(answer.plans, start=1)
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="plans",
        column_config={
            "Model": st.column_config.TextColumn(width="medium"),
            "A month": number(format="dollar"),
            FIRST: number(format="%.2f"),
            EACH: number(format="%.1f"),
            "Quality": number(format="%.1f %%", help="Of the reference, on the task of the bar."),
        },
    )
    st.caption("One line per model, precision and accelerator: its cheapest layout, machine size, region and payment.")
    draw_reasons(answer)


def _precision(candidate: Candidate) -> str:
    """In a cell, where no sentence stands around it."""
    if candidate.scenario.weights is not Weights.AS_PUBLISHED:
        return precision_of(candidate)
    return "as published, cache in FP8" if candidate.scenario.kv is KvPrecision.FP8 else "as published"


def draw_reasons(answer: Recommendation) -> None:
    """Why the next cheaper candidate of each line fails, and what is known of the drafting, in full."""
    reasons: dict[str, list[int]] = {}
    evidence: dict[str, list[int]] = {}
    for number, ranked in enumerate(answer.plans, start=1):
        listed = number > 1 and ranked.next_cheaper is None
        said = "All that is cheaper stands above." if listed else cheaper_sentence(ranked.next_cheaper)
        reasons.setdefault(said, []).append(number)
        if drafting := ranked.candidate.drafting:
            known = f"{drafting.name}: acceptance {drafting.drafted.said}; {drafting.drafted.note}. "
            bound = bound_words(drafting.bound, ranked.candidate.model)
            known += f"{bound[0].upper()}{bound[1:]}."
            evidence.setdefault(known, []).append(number)
    st.markdown("**Why the next cheaper fails**")
    for said, lines in reasons.items():
        st.markdown(f"- {_numbers(lines)}: {in_markdown(said)}")
    if evidence:
        st.markdown("**What is known of speculative decoding here**")
    for said, lines in evidence.items():
        st.markdown(f"- {_numbers(lines)}: {in_markdown(said)}")


def _numbers(lines: list[int]) -> str:
    return f"Line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"


def draw_pictures(answer: Recommendation) -> None:
    if not any(point.usd_per_month > 0 for point in answer.points):
        return  # nothing that could be laid over cost: hardware that is written off
    asked = answer.question.scenario
    st.markdown("### Cost against latency")
    keys = [key for key in LATENCIES if getattr(asked, key) is not None] or ["ttft"]
    figure = cost_against_latency(answer.points, keys[0], getattr(asked, keys[0]))
    chart(figure, key="cost_latency", alt=f"{LATENCIES[keys[0]][0]}.")
    bar = answer.question.bar
    st.markdown("### Cost against quality")
    if bar is None:
        st.caption("Set a quality bar above to see published quality here.")
        return
    figure = cost_against_quality(answer.points, bar.minimum_ratio, model_name(Scenario(model=bar.reference)))
    chart(figure, key="cost_quality", alt=f"Quality on {bar.task}.")


def draw_evidence(answer: Recommendation) -> None:
    with st.expander("Evidence, what was left out, and what is missing", key="evidence"):
        if answer.plans and (verdict := answer.plans[0].candidate.quality.verdict) is not None:
            for line in (verdict.reason, *verdict.caveats):
                st.caption(in_markdown(line))
            for source in verdict.sources:
                st.caption(f"Source: {in_markdown_with_links(source)}")
        if answer.without_evidence:
            st.caption(f"Nobody has published a comparison for: {in_markdown('; '.join(answer.without_evidence))}.")
        for note in answer.notes:
            st.caption(in_markdown(note))
        st.caption("Replicas are the fewest that keep up and meet the objectives at the 95th percentile.")
