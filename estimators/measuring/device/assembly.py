"""From timed runs to a measurement, at the model's own depth when fewer layers ran."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from estimators.hardware.catalogue import find_accelerator
from estimators.measuring.device.timing import Run, at_full_depth
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.measuring.measurement import DeviceFacts, Measurement, RepeatedReadings, Way
from estimators.provenance import Refusal
from estimators.workload import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What ran at one depth; `layers` None is the whole model."""

    layers: int | None
    runs: tuple[Run, ...]
    peak_bytes: int | None
    real_weights: bool


def assemble(
    job: DeviceJob, facts: DeviceFacts, versions: tuple[str, str], total: int | None, depths: Sequence[Depth]
) -> Measurement:
    """The measurement of a job from its runs: one depth, or a deep and a shallow one that are scaled to `total`."""
    deep = depths[0]
    prefill, step = (
        RepeatedReadings.of([r.prefill_s for r in deep.runs]),
        RepeatedReadings.of([r.step_s for r in deep.runs]),
    )
    peak, notes = deep.peak_bytes, [_weights_note(deep)]
    if len(depths) > 1 and total and deep.layers and depths[1].layers:
        shallow, k, h = depths[1], deep.layers, depths[1].layers
        prefill = _deepened(prefill, median(r.prefill_s for r in shallow.runs), h, k, total)
        step = _deepened(step, median(r.step_s for r in shallow.runs), h, k, total)
        if peak and shallow.peak_bytes:
            peak = round(at_full_depth(shallow.peak_bytes, peak, h, k, total))
        notes.append(f"Ran {h} and {k} of {total} layers; scaled to {total} in a straight line.")
    if facts.kind == "cpu" and peak:
        notes.append("Memory is the process's peak above what it held before the model was built.")
    if job.gpus > 1:
        notes.append(f"Layers laid over {job.gpus} GPUs one after another, not split across them; memory is of all.")
    transformers, torch = versions
    return Measurement(
        id=uuid.uuid4().hex,
        way=Way.ATTACHED,
        model=job.model,
        config_digest=job.config_digest,
        engine=Engine.TRANSFORMERS,
        engine_version=transformers,
        accelerator=_accelerator(facts),
        gpus=job.gpus,
        device=facts,
        weights=job.weights,
        prompt_tokens=job.prompt_tokens,
        output_tokens=job.output_tokens,
        batch=job.batch,
        ttft_s=prefill,
        itl_s=step,
        e2e_s=(whole := _whole(prefill, step, job.output_tokens)),
        output_tok_per_s=_rate(whole, job.batch * job.output_tokens),
        draft_step_s=_extra(deep.runs, 0),
        verify_step_s=_extra(deep.runs, 1),
        peak_memory_bytes=peak,
        layers_measured=deep.layers or total,
        layers_total=total,
        measured_at=datetime.now(UTC),
        provenance=f"transformers {transformers}, torch {torch}, eager, {len(deep.runs)} runs after warm-up",
        notes=tuple(notes),
    )


def _accelerator(facts: DeviceFacts) -> str:
    """The name in our table of what the driver calls the device; its own name off the table."""
    try:
        return find_accelerator(facts.name).name if facts.kind == "cuda" else facts.name
    except Refusal:
        return facts.name


def _weights_note(depth: Depth) -> str:
    if depth.real_weights:
        return "Real weights from the local cache."
    return "Random weights: times and memory hold, acceptance of drafts and text do not."


def _deepened(deep: RepeatedReadings, shallow: float, h: int, k: int, total: int) -> RepeatedReadings:
    return deep.scaled(at_full_depth(shallow, deep.median, h, k, total) / deep.median)


def _whole(prefill: RepeatedReadings, step: RepeatedReadings, output_tokens: int) -> RepeatedReadings:
    """A request from end to end: prefill + (output - 1) steps, of medians, of smallest and of largest readings."""
    steps = output_tokens - 1
    return RepeatedReadings(
        median=prefill.median + steps * step.median,
        low=prefill.low + steps * step.low,
        high=prefill.high + steps * step.high,
        cv=max(prefill.cv, step.cv),
        n=prefill.n,
    )


def _rate(whole: RepeatedReadings, tokens: int) -> RepeatedReadings:
    """Tokens over the time they took; the longest time is the lowest rate."""
    return RepeatedReadings(
        median=tokens / whole.median, low=tokens / whole.high, high=tokens / whole.low, cv=whole.cv, n=whole.n
    )


def _extra(runs: Sequence[Run], position: int) -> RepeatedReadings | None:
    found = [run.extra_s[position] for run in runs if len(run.extra_s) > position]
    return RepeatedReadings.of(found) if found else None
