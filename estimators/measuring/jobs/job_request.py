"""What a measurement on an attached device is asked to do: checked where it is made, and again where it runs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from estimators.measuring.foreign import LARGEST_NUMBER, at, count, number, text
from estimators.precision import Weights
from estimators.provenance import Refusal

MOST_TOKENS = 1_000_000
MOST_BATCH = 1024
MOST_GPUS = 16  # of one machine
MOST_SECONDS = 3600.0
MAX_CONFIG_BYTES = 1 << 20
# Of a config: code and kernels it would have fetched, and how its own weights are stored.
NOT_RUN = (
    "auto_map",
    "attn_implementation",
    "experts_implementation",
    "use_kernels",
    "quantization_config",
    "compression_config",
)
# What plain transformers can run of the public precisions, with bitsandbytes or torchao where they are installed.
MEASURABLE = (
    Weights.FP32,
    Weights.BF16,
    Weights.FP16,
    Weights.INT8,
    Weights.INT8_WEIGHT_ONLY,
    Weights.INT4,
    Weights.NF4,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceJob:
    """One case on one device. `layers` below the config's own count runs shallow and scales."""

    model: str
    config: Mapping[str, object]
    weights: Weights
    prompt_tokens: int
    output_tokens: int
    batch: int = 1
    device: str = "cpu"  # "cpu", "cuda" or "cuda:N"
    gpus: int = 1  # of "cuda", that the model is laid over where one does not hold it
    layers: int | None = None
    threads: int = 1
    seconds: float = 300.0
    cached_weights: bool = False  # real weights when the local Hub cache has them, else random
    draft: str = ""
    draft_config: Mapping[str, object] | None = None
    draft_tokens: int = 5
    benchmark: bool = True  # measure the device's own bandwidth and FLOP/s too
    needed_bytes: int | None = None  # what the estimator says the case takes; the worker refuses beyond what is free

    @property
    def config_digest(self) -> str:
        canonical = json.dumps(self.config, sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False)


def spare_threads() -> int:
    """Threads a measurement may use: one core is left to everybody else."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed - 1)


def check(job: DeviceJob) -> DeviceJob:
    """The job itself, or a `Refusal` naming the field that cannot be measured."""
    _within("prompt", job.prompt_tokens, 1, MOST_TOKENS)
    _within("output", job.output_tokens, 2, MOST_TOKENS)
    _within("concurrency", job.batch, 1, MOST_BATCH)
    _within("spec_tokens", job.draft_tokens, 1, 64)
    _within("gpus", job.gpus, 1, MOST_GPUS)
    if job.gpus > 1 and job.device != "cuda":
        raise Refusal("Several GPUs are named together.", field="device", remedy="Use device cuda with gpus.")
    if job.layers is not None:
        _within("layers", job.layers, 2, 10_000)
    if job.weights not in MEASURABLE:
        raise Refusal(
            f"Plain transformers does not run {job.weights} weights.",
            field="weights",
            remedy=f"Measure one of {', '.join(MEASURABLE)}, or a running server.",
        )
    if job.device != "cpu" and not (job.device == "cuda" or job.device.removeprefix("cuda:").isdigit()):
        raise Refusal(f"There is no device {job.device[:40]!r}.", field="device", remedy="Use cpu, cuda or cuda:0.")
    if not 0 < job.seconds <= MOST_SECONDS:
        raise Refusal(f"A measurement may take up to {MOST_SECONDS:g} s.", field="seconds")
    if len(json.dumps(job.config, default=str)) > MAX_CONFIG_BYTES:
        raise Refusal("The model's config is too large.", field="model")
    return job


def _within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Refusal(f"A measurement takes {field} from {least:,} to {most:,}, not {value:,}.", field=field)


def from_json(line: str) -> DeviceJob:
    """The job that `to_json` wrote."""
    found = json.loads(line)
    config, draft = at(found, "config"), at(found, "draft_config")
    if not isinstance(config, dict):
        raise Refusal("The job has no model config.", field="model")
    layers = count(at(found, "layers"))
    return check(
        DeviceJob(
            model=text(at(found, "model")),
            config=config,
            weights=Weights(text(at(found, "weights"))),
            prompt_tokens=count(at(found, "prompt_tokens")) or 0,
            output_tokens=count(at(found, "output_tokens")) or 0,
            batch=count(at(found, "batch")) or 0,
            device=text(at(found, "device"), 40),
            gpus=count(at(found, "gpus")) or 1,
            layers=layers,
            threads=max(1, count(at(found, "threads")) or 1),
            seconds=min(number(at(found, "seconds")) or MOST_SECONDS, LARGEST_NUMBER),
            cached_weights=at(found, "cached_weights") is True,
            draft=text(at(found, "draft")),
            draft_config=draft if isinstance(draft, dict) else None,
            draft_tokens=count(at(found, "draft_tokens")) or 5,
            benchmark=at(found, "benchmark") is True,
            needed_bytes=count(at(found, "needed_bytes")),
        )
    )


def total_layers(config: Mapping[str, object]) -> int | None:
    """Decoder layers a config states, of its text part when it has one."""
    for section in (config.get("text_config"), config):
        for key in ("num_hidden_layers", "n_layer", "num_layers"):
            found = count(at(section, key))
            if found:
                return found
    return None


def runnable_config(config: Mapping[str, object], layers: int | None) -> dict[str, object]:
    """The text part of a config, unquantized, without code or kernels of its own, at `layers` layers."""
    text_part = config.get("text_config")
    found = text_part if isinstance(text_part, Mapping) else config
    shaped = {key: value for key, value in found.items() if key not in NOT_RUN and not key.startswith("_")}
    total = total_layers(config)
    if layers is None or total is None or layers >= total:
        return shaped
    for key, value in shaped.items():
        if key in ("num_hidden_layers", "n_layer", "num_layers"):
            shaped[key] = layers
        elif isinstance(value, list) and len(value) == total:
            shaped[key] = value[:layers]  # one entry a layer: layer_types, mlp_layer_types ...
    return shaped
