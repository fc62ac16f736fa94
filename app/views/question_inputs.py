"""The boxes of a recommendation: load and limits mirrored from the shared inputs, the bar, and what may be chosen."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import streamlit as st

from app.exploring.question_link import REFERENCE, Asked, decode_question
from app.planning.question import USUAL_WEIGHTS
from app.planning.sentences import option_name, precision_name
from app.presets import PRESETS
from app.scenario import QUESTION_KEYS
from app.text import in_code, in_markdown
from estimators.hardware.catalogue import accelerators
from estimators.latency.estimate import SHORT_TIMES
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.lm_eval_results import parse_results, scores_of
from estimators.quality.schemes import Scheme
from estimators.quality.tasks import Task, tasks_of_preset
from pricing.offers import PurchaseOption

MOST_RESULTS = 2_000_000  # characters of one results file
MOST_SCORES = 400
MIRRORED = {  # shared key -> label, placeholder; that of the rate says the load there is instead
    "rate": ("Requests a second", "none"),
    "ttft": (f"{SHORT_TIMES['ttft']} within, s", "no limit"),
    "tpot": (f"{SHORT_TIMES['tpot']} within, s", "no limit"),
    "e2e": (f"{SHORT_TIMES['e2e']} within, s", "no limit"),
}


def draw(models: list[str], regions: list[str]) -> None:
    """Draw the question. What is set here for load and objectives sets the shared inputs, and the other way round."""
    _read_link(models, regions)
    st.markdown("## What is needed")
    if problems := st.session_state.get("question_problems"):
        lines = [
            f"- {in_code(problem.subject)} {in_markdown(problem.reason)}; it was left out." for problem in problems
        ]
        st.warning("\n".join(lines), icon=":material/info:")
    st.pills("Use", list(PRESETS), key="q_task", on_change=_use, help="Sets tokens in and out, and the quality task.")
    for column, key in zip(st.columns(4), MIRRORED, strict=True):
        label, blank = MIRRORED[key]
        if key == "rate" and (flight := st.session_state.get("concurrency") or 1):
            blank = f"{flight:,} at a time"
        st.session_state[f"q_{key}"] = st.session_state.get(key) or ""
        with column:
            st.text_input(label, key=f"q_{key}", on_change=_mirror, args=(key,), placeholder=blank, max_chars=20)
    _draw_bar(models)
    with st.expander("What may be chosen: models, precisions, regions, payment, hardware", key="choices"):
        _draw_choices(models, regions)
    with st.expander("Your own LM Evaluation Harness results", key="harness"):
        _draw_harness(models)


def _read_link(models: list[str], regions: list[str]) -> None:
    """Once per session, before any box: what the link of the visit asks."""
    state = st.session_state
    if "question_problems" in state:
        return
    vendors = {chip.vendor for chip in accelerators().values()}
    raw = {key: st.query_params.get_all(key)[-1] for key in QUESTION_KEYS if st.query_params.get_all(key)}
    link, state.question_problems = decode_question(raw, models=models, regions=regions, vendors=vendors)
    boxes = {
        "q_task": link.use or None,
        "q_models": list(link.models),
        "q_weights": list(link.weights),
        "q_regions": list(link.regions),
        "q_ways": list(link.options),
        "q_vendors": list(link.vendors),
        "bar_percent": link.percent,
        "bar_reference": link.reference if raw.get("quality_of") else None,
        "bar_task": link.task if raw.get("quality_on") else None,
        "bar_reasoning": link.reasoning,
        "budget": float(link.budget) if link.budget is not None else None,
        "q_owned": link.owned,
    }
    for key, value in boxes.items():
        if value:
            state[key] = value


def asked() -> Asked:
    """What the boxes hold now."""
    state = st.session_state
    return Asked(
        use=state.get("q_task") or "",
        models=tuple(state.get("q_models") or ()),
        weights=tuple(state.get("q_weights") or ()),
        regions=tuple(state.get("q_regions") or ()),
        options=tuple(state.get("q_ways") or ()),
        vendors=tuple(state.get("q_vendors") or ()),
        percent=state.get("bar_percent") or None,
        reference=state.get("bar_reference") or REFERENCE,
        task=Task(state.get("bar_task") or Task.INSTRUCTION_FOLLOWING),
        reasoning=bool(state.get("bar_reasoning")),
        budget=Decimal(str(state.budget)) if state.get("budget") else None,
        owned=state.get("q_owned") or "",
    )


def _draw_bar(models: list[str]) -> None:
    first, second, third, fourth = st.columns([1.1, 2.4, 1.6, 1.2])
    first.number_input(
        "Keep at least, %",
        min_value=1.0,
        max_value=200.0,
        value=None,
        step=1.0,
        format="%g",
        key="bar_percent",
        placeholder="no bar",
        persist_state="session",
        help="Of the reference model's published score. 99 is within 1 %.",
    )
    second.selectbox(
        "of the quality of",
        models,
        index=models.index(st.session_state.get("bar_reference") or REFERENCE),
        key="bar_reference",
        persist_state="session",
    )
    third.selectbox("on", list(Task), key="bar_task", format_func=_task_name, persist_state="session")
    fourth.number_input(
        "Budget, $ a month",
        min_value=1.0,
        max_value=1e9,
        value=None,
        step=100.0,
        format="%g",
        key="budget",
        placeholder="no limit",
        persist_state="session",
    )


def _draw_choices(models: list[str], regions: list[str]) -> None:
    left, right = st.columns(2)
    with left:
        st.multiselect(
            "Models",
            models,
            key="q_models",
            persist_state="session",
            placeholder="all measured beside the reference; without a bar, the model above",
            accept_new_options=True,
            help="Or type any Hub id, or a size such as 8B or 30B-A3B.",
        )
        st.multiselect(
            "Precisions",
            [weights for weights in Weights if weights is not Weights.FP32],
            key="q_weights",
            format_func=precision_name,
            persist_state="session",
            placeholder=", ".join(precision_name(weights) for weights in USUAL_WEIGHTS),
        )
        vendors = sorted({chip.vendor for chip in accelerators().values()})
        st.multiselect(
            "Makers of accelerators", vendors, key="q_vendors", persist_state="session", placeholder="NVIDIA"
        )
        st.toggle(
            "Count scores taken while the model reasons",
            key="bar_reasoning",
            persist_state="session",
            help="Reasoning spends output tokens: raise Tokens out to what it takes.",
        )
    with right:
        st.multiselect(
            "Regions", regions, key="q_regions", persist_state="session", placeholder="the region of the scenario"
        )
        st.multiselect(
            "Ways to pay",
            list(PurchaseOption),
            key="q_ways",
            format_func=option_name,
            persist_state="session",
            placeholder="the payment of the scenario",
        )
        st.text_area(
            "Only hardware I have, a line each",
            key="q_owned",
            persist_state="session",
            max_chars=800,
            height=104,
            placeholder="8 x A100-80GB\n4 x L40S @ 0.50",
            help="Count, accelerator, and if it costs you something, dollars per GPU and hour. Blank: rent on AWS.",
        )


def _draw_harness(models: list[str]) -> None:
    """A box for results files; what was read joins the published evidence and comes before it."""
    st.caption("Paste a results_*.json per model and precision. Runs compare only when task, shots and filter agree.")
    st.text_area("Results", key="harness_json", height=120, max_chars=MOST_RESULTS, placeholder='{"results": ...}')
    left, middle, right = st.columns([3, 2, 1], vertical_alignment="bottom")
    left.selectbox("of the model", models, key="harness_model", persist_state="session")
    middle.selectbox("in", list(Scheme), key="harness_scheme", persist_state="session")
    right.button("Add", on_click=_add_results, width="stretch")
    if problem := st.session_state.pop("harness_problem", ""):
        st.warning(in_markdown(problem), icon=":material/info:")
    held = st.session_state.get("own_scores", ())
    if held:
        counted = sorted({f"{score.model} {score.scheme}: {score.benchmark} {score.score:.1f}" for score in held})
        st.caption("; ".join(counted))
        st.button("Forget them", on_click=_forget_results)


def _add_results() -> None:
    state = st.session_state
    try:
        run = parse_results(state.harness_json or "")
        today = datetime.now(UTC).date().isoformat()
        scheme = Scheme(state.harness_scheme)
        added = scores_of(run, state.harness_model, scheme, source="your results file", as_of=today)
    except Refusal as refusal:
        state.harness_problem = str(refusal)
        return
    if not added:
        state.harness_problem = "No task of this file is one of the benchmarks known here."
        return
    held = tuple(state.get("own_scores", ()))
    state.own_scores = (*held, *(score for score in added if score not in held))[-MOST_SCORES:]
    state.harness_json = ""


def _forget_results() -> None:
    st.session_state.own_scores = ()


def _task_name(task: Task) -> str:
    return task.value.replace("-", " ")


def _mirror(key: str) -> None:
    """A limit typed here is the shared input; a rate replaces requests at a time, which would win otherwise."""
    st.session_state[key] = st.session_state[f"q_{key}"].strip()
    if key == "rate" and st.session_state[key]:
        st.session_state["concurrency"] = None


def _use() -> None:
    preset = PRESETS.get(st.session_state.get("q_task") or "")
    if preset is None:
        return
    st.session_state.task = st.session_state.q_task
    st.session_state.prompt, st.session_state.output = preset.prompt, preset.output
    st.session_state.prefix = "" if preset.prefix == 0 else f"{preset.prefix:g}"
    tasks = tasks_of_preset(st.session_state.q_task.lower().replace(" ", "-"))
    if tasks:
        st.session_state.bar_task = tasks[0].task
