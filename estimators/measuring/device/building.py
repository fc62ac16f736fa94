"""Models ready to run, by the ways transformers itself has: random or cached weights, quantized, laid over devices.

torch and transformers come as arguments: only the worker has them.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from estimators.measuring.jobs.job_request import DeviceJob, runnable_config
from estimators.precision import Weights
from estimators.provenance import Refusal

SPREAD = 0.02  # random weights are uniform within this, as fresh models initialise them
BLOCK = 1 << 26  # random elements drawn once and shared, where the device makes its own copies
GPU_SHARE = 0.9  # of each GPU's free memory that layers may be laid on; activations need the rest
LEAST_QUANTIZED = 0.5  # of the decoder's parameters: below, a run would not be of the precision asked for
DTYPES = {Weights.FP32: "float32", Weights.FP16: "float16"}  # everything else computes in bfloat16


@dataclass(frozen=True, slots=True)
class Built:
    """A model in eval mode, and whether its weights are real."""

    model: Any
    real: bool


def dtype_of(job: DeviceJob) -> str:
    return DTYPES.get(job.weights, "bfloat16")


def out_of_memory(problem: BaseException) -> bool:
    """torch's own error on CUDA; on the CPU a RuntimeError of its allocator."""
    said = str(problem).lower()
    return isinstance(problem, MemoryError) or "out of memory" in said or "can't allocate memory" in said


def build(torch: Any, tf: Any, job: DeviceJob, config: Mapping[str, object], layers: int | None, name: str) -> Built:
    """The model of a config at some of its layers, or all: cached weights where they are asked for and there."""
    shaped = runnable_config(config, layers)
    quantization = quantization_of(torch, tf, job.weights, job.device)
    try:
        parsed = tf.CONFIG_MAPPING[str(shaped.get("model_type"))].from_dict(shaped)
        kept = {"dtype": getattr(torch, dtype_of(job)), "quantization_config": quantization}
        placed = kept | {"device_map": device_map(torch, job)} | memory_of(torch, job)
        found = None
        if job.cached_weights and layers is None:
            found = _cached(tf, name, placed)
        if found is not None:
            built = Built(found.eval(), real=True)
        elif quantization is None and job.gpus == 1:
            with torch.device(job.device):
                built = Built(tf.AutoModelForCausalLM.from_config(parsed, dtype=kept["dtype"]).eval(), real=False)
        else:
            built = Built(random_model(torch, tf, parsed, placed, job.device).eval(), real=False)
        if quantization is not None:  # kernels refuse shapes and devices only when they run
            built.model(torch.zeros(1, 1, dtype=torch.long, device=job.device))
    except Exception as problem:
        if out_of_memory(problem) or isinstance(problem, Refusal):
            raise
        raise _cannot(job, quantization, problem) from None
    if quantization is not None:
        _check_quantized(torch, built.model, job.weights)
    return built


def _cannot(job: DeviceJob, quantization: Any, problem: Exception) -> Refusal:
    said = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
    if quantization is None:
        return Refusal(f"transformers cannot build this model ({said}).", field="model")
    return Refusal(f"{job.weights} does not run on this device ({said}).", field="weights", remedy="Measure bf16.")


def _cached(tf: Any, name: str, placed: Mapping[str, Any]) -> Any:
    """The checkpoint in the local cache, None when it is not there. Nothing is downloaded, pickled or run."""
    with contextlib.suppress(OSError):
        kept = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
        return tf.AutoModelForCausalLM.from_pretrained(name, **placed, **kept)
    return None


def random_model(torch: Any, tf: Any, parsed: Any, placed: Mapping[str, Any], device: str) -> Any:
    """A model of random weights through the loader that real ones take, which quantizes and places them."""
    with torch.device("meta"):
        shape = tf.AutoModelForCausalLM.from_config(parsed, dtype=placed["dtype"])
    tied = set(getattr(shape, "all_tied_weights_keys", None) or ())  # given twice they would no longer be one
    shapes = {name: found for name, found in shape.state_dict().items() if name not in tied}
    state = random_state(torch, shapes, shared=device != "cpu")
    return type(shape).from_pretrained(None, config=parsed, state_dict=state, **placed)


def random_state(torch: Any, shapes: Mapping[str, Any], *, shared: bool) -> dict[str, Any]:
    """Random tensors of these shapes; norms are ones, or the activations of many layers would vanish.

    `shared`: views of one block of random numbers, for devices that copy what they are given. A model of 140 GB then
    takes 128 MB of this machine's memory.
    """
    most = max((math.prod(found.shape) for found in shapes.values()), default=0)
    blocks: dict[Any, Any] = {}
    state = {}
    for name, found in shapes.items():
        if not found.dtype.is_floating_point:
            state[name] = torch.zeros(found.shape, dtype=found.dtype)
        elif found.ndim < 2:
            state[name] = torch.ones(found.shape, dtype=found.dtype)
        elif not shared:
            state[name] = torch.empty(found.shape, dtype=found.dtype).uniform_(-SPREAD, SPREAD)
        else:
            if found.dtype not in blocks:
                drawn = torch.empty(min(most, BLOCK), dtype=found.dtype).uniform_(-SPREAD, SPREAD)
                blocks[found.dtype] = drawn if most <= BLOCK else drawn.repeat(math.ceil(most / BLOCK))
            state[name] = blocks[found.dtype][: math.prod(found.shape)].view(found.shape)
    return state


def quantization_of(torch: Any, tf: Any, weights: Weights, device: str) -> Any:
    """The quantization config transformers loads these weights with, None for plain ones."""
    if weights is Weights.INT8:
        return tf.BitsAndBytesConfig(load_in_8bit=True)
    if weights is Weights.NF4:
        return tf.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    if weights is Weights.INT8_WEIGHT_ONLY:
        from torchao.quantization import Int8WeightOnlyConfig

        return tf.TorchAoConfig(Int8WeightOnlyConfig())
    if weights is Weights.INT4:
        if device == "cpu":
            raise Refusal(
                "torchao packs int4 weights for GPUs only: its plain layout needs mslk, its tiled one CUDA.",
                field="weights",
                remedy="Measure nf4 or int8-weight-only on the CPU, or int4 on a GPU.",
            )
        from torchao.quantization import Int4WeightOnlyConfig

        # The tiled layout is what torch itself has a kernel for, from compute capability 8.0.
        return tf.TorchAoConfig(Int4WeightOnlyConfig(group_size=128, int4_packing_format="tile_packed_to_4d"))
    return None


def device_map(torch: Any, job: DeviceJob) -> Any:
    """One device for all modules, or "auto": accelerate lays the layers over the GPUs in their order."""
    if job.gpus > 1:
        return "auto"
    return {"": job.device}


def memory_of(torch: Any, job: DeviceJob) -> dict[str, Any]:
    """What of each GPU the layers may fill; nothing may go to the host or the disk, which would be measured instead."""
    if job.gpus == 1:
        return {}
    free = {number: int(torch.cuda.mem_get_info(number)[0] * GPU_SHARE) for number in range(job.gpus)}
    return {"max_memory": free | {"cpu": 0}}


def _check_quantized(torch: Any, model: Any, weights: Weights) -> None:
    """Refuses a model most of which stayed wide, such as one whose experts are fused into one tensor."""
    decoder = model.base_model
    embedded = {id(m.weight) for m in decoder.modules() if isinstance(m, torch.nn.Embedding)}
    wide = sum(p.numel() for p in decoder.parameters() if _is_wide(torch, p) and id(p) not in embedded)
    linear = sum(
        m.in_features * m.out_features
        for m in decoder.modules()
        if isinstance(m, torch.nn.Linear) and _packed(torch, m)
    )
    if linear < LEAST_QUANTIZED * (linear + wide):
        share = linear / max(1, linear + wide)
        raise Refusal(
            f"Only {share:.0%} of this model's weights become {weights} in transformers: the rest are no plain linear "
            "layers (experts are one fused tensor).",
            field="weights",
            remedy="Measure bf16, or a running server.",
        )


def _is_wide(torch: Any, parameter: Any) -> bool:
    return (
        type(parameter.data) is torch.Tensor
        and parameter.dtype.is_floating_point
        and type(parameter).__name__ == "Parameter"
    )


def _packed(torch: Any, module: Any) -> bool:
    """Whether a linear layer's weight is quantized: another dtype, or a tensor class of its own."""
    return not _is_wide(torch, module.weight)


def libraries() -> str:
    """Versions of the quantization libraries that were loaded, for the provenance."""
    names = ("bitsandbytes", "torchao", "accelerate")
    loaded = {name: getattr(sys.modules.get(name), "__version__", "") for name in names}
    return ", ".join(f"{name} {version}" for name, version in loaded.items() if version)
