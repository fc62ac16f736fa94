"""Memory of the chosen machine in depth: every term, its limits, and what would change it."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from app.exploring.start import checkpoint_on_the_hub, launch_of
from app.exploring.what_if import (
    MemoryVariant,
    memory_by_concurrency,
    memory_by_context,
    memory_variants,
)
from app.figures.serving import memory_by_role, memory_line
from app.format import GIB, MEMORY_PER_GPU, gib, plural
from app.measuring.jobs import measurement_store
from app.measuring.kept_log import measurement_of
from app.measuring.overlay import memory_effect, sentences, with_own_measurements
from app.measuring.startup_log import LONGEST_LOG, compared, expected
from app.planning.plan import Candidate, Plan
from app.planning.sentences import verdict
from app.sources import dashboard_sources
from app.text import in_markdown
from app.views import current
from app.views.authority import may_measure
from app.views.parts import chart, how
from estimators.memory import MemoryEstimate
from estimators.provenance import Refusal


def draw(plan: Plan, chosen: Candidate, memory: MemoryEstimate) -> None:
    st.markdown(f"## {in_markdown(verdict(plan))}")
    used = f"{gib(memory.memory_bytes_per_gpu)} of {gib(memory.memory_budget_bytes_per_gpu)}"
    interval = f"{gib(memory.memory_bytes_per_gpu_low)} to {gib(memory.memory_bytes_per_gpu_high)}"
    tokens, longest = _tokens(plan), plan.asked.max_len or 0
    each = f"{tokens:,} tokens at once, "
    if longest > tokens:
        each += f"**{plural(memory.longest_concurrency, 'request')}** of the longest context, {longest:,} tokens, "
    st.markdown(
        f"The fullest GPU needs **{used}** it may use (80 % interval {interval}). The machine holds "
        f"**{plural(memory.max_concurrency, 'request')}** of {each}or "
        f"one context of up to **{memory.max_context:,} tokens** at this concurrency."
    )
    for note in memory.notes:
        st.info(in_markdown(note), icon=":material/info:")
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("### What fills it")
        chart(memory_by_role(memory), key="by_role", alt=f"Memory per GPU by term: {used}.")
        how({MEMORY_PER_GPU: memory.terms}, key="why_memory", label="Formula and source of every term")
    with right:
        st.markdown("### Start it")
        _draw_start(plan, memory)
    _draw_lines(plan, memory)
    _draw_variants(memory_variants(plan))


def _draw_start(plan: Plan, memory: MemoryEstimate) -> None:
    """The command, what it stands on, and what its log should show."""
    key = current.hub_question(plan)
    found = st.session_state.get("hub_checkpoint", {}).get(key)
    start = launch_of(plan, found)
    if start.command:
        st.code(start.command, language="bash", wrap_lines=True)
        copies = plan.chosen.replicas if plan.chosen else 1
        apart = f"one of the plan's {copies} replicas with vLLM; on one machine each needs GPUs and a port of its own"
        st.caption(f"Starts {apart if copies > 1 else 'this plan with vLLM'}.")
    else:
        st.caption(in_markdown(f"There is no command to copy. {start.why}"))
    for note in start.notes:
        st.caption(in_markdown(note))
    if start.recipe is not None:
        with st.expander("The script that makes the checkpoint", key="start_recipe"):
            st.caption(in_markdown(f"{start.recipe.title}. Checked: {start.recipe.verified}. {start.recipe.note}"))
            st.code(start.recipe.script, language="python")
    if not start.published and st.button("Look for one on the Hub", key="find_checkpoint"):
        with st.spinner("Asking the Hub"):
            found, problem = checkpoint_on_the_hub(plan, dashboard_sources())
        if found is None:
            st.caption(in_markdown(problem))
        else:
            st.session_state["hub_checkpoint"] = {key: found}
            st.rerun()
    _draw_log(start.memory or memory, start.max_model_len or plan.asked.max_len or _tokens(plan))


def _tokens(plan: Plan) -> int:
    return plan.asked.prompt + plan.asked.output


def _draw_log(memory: MemoryEstimate, longest: int) -> None:
    lines = expected(memory, longest)
    if lines:
        st.markdown("In its log you should see")
        st.code(lines, language=None, wrap_lines=True)
    text = st.text_area(
        "Compare with a start-up log",
        key="startup_log",
        max_chars=LONGEST_LOG,
        placeholder="Paste what vLLM or SGLang printed when it started.",
        help="Of a log that you keep, its figures and settings are stored, not its text.",
    )
    if not text:
        return
    figures = compared(text, memory)
    if not figures:
        st.caption("None of these lines is known here: weights, memory for the cache, its tokens, its requests.")
        return
    rows = [
        {
            "Line": f"{figure.what}, {figure.unit}",
            "Logged": figure.logged,
            "Estimated": figure.estimated,
            "Off, %": None if figure.off is None else 100 * figure.off,
        }
        for figure in figures
    ]
    number = st.column_config.NumberColumn(format="%.2f")
    shown = {"Logged": number, "Estimated": number, "Off, %": st.column_config.NumberColumn(format="%+.1f")}
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="log_lines", column_config=shown)
    _draw_keeping(text)


def _draw_keeping(text: str) -> None:
    """What the log says of the plan, and the button that stores it and uses it from now on."""
    plan = current.estimated()
    try:
        made = measurement_of(text, plan, datetime.now(UTC))
    except Refusal as refusal:
        st.caption(in_markdown(f"It is not kept as a measurement: {refusal}"))
        return
    after = with_own_measurements(plan, [made])
    if (moved := memory_effect(plan, after)) is not None:
        before, now = (f"{gib(m.value)} ({gib(m.low)} to {gib(m.high)})" for m in moved)
        st.caption(in_markdown(f"{' '.join(sentences(plan, after))} The {before} needed per GPU become {now}."))
    if may_measure() and st.button("Keep it and use it in the plan", key="keep_log"):
        try:
            measurement_store().add([made])
        except Refusal as refusal:
            st.error(in_markdown(str(refusal)))
            return
        st.session_state.setdefault("own_measurements", []).append(made.id)
        st.rerun()


def _draw_lines(plan: Plan, memory: MemoryEstimate) -> None:
    left, right = st.columns(2, gap="large")
    limit = memory.memory_budget_bytes_per_gpu
    with left:
        st.markdown("### As requests grow")
        figure = memory_line(memory_by_concurrency(plan), limit, "requests at a time")
        chart(figure, key="by_flight", alt="Memory per GPU against concurrency.")
    points = memory_by_context(plan)
    with right:
        st.markdown("### As the context grows")
        if points:
            figure = memory_line(points, limit, "tokens of context")
            chart(figure, key="by_context", alt="Memory per GPU against context length.")


def _draw_variants(variants: tuple[MemoryVariant, ...]) -> None:
    st.markdown("### What if")
    rows = [
        {
            "Weights": variant.weights.value,
            "KV cache": variant.kv.value,
            "GPUs": variant.tp,
            "Fits": "yes" if variant.memory and variant.memory.fits and not variant.problem else "no",
            "Needed, GiB per GPU": variant.memory.memory_bytes_per_gpu / GIB if variant.memory else None,
            "Holds": variant.memory.max_concurrency if variant.memory else None,
            "Longest context": variant.memory.max_context if variant.memory else None,
            "": "now" if variant.current else "",
            "Why not": variant.problem,
        }
        for variant in variants
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="variants",
        column_config={"Needed, GiB per GPU": st.column_config.NumberColumn(format="%.1f")},
    )


result = current.plan()
if result.chosen is not None and result.chosen.memory is not None:
    draw(result, result.chosen, result.chosen.memory)
else:
    st.error(in_markdown(verdict(result)))
