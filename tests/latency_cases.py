"""Scenarios the latency tests share: a model, a precision, a machine and a load, with its memory."""

from dataclasses import replace
from functools import cache

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.latency import LatencyEstimate, estimate_latency
from estimators.memory import estimate_memory
from estimators.precision import Precision, Weights, resolve_precision
from estimators.workload import EngineSettings, Load, Placement, Workload

ONE_GPU, NEWEST_VLLM = Placement(), EngineSettings()
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


@cache
def precision_of(model: str, weights: Weights = Weights.AS_PUBLISHED) -> Precision:
    return resolve_precision(load_spec(model), weights)


def workload(prompt: int = 1024, output: int = 128, concurrency: float = 1.0, **changes: object) -> Workload:
    base = Workload(prompt_tokens=prompt, output_tokens=output, concurrency=concurrency)
    return replace(base, **changes) if changes else base  # type: ignore[arg-type]


def estimate(
    load: Workload,
    model: str = LLAMA,
    weights: Weights = Weights.AS_PUBLISHED,
    gpu: str = "H100",
    placement: Placement = ONE_GPU,
    settings: EngineSettings = NEWEST_VLLM,
) -> LatencyEstimate:
    precision, accelerator = precision_of(model, weights), find_accelerator(gpu)
    memory = estimate_memory(precision, accelerator, placement, load, settings)
    return estimate_latency(precision, accelerator, placement, load, settings, memory)


def at_maximum(prompt: int = 1024, output: int = 128) -> Workload:
    return Workload(prompt_tokens=prompt, output_tokens=output, load=Load.MAX, concurrency=None)


def arrivals(rate: float, prompt: int = 1024, output: int = 128) -> Workload:
    return Workload(
        prompt_tokens=prompt, output_tokens=output, load=Load.RATE, concurrency=None, requests_per_second=rate
    )
