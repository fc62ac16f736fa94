"""Measuring on this machine, or on a Ray cluster's: what is attached, the environment, and one click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.format import gib, plural, seconds
from app.measuring.jobs import device_assignment, set_up_assignment, start
from app.measuring.models import Measurable, first, measurable
from app.planning.plan import Plan
from app.sources import dashboard_sources
from app.text import in_markdown
from app.timed_cache import TimedCache
from estimators.hardware.catalogue import find_accelerator
from estimators.measuring.device.machine import Attached, attached
from estimators.measuring.jobs.environment import is_set_up, ray_address
from estimators.measuring.jobs.job_request import DeviceJob, spare_threads
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.store import MeasurementStore
from estimators.precision import DTYPE_OF, Weights
from estimators.provenance import Refusal

DTYPES = ["bf16", "fp32", "fp16", "int8", "int4", "nf4"]
MOST_TOKENS = {"cpu": (512, 64), "cuda": (8192, 256)}  # of the plan's, in and out, where nothing else is asked
# Asking the driver takes a moment, and what is free changes.
_ATTACHED: TimedCache[str, tuple[Attached, ...]] = TimedCache(entries=1, seconds=30.0)


def draw_here(store: MeasurementStore, plan: Plan) -> None:
    ready = bool(ray_address()) or is_set_up()
    where, accelerator = _on_cluster() if ray_address() else _on_this_machine()
    shown = st.container()
    with st.expander("Another case", key="job_case"):
        shape, draft = _shape(plan, where)
    chosen = _model(shown, store, plan, shape, where)
    label = f"{'Measure' if ready else 'Set up and measure'} {in_markdown(chosen.model)}"
    if shown.button(label, type="primary", key="measure_device") and not own_job_open(store):
        try:
            job = replace(
                shape,
                model=chosen.model,
                config=chosen.config,
                draft=draft,
                draft_config=dashboard_sources().config(draft) if draft else None,
            )
            if ready:
                st.session_state.job = start(store, device_assignment(job, accelerator), "the page")
            else:
                st.session_state.job = start(store, set_up_assignment("profile"), "the page")
                st.session_state.measure_next = job
        except Refusal as refusal:
            shown.error(in_markdown(str(refusal)))
    if not ready:
        shown.caption(
            "The first time, an environment with torch is made beside the dashboard's own: 1.1 GB without a GPU, "
            "several with one, and a minute or two. `make profile-setup` does the same."
        )


def own_job_open(store: MeasurementStore) -> bool:
    """Whether this visit's last job is still open: one at a time, however often a button is pressed."""
    mine = st.session_state.get("job")
    state = store.job(mine) if mine is not None else None
    if state is None or not state.open:
        return False
    st.info("Your measurement is waiting or running; the next can start when it has ended.")
    return True


def go_on(store: MeasurementStore, ended: JobState | None) -> bool:
    """Starts the measurement that waited for the environment to be made; False where none did, or it failed."""
    job: DeviceJob | None = st.session_state.pop("measure_next", None)
    if job is None or ended is None or ended.status is not Status.DONE:
        return False
    try:
        st.session_state.job = start(store, device_assignment(job), "the page")
    except Refusal:
        return False
    return True


def _on_this_machine() -> tuple[Attached, str]:
    devices = _ATTACHED.once("devices", attached)
    gpus = devices[:-1]
    chosen = devices[0]
    if gpus:
        names = {found.device: found for found in devices}
        said = "Several GPUs take one model together: see Another case."
        picked = st.selectbox(
            "Device", list(names), format_func=lambda key: _named(names[key]), key="job_on", help=said
        )
        chosen = names[picked]
    listed = "; ".join(in_markdown(_named(found)) for found in devices)
    st.markdown(
        f"**Attached: {listed}**{'' if gpus else ', no GPU'}. The model is built from its configuration with random "
        "weights: nothing is downloaded, gated models work too."
    )
    return chosen, ""


def _named(found: Attached) -> str:
    memory = f", {gib(found.memory_bytes)}" if found.memory_bytes else ""
    if found.device == "cpu":
        spare = f", {spare_threads()} of them measuring" if found.cores > 1 else ""
        return f"{found.name}, {plural(found.cores, 'core')}{spare}{memory}"
    free = f", {gib(found.free_bytes)} free" if found.free_bytes is not None else ""
    return f"{found.name}{memory}{free}, driver {found.driver}"


def _on_cluster() -> tuple[Attached, str]:
    said = "An accelerator of the Ray cluster, such as L4; empty measures on a CPU of any node."
    chip = st.text_input("Accelerator", key="job_chip", max_chars=60, placeholder="CPU", help=said)
    name = ""
    try:
        name = find_accelerator(chip).name if chip else ""
    except Refusal as refusal:
        st.error(in_markdown(str(refusal)))
    device = "cuda" if name else "cpu"
    return Attached(device=device, name=name or "a CPU", memory_bytes=None, free_bytes=None), name


def _shape(plan: Plan, where: Attached) -> tuple[DeviceJob, str]:
    """The case to measure, whatever its model, and the name of a draft model."""
    cuda = where.device != "cpu"
    most_in, most_out = MOST_TOKENS["cuda" if cuda else "cpu"]
    first_row, second_row = st.columns(4), st.columns(3)
    dtype = first_row[0].selectbox("Precision", DTYPES, key="job_dtype")
    batch = first_row[1].number_input("Batch", 1, 256, 1, key="job_batch")
    said = "Fewer run shallow and scale."
    layers = first_row[2].number_input("Layers", 1, 500, None, key="job_layers", placeholder="all", help=said)
    said = "Layers are laid over several, one after another."
    gpus = first_row[3].number_input("GPUs", 1, 16, 1, key="job_gpus", disabled=not cuda, help=said)
    prompt = second_row[0].number_input("Tokens in", 1, 131_072, min(plan.asked.prompt, most_in), key="job_prompt")
    output = second_row[1].number_input("Tokens out", 2, 4_096, min(plan.asked.output, most_out), key="job_output")
    said = "Its step costs only: no speed-up."
    draft = second_row[2].text_input("Draft model", key="job_draft", max_chars=200, placeholder="none", help=said)
    device = "cuda" if cuda and gpus > 1 else where.device
    shape = DeviceJob(
        model="", config={}, weights=Weights(dtype), prompt_tokens=prompt, output_tokens=output, batch=batch,
        device=device, gpus=gpus if cuda else 1, layers=layers, threads=spare_threads(),
    )  # fmt: skip
    return shape, draft.strip()


def _model(shown: DeltaGenerator, store: MeasurementStore, plan: Plan, shape: DeviceJob, where: Attached) -> Measurable:
    """The model a click measures: the first of the family that fits, or another of the list."""
    asked = plan.asked.model or ""
    name = asked.partition("@")[0]

    def config_of(model: str) -> Mapping[str, object]:
        return dashboard_sources().config(asked if model == name else model)

    dtype = DTYPE_OF.get(shape.weights, "bfloat16")
    profile = store.profile(where.name, dtype, shape.threads) if where.device == "cpu" else None
    found = measurable(name, shape, where, config_of, profile)
    names = [made.model for made in found]
    best = first(found)
    said = {made.model: _said(made, where) for made in found}
    picked = shown.selectbox(
        "Model",
        names,
        index=names.index(best.model),
        format_func=lambda model: f"{model}{said[model]}",
        key=f"job_model_{name}",
    )
    if best.model != name and picked == best.model and name in said:
        shown.caption(in_markdown(f"The plan's {name}{said[name]}; this is the largest beside it that is quick here."))
    return found[names.index(picked)]


def _said(made: Measurable, where: Attached) -> str:
    if not made.fits and made.needed_bytes is not None:
        return f": needs {gib(made.needed_bytes)} and {gib(where.free_bytes or 0)} are free; fewer layers may do"
    return "" if made.seconds is None else f": about {seconds(float(round(made.seconds)))}"
