"""The cheapest plan that meets the bar: the question, the answer in a sentence, its margins, the others, the report."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from app.exploring.question_link import Asked, encode_question, link_of, question_of
from app.figures.decisions import LATENCIES, cost_against_latency, cost_against_quality
from app.format import MONTHLY_COST, p95, usd
from app.planning.drafting import bound_words
from app.planning.plan import Candidate
from app.planning.recommendation import Recommendation
from app.planning.remembered import remembered_recommendation
from app.planning.sentences import load_phrase, model_name
from app.planning.words import (
    LIMITS,
    cautions,
    cheaper_sentence,
    drafting_of,
    headline,
    left_text,
    machine_of,
    precision_of,
    purchase_of,
    value_text,
    ways_out,
    weighed_sentence,
)
from app.scenario import QUESTION_KEYS, Scenario
from app.sources import dashboard_sources
from app.text import in_markdown
from app.views import current, question_inputs
from app.views.copy_link import copy_link
from app.views.decision import draw_exports
from app.views.parts import chart, old_price
from estimators.latency.estimate import SHORT_TIMES
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal

FIRST, EACH = f"{p95(SHORT_TIMES['ttft'])}, s", f"{p95(SHORT_TIMES['tpot'])}, ms"  # columns


def draw_answer(answer: Recommendation) -> None:
    with st.container(border=True, key="recommendation"):
        st.markdown(f"## {in_markdown(headline(answer))}")
        if not answer.plans:
            for line in ways_out(answer.loosenings):
                st.markdown(f"- {in_markdown(line)}")
            st.caption(in_markdown(weighed_sentence(answer)))
            return
        best = answer.plans[0]
        if warning := old_price(best.plan):
            st.warning(in_markdown(warning), icon=":material/history:")
        st.markdown(in_markdown(f"{purchase_of(best.candidate)}. Load: {load_phrase(answer.question.scenario)}."))
        st.markdown(f"- {in_markdown(cheaper_sentence(best.next_cheaper))}")
        for line in cautions(best):
            st.markdown(f"- {in_markdown(line)}")
        judged = best.candidate.quality
        if judged.result is not None:
            evidence = f" {judged.verdict.reason}." if judged.verdict else ""
            st.markdown(f"- Quality: {in_markdown(judged.result.reason + evidence)}")
        st.caption(in_markdown(weighed_sentence(answer)))


def draw_margins(best: Candidate) -> None:
    """One box per limit that was set, with what is left of it."""
    shown = [margin for margin in best.limits if margin.key not in ("rate", "capacity", "budget")]
    budget = [margin for margin in best.limits if margin.key == "budget"]
    columns = st.columns(len(shown) + 1)
    left = left_text(budget[0]) if budget else purchase_of(best)
    cost = usd(best.usd_per_month or Decimal(0))
    columns[0].metric(MONTHLY_COST, cost, delta=left, delta_color="off", delta_arrow="off", border=True)
    for column, margin in zip(columns[1:], shown, strict=True):
        name = LIMITS[margin.key]
        column.metric(
            name[0].upper() + name[1:],
            value_text(margin.key, margin.value),
            delta=left_text(margin),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )


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
            for line in (verdict.reason, *verdict.caveats, *(f"Source: {source}" for source in verdict.sources)):
                st.caption(in_markdown(line))
        if answer.without_evidence:
            st.caption(f"Nobody has published a comparison for: {in_markdown('; '.join(answer.without_evidence))}.")
        for note in answer.notes:
            st.caption(in_markdown(note))
        st.caption("Replicas are the fewest that keep up and meet the objectives at the 95th percentile.")


def draw_link(asked: Asked, scenario: Scenario) -> None:
    """The question as a link, and in the address bar, so that a reload asks it again."""
    flat = encode_question(asked)
    for key in QUESTION_KEYS:
        if key in flat and st.query_params.get(key) != flat[key]:
            st.query_params[key] = flat[key]
        elif key not in flat and key in st.query_params:
            del st.query_params[key]
    text, button = st.columns([3, 2], vertical_alignment="center")
    own = " Your own results files stay with you: they are not in it." if st.session_state.get("own_scores") else ""
    text.caption(f"The link asks this question again, at the prices of the day it is opened.{own}")
    with button:
        copy_link(urlencode(link_of(asked, scenario)), label="Copy link to this question", key="copy_question")


models = list(current.model_ids())
question_inputs.draw(models, list(dashboard_sources().book.regions))
asked = question_inputs.asked()
draw_link(asked, current.plan().asked)
try:
    question = question_of(asked, current.plan().asked, models, tuple(st.session_state.get("own_scores") or ()))
    with st.spinner("Weighing every combination"):
        found = remembered_recommendation(question, dashboard_sources())
except Refusal as refusal:
    st.error(in_markdown(str(refusal)), icon=":material/error:")
else:
    draw_answer(found)
    if found.plans:
        draw_margins(found.plans[0].candidate)
        draw_exports(found, encode_question(asked))
        draw_plans(found)
    draw_pictures(found)
    draw_evidence(found)
