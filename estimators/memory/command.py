"""The `vllm serve` line that realises an estimate, ready to copy."""

from __future__ import annotations

import json
import shlex

from estimators.hardware.accelerator import Accelerator
from estimators.memory.assemble import estimate_memory
from estimators.memory.engine import held_at_once, start
from estimators.memory.footprint import has_mla
from estimators.precision import KvPrecision, Precision, Weights
from estimators.workload import Engine, EngineSettings, Placement, Workload

_AT_LOAD = {Weights.FP8: "fp8", Weights.NF4: "bitsandbytes"}  # precisions vLLM makes itself while loading
_DTYPES = {"bfloat16": "bfloat16", "float16": "float16", "float32": "float32"}
_CACHE_TYPES = {KvPrecision.FP8: "fp8", KvPrecision.FP16: "float16", KvPrecision.BF16: "bfloat16"}


def vllm_command(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    *,
    memory_bytes: int | None = None,
    draft: Precision | None = None,
) -> str:
    """`vllm serve <model> --flag value ...` with every value of the plan written out, and no more requests at once than
    it starts with.

    A precision that the checkpoint is not stored in and vLLM does not make while loading is asked for with a
    placeholder in the model's place. Empty for another engine.
    """
    if settings.engine is not Engine.VLLM:
        return ""
    longest = settings.max_model_len or workload.tokens_per_request
    running = start(
        settings,
        accelerator,
        memory_bytes or accelerator.memory_bytes,
        longest,
        mla=has_mla(precision),
        requests=held_at_once(workload, placement.dp),
    )
    words = ["vllm", "serve", _model(precision)]
    if precision.spec.revision:
        words += ["--revision", precision.spec.revision]
    words += ["--tensor-parallel-size", str(placement.tp)]
    if placement.pp > 1:
        words += ["--pipeline-parallel-size", str(placement.pp)]
    if placement.dp > 1:
        words += ["--data-parallel-size", str(placement.dp)]
    if placement.ep > 1:
        words.append("--enable-expert-parallel")
    words += ["--max-model-len", str(longest), "--gpu-memory-utilization", f"{running.utilization:g}"]
    words += ["--max-num-batched-tokens", str(running.batched_tokens)]
    memory = estimate_memory(
        precision, accelerator, placement, workload, settings, memory_bytes=memory_bytes, draft=draft
    )
    words += ["--max-num-seqs", str(memory.starts_with_seqs or running.max_seqs)]
    return shlex.join([*words, *_precision(precision), *_extras(settings)])


def _model(precision: Precision) -> str:
    if precision.published or precision.weights in _AT_LOAD or precision.method == "none":
        return precision.spec.id
    return f"<{precision.spec.id} quantized to {precision.weights.value} with {precision.method}>"


def _precision(precision: Precision) -> list[str]:
    words: list[str] = []
    if not precision.published or precision.weights is Weights.FP32:  # vLLM loads float32 in 16 bits unless told
        words += ["--dtype", _DTYPES[precision.compute_dtype]]
        if precision.weights in _AT_LOAD:
            words += ["--quantization", _AT_LOAD[precision.weights]]
    if precision.kv is KvPrecision.FP8:
        words += ["--kv-cache-dtype", _CACHE_TYPES[precision.kv]]
    return words


def _extras(settings: EngineSettings) -> list[str]:
    words: list[str] = ["--enforce-eager"] if settings.eager else []
    if settings.lora_adapters:
        words += [
            "--enable-lora",
            "--max-loras",
            str(settings.lora_adapters),
            "--max-lora-rank",
            str(settings.lora_rank),
        ]
    speculation = settings.speculation
    if speculation is not None:
        config: dict[str, object] = {"num_speculative_tokens": speculation.tokens}
        config |= (
            {"model": speculation.draft_model} if speculation.method == "draft" else {"method": speculation.method}
        )
        words += ["--speculative-config", json.dumps(config)]
    return words
