"""A pasted start-up log as a measurement of memory: with the settings it names, or a refusal that names the field."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from app.format import GIB
from app.measuring.startup_log import LONGEST_LOG, compared
from app.planning.loads import settings_of
from app.planning.plan import Candidate, Plan
from estimators.architecture import catalogue
from estimators.measuring.logged_memory import LoggedMemory, StartedServer
from estimators.measuring.measurement import DeviceFacts, Measurement, Way
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import KvPrecision, Precision
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings, Workload

FARTHEST = 1.5  # logged over expected: the next precision, or another share, is about that far
_ANY = r"['\"]?\s{0,2}[=:]\s{0,2}['\"]?"
_WHOLE, _SHARE = r"([0-9]{1,8})\b(?!\.)", r"([01]?\.[0-9]{1,6}|1)\b"
# What vLLM and SGLang say at start of how they were started
_SAID = {
    "engine_version": re.compile(r"(?:LLM engine|API server)(?: version)? \(?v?([0-9]{1,4}(?:\.[0-9]{1,4}){1,2})"),
    "model": re.compile(rf"\bmodel(?:_path)?{_ANY}([\w./-]{{1,200}})['\"]"),
    "gpus": re.compile(rf"\b(?:tensor_parallel_size|tp_size){_ANY}{_WHOLE}"),
    "pp": re.compile(rf"\b(?:pipeline_parallel_size|pp_size){_ANY}{_WHOLE}"),
    "util": re.compile(rf"\b(?:gpu_memory_utilization|mem_fraction_static){_ANY}{_SHARE}"),
    "max_len": re.compile(rf"\b(?:max_seq_len|max_model_len){_ANY}{_WHOLE}"),
    "batched_tokens": re.compile(rf"\b(?:max_num_batched_tokens|chunked_prefill_size){_ANY}{_WHOLE}"),
    "max_num_seqs": re.compile(rf"\bmax_num_seqs{_ANY}{_WHOLE}"),
    "kv": re.compile(rf"\bkv_cache_dtype{_ANY}(\w{{1,20}})"),
    "eager": re.compile(rf"\benforce_eager{_ANY}(True|False)"),
    "memory": re.compile(r"on device[^\n]{0,20}?\([0-9.]{1,9}/([0-9]{1,6}\.[0-9]{1,4}) GiB\)"),
}


def measurement_of(text: str, plan: Plan, now: datetime) -> Measurement:
    """The log as a measurement of the plan's chosen machine. What it says of its settings is believed; the model, the
    GPUs and the formats have to be the plan's. Raises `Refusal`."""
    chosen, precision, model = plan.chosen, plan.precision, (plan.asked.model or "").partition("@")[0]
    if chosen is None or chosen.memory is None or chosen.placement is None or precision is None or not model:
        raise Refusal("A log is kept for a named model on a machine.", field="model", remedy="Choose both first.")
    said = _settings_said(text[:LONGEST_LOG])
    _check_same(said, plan, chosen, precision)
    settings = _started(settings_of(plan.asked), said)
    longest = settings.max_model_len or plan.asked.prompt + plan.asked.output
    load = Workload(prompt_tokens=longest - 1, output_tokens=1)
    accelerator, memory_bytes = chosen.machine.accelerator, chosen.machine.memory_bytes
    expected = estimate_memory(precision, accelerator, chosen.placement, load, settings, memory_bytes=memory_bytes)
    pool, weights = _figures(text, plan.asked.engine, expected)
    return Measurement(
        id=uuid.uuid4().hex,
        way=Way.LOG,
        model=model,
        engine=settings.engine,
        engine_version=settings.version or "",
        accelerator=accelerator.name,
        gpus=chosen.placement.gpus,
        device=DeviceFacts(name=accelerator.name, kind="cuda", memory_bytes=memory_bytes),
        weights=precision.weights,
        prompt_tokens=longest - 1,
        output_tokens=1,
        batch=1,
        logged=LoggedMemory(
            pool_bytes_per_gpu=pool,
            weights_bytes_per_gpu=weights,
            server=StartedServer(kv=precision.kv, placement=chosen.placement, settings=settings),
        ),
        measured_at=now,
        provenance=f"Start-up log of {settings.engine.value} pasted on the Memory page",
    )


def _settings_said(text: str) -> Mapping[str, str]:
    """The first of each."""
    found = {key: pattern.search(text) for key, pattern in _SAID.items()}
    return {key: match[1] for key, match in found.items() if match is not None}


def _check_same(said: Mapping[str, str], plan: Plan, chosen: Candidate, precision: Precision) -> None:
    placement, model = chosen.placement, (plan.asked.model or "").partition("@")[0]
    if placement is None:
        return
    if plan.asked.engine not in (Engine.VLLM, Engine.SGLANG):
        raise Refusal(
            "Logs of vLLM and SGLang are read.", field="engine", remedy="Choose the engine that wrote it as the plan's."
        )
    gpus = int(said.get("gpus", placement.tp))
    if gpus != placement.tp:
        raise Refusal(
            f"The log cuts the model over {gpus:,} GPUs, the plan over {placement.tp}.",
            field="gpus",
            remedy=f"Set GPUs to {gpus}.",
        )
    if placement.pp > 1 or int(said.get("pp", 1)) > 1:
        raise Refusal("With pipeline stages a log does not say which GPU a figure is of.", field="pp")
    named = said.get("model", "")
    if catalogue.find(named) and catalogue.load_spec(named).model_type != precision.spec.model_type:
        raise Refusal(
            f"The log is of {named}, which is no {precision.spec.model_type} model as {model} is.",
            field="model",
            remedy="Choose the log's model.",
        )
    if said.get("kv", "").startswith("fp8") and precision.kv is not KvPrecision.FP8:
        raise Refusal(
            f"The log's cache is {said['kv']}, the plan's {precision.kv.value}.", field="kv", remedy="Set kv to fp8."
        )
    total, ours = float(said.get("memory", 0)) * GIB, chosen.machine.memory_bytes
    if total and not 0.95 <= total / ours <= 1.05:
        raise Refusal(
            f"The log's GPU has {total / GIB:.1f} GiB, an {chosen.machine.accelerator.name} {ours / GIB:.1f}.",
            field="gpu",
            remedy="Choose the log's machine.",
        )


def _started(settings: EngineSettings, said: Mapping[str, str]) -> EngineSettings:
    def whole(key: str, asked: int | None) -> int | None:
        return int(said[key]) if key in said else asked

    return replace(
        settings,
        version=said.get("engine_version", settings.version),
        memory_utilization=float(said["util"]) if "util" in said else settings.memory_utilization,
        max_model_len=whole("max_len", settings.max_model_len),
        batched_tokens=whole("batched_tokens", settings.batched_tokens),
        max_num_seqs=whole("max_num_seqs", settings.max_num_seqs),
        eager=said["eager"] == "True" if "eager" in said else settings.eager,
    )


def _figures(text: str, engine: Engine, expected: MemoryEstimate) -> tuple[int, int | None]:
    """Bytes of the pool and of the weights on one GPU, where they can be true beside each other and the estimate."""
    found = {figure.what: figure.logged for figure in compared(text, expected)}
    pool = found.get("Memory for the cache", 0.0) * GIB
    if engine is Engine.SGLANG:
        tokens = found.get("Tokens in the cache", 0.0)
        pool = tokens * expected.pool_bytes_per_gpu / expected.kv_capacity_tokens if expected.kv_capacity_tokens else 0
    if pool <= 0:
        line = "max_total_num_tokens=" if engine is Engine.SGLANG else "Available KV cache memory:"
        raise Refusal(
            f'The line "{line} ..." of {engine.value} is not in it.', field="startup_log", remedy="Paste the whole log."
        )
    weights, ours = found.get("Weights per GPU", 0.0) * GIB, expected.weights_bytes_per_gpu
    if weights and not 1 / FARTHEST <= weights / ours <= FARTHEST:
        raise Refusal(
            f"The log's weights take {weights / GIB:.2f} GiB of a GPU, the plan's {ours / GIB:.2f}.",
            field="weights",
            remedy="Choose the model and the precision that the log loaded.",
        )
    fixed = expected.memory_budget_bytes_per_gpu - pool
    if fixed < 0.99 * weights or not 1 / FARTHEST <= fixed / expected.fixed_bytes_per_gpu <= FARTHEST:
        raise Refusal(
            f"{pool / GIB:.2f} GiB for the cache leave {fixed / GIB:.2f} of the "
            f"{expected.memory_budget_bytes_per_gpu / GIB:.2f} the engine may take; "
            f"{expected.fixed_bytes_per_gpu / GIB:.2f} are expected beside it.",
            field="util",
            remedy="Give util, engine_version and max_num_seqs as that server had them, and its machine.",
        )
    return round(pool), round(weights) or None
