"""The sweep over machines says what a whole memory estimate of each says, to the byte."""

from __future__ import annotations

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import accelerators
from estimators.memory import Held, MemoryEstimate, Sweep, estimate_memory
from estimators.precision import KvPrecision, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import EngineSettings, Placement, Speculation, Workload

MODELS = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "google/gemma-3-12b-it",  # windows
    "openai/gpt-oss-20b",  # windows, experts, MXFP4
    "deepseek-ai/DeepSeek-V3",  # MLA, prediction layers
    "Qwen/Qwen3-30B-A3B",
)
CHIPS = ("L4", "A10G", "A100-40GB", "A100-80GB", "H100", "B200")
LOAD = Workload(prompt_tokens=4096, output_tokens=256)


SHARED = tuple(name for name in Held.__slots__ if name not in ("starts", "stages", "ranks"))


def figures(memory: Held | MemoryEstimate) -> dict[str, float]:
    return {name: getattr(memory, name) for name in SHARED}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kv", [KvPrecision.AUTO, KvPrecision.FP8])
def test_it_agrees_with_the_whole_estimate_to_the_byte(model: str, kv: KvPrecision) -> None:
    precision = resolve_precision(load_spec(model), kv=kv)
    sweep = Sweep(precision, LOAD, EngineSettings())
    for name in CHIPS:
        chip = next(a for a in accelerators().values() if name in a.name)
        for tp in (1, 4, 8):
            placement = Placement(tp=tp)
            whole = estimate_memory(precision, chip, placement, LOAD, EngineSettings())
            held = sweep.held(chip, placement, chip.memory_bytes)
            assert figures(held) == figures(whole)
            assert (held.starts and held.max_concurrency >= 1) == whole.fits


def test_requests_at_the_longest_context() -> None:
    """Llama-3.1-8B on an H100: what holds N requests of 4,352 tokens holds about N x 4,352 / 32,768 of the longest."""
    precision, settings = resolve_precision(load_spec(MODELS[0])), EngineSettings(max_model_len=32_768)
    chip = next(a for a in accelerators().values() if "H100" in a.name)
    whole = estimate_memory(precision, chip, Placement(), LOAD, settings)
    held = Sweep(precision, LOAD, settings).held(chip, Placement(), chip.memory_bytes)
    assert figures(held) == figures(whole)
    assert whole.longest_concurrency == whole.kv_capacity_tokens // 32_768
    assert whole.max_concurrency == whole.kv_capacity_tokens // 4352


@pytest.mark.parametrize("method", ["ngram", "eagle"])
def test_it_counts_what_drafts(method: str) -> None:
    """Llama-3.1-8B's EAGLE head: one of its 32 layers and 3 D x D, so the same machine holds fewer requests."""
    precision = resolve_precision(load_spec(MODELS[0]), Weights.FP8)
    settings = EngineSettings(speculation=Speculation(method=method, tokens=3))
    chip = next(a for a in accelerators().values() if a.name == "L4")
    held = Sweep(precision, LOAD, settings).held(chip, Placement(), chip.memory_bytes)
    plain = Sweep(precision, LOAD, EngineSettings()).held(chip, Placement(), chip.memory_bytes)
    assert figures(held) == figures(estimate_memory(precision, chip, Placement(), LOAD, settings))
    assert (held.max_concurrency < plain.max_concurrency) is (method == "eagle")


def test_it_refuses_what_the_whole_estimate_refuses() -> None:
    precision = resolve_precision(load_spec(MODELS[0]))
    with pytest.raises(Refusal):
        Sweep(precision, LOAD, EngineSettings(max_model_len=1000))
    with pytest.raises(Refusal):
        Sweep(precision, LOAD, EngineSettings(speculation=Speculation(method="mtp", tokens=1)))
    chip = next(iter(accelerators().values()))
    with pytest.raises(Refusal):
        Sweep(precision, LOAD, EngineSettings()).held(chip, Placement(tp=3), chip.memory_bytes)


@pytest.mark.parametrize("requests", [1, 7, 40])
@pytest.mark.parametrize("longest", [None, 100_000])
def test_its_demand_grows_with_the_requests_as_the_whole_estimate_does(requests: int, longest: int | None) -> None:
    """40 requests of 4,352 tokens beside an 8B; and an engine told to admit 100,000 tokens has to hold one such."""
    precision, settings = resolve_precision(load_spec(MODELS[0])), EngineSettings(max_model_len=longest)
    chip = next(a for a in accelerators().values() if a.name == "L4")
    held = Sweep(precision, LOAD, settings).held(chip, Placement(), chip.memory_bytes)
    load = Workload(prompt_tokens=4096, output_tokens=256, concurrency=requests)
    whole = estimate_memory(precision, chip, Placement(), load, settings)
    assert held.demand(requests) == whole.memory_bytes_per_gpu
    assert (held.starts and requests <= held.max_concurrency) == whole.fits
