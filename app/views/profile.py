"""Measure: on an attached device, on a running server, or from a report; and see it beside the estimate."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.format import gib, plural, seconds, significant, usd
from app.measuring.estimates import device_estimates
from app.measuring.hourly import hourly
from app.measuring.jobs import endpoint_assignment, measurement_store, set_up_assignment, start
from app.measuring.models import SAMPLE, config_of_measured
from app.measuring.overlay import beside_plan, effects, memory_effect, sentences, with_own_measurements
from app.planning.plan import Plan
from app.sources import dashboard_sources
from app.text import in_markdown
from app.views import current
from app.views.authority import may_measure
from app.views.measure_here import draw_here, go_on, own_job_open
from app.views.parts import table_of, uploader
from estimators.architecture import catalogue
from estimators.hardware.catalogue import find_accelerator
from estimators.latency.estimate import Interval
from estimators.measuring.comparison import Comparison, compare, verdict, vllm_serve_line
from estimators.measuring.jobs.store import MeasurementStore
from estimators.measuring.measurement import Measurement, Way, export_json, import_json
from estimators.measuring.server.guard import EndpointPolicy
from estimators.measuring.server.guidellm import find_guidellm
from estimators.measuring.server.reports import read_guidellm
from estimators.measuring.server.sweep import SweepPlan
from estimators.precision import Weights
from estimators.provenance import Refusal
from pricing.cost import usd_per_million_tokens


def draw_endpoint(store: MeasurementStore, plan: Plan) -> None:
    model = (plan.asked.model or "").partition("@")[0]
    st.markdown(
        "Start a server with random weights, then measure it. It must be on this dashboard's list of allowed hosts "
        "(`RIGHTSIZE_ENDPOINT_HOSTS`)."
    )
    chosen = plan.chosen.placement if plan.chosen else None
    if model:
        line = vllm_serve_line(
            model,
            tp=chosen.tp if chosen else 1,
            max_model_len=plan.asked.prompt + plan.asked.output,
            weights=plan.precision.weights.value if plan.precision else "",
        )
        st.code(line, language="bash")
    else:
        st.caption("A parameter count names no model to start: measure a server that runs one.")
    left, right = st.columns([3, 2])
    url = left.text_input("Address", key="endpoint_url", placeholder="http://localhost:8000", max_chars=300)
    key = right.text_input(
        "API key", type="password", key="endpoint_key", max_chars=300, help="Stays in memory; in no log, link or store."
    )
    left, middle, right = st.columns(3)
    levels = left.multiselect("Requests at a time", [1, 2, 4, 8, 16, 32, 64, 128], [1, 4, 16], key="endpoint_levels")
    said = "As the server calls it; empty takes the only one it lists."
    served = middle.text_input(
        "Served name", key="endpoint_model", placeholder="its only model", max_chars=200, help=said
    )
    chip = right.text_input("Accelerator of the server", key="endpoint_chip", placeholder="such as L4", max_chars=60)
    buttons = st.container(horizontal=True)
    ours = buttons.button("Measure the server", type="primary", key="measure_endpoint", disabled=not url)
    theirs = _guidellm_button(buttons, store, url)
    if (ours or theirs) and not own_job_open(store):
        try:
            sweep = SweepPlan(
                model=served.strip(),
                prompt_tokens=plan.asked.prompt,
                output_tokens=plan.asked.output,
                concurrencies=tuple(sorted(levels)) or (1,),
                engine=plan.asked.engine,
                weights=plan.precision.weights if plan.precision else Weights.BF16,
                accelerator=find_accelerator(chip).name if chip else "",
            )
            assignment = endpoint_assignment(url, sweep, EndpointPolicy.from_environment(), key, guidellm=theirs)
            st.session_state.job = start(store, assignment, "the page")
        except Refusal as refusal:
            st.error(in_markdown(str(refusal)))


def _guidellm_button(place: DeltaGenerator, store: MeasurementStore, url: str) -> bool:
    """Whether GuideLLM is to send the requests; where there is none, a button that installs it."""
    if find_guidellm() is not None:
        said = "The same prompts and loads; its report is read like one you bring."
        return place.button("Measure with GuideLLM", key="measure_guidellm", disabled=not url, help=said)
    said = "Makes an environment with GuideLLM and transformers serve, 1.6 GB; `make serving-setup` does the same."
    if place.button("Set GuideLLM up", key="set_up_guidellm", help=said) and not own_job_open(store):
        try:
            st.session_state.job = start(store, set_up_assignment("serving"), "the page")
        except Refusal as refusal:
            st.error(in_markdown(str(refusal)))
    return False


def draw_report(store: MeasurementStore, plan: Plan) -> None:
    st.markdown("Paste a GuideLLM report (0.3 to 0.8) or measurements exported here.")
    text = st.text_area("JSON", key="report_text", height=140)
    upload = uploader("or choose a file", ["json"], key="report_file")
    left, right = st.columns(2)
    chip = left.text_input("Accelerator", key="report_chip", placeholder="such as L4", max_chars=60)
    gpus = right.number_input("GPUs", 1, 64, 1, key="report_gpus")
    if st.button("Keep it", key="keep_report", disabled=not (text or upload)):
        document: str | bytes = upload.getvalue() if upload is not None else text
        try:
            st.success(_keep(store, plan, document, chip, gpus))
        except Refusal as refusal:
            st.error(in_markdown(str(refusal)))


def _keep(store: MeasurementStore, plan: Plan, document: str | bytes, chip: str, gpus: int) -> str:
    try:
        made = import_json(document)
    except Refusal:
        report = read_guidellm(document)
        made = report.measurements(
            engine=plan.asked.engine,
            weights=plan.precision.weights if plan.precision else Weights.BF16,
            accelerator=find_accelerator(chip).name if chip else "",
            gpus=gpus,
            model=(plan.asked.model or "").partition("@")[0],
        )
    return f"{store.add(made)} of {len(made)} measurements were new and are kept."


@st.fragment(run_every=1.0)
def draw_queue() -> None:
    """Jobs of everybody, with progress; redraws itself once a second."""
    store = measurement_store()
    open_jobs = store.queue()
    mine = st.session_state.get("job")
    if store.unreadable_jobs:
        st.caption(f"{plural(store.unreadable_jobs, 'job')} of the queue cannot be read and left out.")
    for job in open_jobs:
        left, right = st.columns([5, 1], vertical_alignment="center")
        waiting = f"waiting behind {job.ahead}" if job.waiting else job.message or "starting"
        remaining = f", about {seconds(job.seconds_left)} left" if job.seconds_left is not None else ""
        text = f"{job.place(own=job.id == mine)}: {waiting}{remaining}"
        left.progress(min(1.0, max(0.0, job.share)), text=in_markdown(text))
        if job.id == mine:
            right.button("Cancel", key=f"cancel_{job.id}", on_click=store.cancel, args=(job.id,))
    if mine is None or any(job.id == mine for job in open_jobs):
        return
    ended = store.job(mine)
    del st.session_state["job"]
    if go_on(store, ended):
        st.rerun()
    st.session_state.ended = None if ended is None else f"{ended.status.value.replace('_', ' ')}: {ended.message}"
    if ended is not None and ended.results:
        st.session_state.shown_measurement = ended.results[0]
    st.rerun()


def draw_history(store: MeasurementStore, plan: Plan) -> None:
    history = store.history()
    if store.unreadable:
        rows = plural(store.unreadable, "kept measurement")
        st.caption(f"{rows} cannot be read, being damaged or of another version of this tool, and left out.")
    if not history:
        st.caption("Nothing has been measured here yet.")
        return
    by_id = {made.id: made for made in history}
    ids = list(by_id)
    wanted = st.session_state.get("shown_measurement")
    shown = st.selectbox(
        "Measurement",
        ids,
        index=ids.index(wanted) if wanted in by_id else 0,
        format_func=lambda key: _title(by_id[key]),
    )
    _draw_comparison(store, plan, by_id[shown])
    st.download_button(
        "Export all as JSON", partial(export_json, history), "measurements.json", "application/json", on_click="ignore"
    )


def _title(made: Measurement) -> str:
    where = made.accelerator or made.device.name or "unnamed machine"
    if made.way is Way.LOG:
        known = f"{made.engine.value} {made.engine_version}".rstrip()
        server = f"{made.model}, {made.weights.value}, {made.gpus} x {where}"
        return f"{made.measured_at:%Y-%m-%d %H:%M} {server}, start-up log of {known}"
    return (
        f"{made.measured_at:%Y-%m-%d %H:%M} {made.model}, {made.weights.value}, {where}, {made.engine.value}, "
        f"{made.prompt_tokens} + {made.output_tokens} tokens, {made.batch} at a time"
    )


def _rows(store: MeasurementStore, plan: Plan, made: Measurement) -> tuple[Comparison, ...]:
    asked = plan.asked.model or ""
    mine = asked.partition("@")[0].casefold() == made.model.casefold()
    known = mine or made.model == SAMPLE or catalogue.find(made.model) is not None
    if made.way is not Way.ATTACHED or not known:
        return beside_plan(plan, made)
    price = _price(plan, made)
    try:
        config = config_of_measured(asked if mine else made.model, dashboard_sources().config)
        return compare(made, **device_estimates(store, made, config), usd_per_million=price)
    except Refusal as refusal:
        st.caption(in_markdown(str(refusal)))
        return compare(made, usd_per_million=price)


def _price(plan: Plan, made: Measurement) -> Callable[[float], Decimal] | None:
    """Dollars per million tokens at a rate, on the machine that was measured: as sold, or as somebody says."""
    sold = hourly(dashboard_sources().book, made.accelerator, made.gpus, plan.asked.region)
    said = (
        f"Empty: {usd(sold.usd, cents=True)}, {sold.said}."
        if sold
        else "Nobody sells this machine by its name: say what it costs you."
    )
    given = st.number_input(
        "Dollars an hour of this machine", 0.0, 10_000.0, None, key=f"usd_{made.accelerator}_{made.gpus}",
        placeholder=usd(sold.usd, cents=True) if sold else "none: no dollars per token", help=said, width=280,
    )  # fmt: skip
    dollars = Decimal(str(given)) if given else sold.usd if sold else None
    return None if dollars is None else partial(usd_per_million_tokens, dollars)


def _text(row: Comparison, value: float) -> str:
    if row.key.startswith("usd"):
        return usd(value)
    if row.key == "memory_bytes":
        return gib(value)
    return f"{significant(value)} tokens/s" if row.key == "output_tok_per_s" else seconds(value)


def _draw_comparison(store: MeasurementStore, plan: Plan, made: Measurement) -> None:
    rows = _rows(store, plan, made)
    st.markdown(f"**{in_markdown(verdict(rows, made))}**")
    table = [
        {
            "": row.label,
            "Estimated": _text(row, row.estimated.value) if row.estimated else "",
            "Measured": _text(row, row.measured) if row.measured is not None else "",
            "Ratio": "" if row.ratio is None else f"{row.ratio:.2f}",
            "80 % interval": f"{_text(row, row.estimated.low)} to {_text(row, row.estimated.high)}"
            if row.estimated
            else "",
            "Spread": "unstable" if row.unstable else "",
        }
        for row in rows
    ]
    st.dataframe(table_of(table), hide_index=True)
    st.caption(in_markdown(f"{made.provenance}. " + " ".join(made.notes)))
    _draw_effect(plan, made)
    used: list[str] = st.session_state.setdefault("own_measurements", [])
    if made.id in used:
        st.button("Stop using it in the plan", on_click=used.remove, args=(made.id,))
    else:
        st.button(
            "Use this measurement in the plan",
            on_click=used.append,
            args=(made.id,),
            help="It narrows the same engine and machine only: most the case it measured, less its siblings.",
        )


def _draw_effect(plan: Plan, made: Measurement) -> None:
    """What this measurement does to the plan of the inputs above, whether it is used or not."""
    after = with_own_measurements(plan, [made])
    moved = effects(plan, after)
    memory = memory_effect(plan, after)
    if not moved and memory is None:
        st.caption("It says nothing of the plan above: another engine, machine, precision or load.")
        return
    said = [f"{found.label} {_interval(found.before)} becomes {_interval(found.after)}" for found in moved]
    if memory is not None:
        ranges = [f"{gib(m.value)} ({gib(m.low)} to {gib(m.high)})" for m in memory]
        said.append(f"Memory per GPU {ranges[0]} becomes {ranges[1]}")
    st.caption(in_markdown(f"In the plan above: {' '.join(sentences(plan, after))} {'; '.join(said)}."))


def _interval(found: Interval) -> str:
    return f"{seconds(found.value)} ({seconds(found.low)} to {seconds(found.high)})"


def draw(plan: Plan) -> None:
    st.markdown("## Measured beside estimated")
    try:
        store = measurement_store()
        store.close_dead()
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)))
        return
    if ended := st.session_state.pop("ended", None):
        st.info(in_markdown(ended))
    draw_queue()
    draw_history(store, plan)
    st.markdown("### Measure")
    if not may_measure():
        return
    device, server, report = st.tabs(["On this machine", "A running server", "A report you have"])
    with device:
        draw_here(store, plan)
    with server:
        draw_endpoint(store, plan)
    with report:
        draw_report(store, plan)


draw(current.estimated())
