"""Speed of the chosen plan in depth: ranges, the curve over load, and what bounds it."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import streamlit as st

from app.exploring.what_if import serving_curve
from app.figures.serving import step_bound, throughput_latency
from app.format import PER_MILLION, seconds, significant, span, usd
from app.planning.costs import usd_per_million_between
from app.planning.plan import Plan
from app.planning.sentences import load_phrase, verdict
from app.text import in_markdown
from app.views import current
from app.views.parts import chart, how
from estimators.latency import CurvePoint, Interval, LatencyEstimate
from estimators.latency.estimate import SHORT_TIMES, TIMES


def draw(plan: Plan, latency: LatencyEstimate) -> None:
    st.markdown(f"## {in_markdown(verdict(plan))}")
    st.markdown(f"Load: {load_phrase(plan.asked)}.")
    if latency.saturated:
        st.warning("The load is more than this plan serves; the times below are of a saturated server.")
    *columns, fourth = st.columns(4)
    for column, (key, name) in zip(columns, TIMES.items(), strict=True):
        mean, _ = latency.of(key)
        column.metric(name, span(mean.low, mean.high), border=True)
    fourth.metric("Tokens/s of a replica", _between(latency.output_tok_per_s), border=True)
    late = ", ".join(f"{name.lower()} {seconds(latency.of(key)[1])}" for key, name in SHORT_TIMES.items())
    st.caption(in_markdown(f"80 % intervals for the mean. 95th percentiles: {late}. Evidence: {latency.evidence}"))
    how({TIMES["e2e"]: latency.terms}, key="why_latency", label="Formula and source of every term")
    for note in latency.notes:
        st.info(in_markdown(note), icon=":material/info:")
    points = serving_curve(plan)
    if points:
        _draw_curve(plan, latency, points)
    st.markdown("### What bounds it")
    chart(
        step_bound(latency.decode_step, latency.prefill_step),
        key="bound",
        alt="Share of a decode step and of a prompt's prefill by operator, and the ceiling that binds each.",
    )
    st.caption(
        "Bandwidth: reading weights and cache. Compute: matrix products. Link: between GPUs. Launch, host: software."
    )


def _draw_curve(plan: Plan, latency: LatencyEstimate, points: tuple[CurvePoint, ...]) -> None:
    st.markdown("### Throughput against latency")
    figure = throughput_latency(points, plan.asked.tpot, latency.running_requests)
    chart(figure, key="curve", alt="Time per token against tokens per second at rising concurrency.")
    cost = plan.chosen.cost if plan.chosen else None
    replicas = max(1, plan.chosen.replicas) if plan.chosen else 1
    rows = [
        {
            "Requests at a time": f"{point.concurrency:g}" + (" (some wait)" if point.waits_for_memory else ""),
            SHORT_TIMES["ttft"]: span(point.ttft_s.low, point.ttft_s.high),
            SHORT_TIMES["tpot"]: span(point.tpot_s.low, point.tpot_s.high),
            "Tokens per second": _between(point.output_tok_per_s),
            PER_MILLION: _dollars(*usd_per_million_between(cost, replicas, point.output_tok_per_s)) if cost else "",
        }
        for point in points
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="curve_table")


def _between(rate: Interval) -> str:
    return f"{significant(rate.low, 2)} to {significant(rate.high, 2)}"


def _dollars(cheapest: Decimal, dearest: Decimal) -> str:
    return f"{usd(cheapest)} to {usd(dearest)}"


result = current.plan()
if result.chosen is not None and result.chosen.latency is not None:
    draw(result, result.chosen.latency)
else:
    st.error(in_markdown(verdict(result)))
