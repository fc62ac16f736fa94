"""Start-up logs that somebody kept, laid under the memory of what they plan: like with like, and said so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from estimators.architecture import catalogue
from estimators.architecture.spec import ModelSpec
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import find_accelerator
from estimators.measuring.logged_memory import LoggedMemory, StartedServer
from estimators.measuring.measurement import Measurement
from estimators.measuring.narrowing import EstimatedCase, with_logs
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import Precision, resolve_precision
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import EngineSettings, Placement, Workload

_ESTIMATED: Remembered[MemoryEstimate | None] = Remembered(256)  # each layout asks for the same logged servers


def narrowed(
    memory: MemoryEstimate,
    logs: Sequence[Measurement],
    *,
    model: str,
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    settings: EngineSettings,
) -> MemoryEstimate:
    """The memory of a server as logs of this engine and these GPUs narrow it; the same without any."""
    if not any(made.logged is not None for made in logs):
        return memory
    case = case_of(model, precision, accelerator, placement, settings)
    server = StartedServer(kv=precision.kv, placement=placement, settings=settings)
    return with_logs(memory, logs, case=case, server=server, estimate_of=partial(logged_estimate, model, precision))


def case_of(
    model: str, precision: Precision, accelerator: Accelerator, placement: Placement, settings: EngineSettings
) -> EstimatedCase:
    """The server that logs are held against: memory at start-up knows no load."""
    return EstimatedCase(
        engine=settings.engine.value,
        accelerator=accelerator.name,
        gpus=placement.gpus,
        model=model.partition("@")[0],
        config_digest="",
        weights=precision.weights.value,
        prompt_tokens=0,
        output_tokens=0,
        batch=1,
    )


def logged_estimate(model: str, precision: Precision | None, made: Measurement) -> MemoryEstimate | None:
    """Of the server whose log was kept, when its model is the one in `precision` or an embedded one."""
    spec = spec_of(model, precision.spec if precision else None, made)
    logged = made.logged
    if spec is None or logged is None:
        return None
    return _ESTIMATED.of((spec, precision), made.id, lambda: _estimated(spec, precision, made, logged))


def _estimated(
    spec: ModelSpec, precision: Precision | None, made: Measurement, logged: LoggedMemory
) -> MemoryEstimate | None:
    server = logged.server
    try:
        if precision is None or precision.spec is not spec or precision.weights is not made.weights:
            precision = resolve_precision(spec, made.weights, kv=server.kv)
        load = Workload(prompt_tokens=made.prompt_tokens, output_tokens=made.output_tokens)
        where = (find_accelerator(made.accelerator), server.placement)
        return estimate_memory(precision, *where, load, server.settings, memory_bytes=made.device.memory_bytes)
    except Refusal:
        return None


def spec_of(model: str, spec: ModelSpec | None, made: Measurement) -> ModelSpec | None:
    """Of the model that was measured: `spec` where it is `model`, else the catalogue's; the Hub is not asked here."""
    if made.model.casefold() == model.partition("@")[0].casefold():
        return spec
    return catalogue.load_spec(made.model) if catalogue.find(made.model) else None
