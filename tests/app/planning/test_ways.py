"""Layouts by the short path are those of the whole estimators: same memory, same server."""

from __future__ import annotations

import pytest

from app.planning.market import Chip, chips_of
from app.planning.question import Question
from app.planning.ways import Laid, benches_of, layouts_of, variants_of
from app.scenario import Scenario
from estimators.architecture.catalogue import load_spec
from estimators.latency.plan import ReplicaPlan, resolve
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import KvPrecision, Weights, resolve_precision
from estimators.workload import EngineSettings, Workload

LOAD = Workload(prompt_tokens=4096, output_tokens=256, prefix_share=0.1)


def whole(laid: Laid, model: str, weights: Weights, kv: KvPrecision, chip: Chip) -> tuple[MemoryEstimate, ReplicaPlan]:
    """The same layout through the estimators that explain themselves."""
    precision = resolve_precision(load_spec(model), weights, kv=kv)
    arguments = (precision, chip.machine.accelerator, laid.placement, LOAD, EngineSettings())
    memory = estimate_memory(*arguments, memory_bytes=chip.machine.memory_bytes)
    return memory, resolve(*arguments, memory)


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-3.1-8B-Instruct", "google/gemma-3-12b-it", "openai/gpt-oss-20b", "Qwen/Qwen3-30B-A3B"]
)
def test_the_short_path_finds_what_the_whole_one_finds(model: str) -> None:
    question = Question(scenario=Scenario(rate=20, prompt=4096, output=256, prefix=0.1), models=(model,))
    variants, _ = variants_of(question, {model: load_spec(model)})
    chips = chips_of(question)
    compared = 0
    for layout in list(layouts_of(question, variants, chips, benches_of(question, variants)))[::5]:
        variant, laid = variants[layout.variant], layout.laid
        if laid.refused or laid.replica is None:
            continue
        memory, replica = whole(laid, model, variant.asked_weights, variant.kv, chips[layout.chip])
        assert laid.held is not None
        assert laid.max_concurrency == memory.max_concurrency
        assert laid.demand(1) == memory.memory_bytes_per_gpu
        assert laid.budget_bytes == memory.memory_budget_bytes_per_gpu
        assert laid.starts
        for part in ("shard", "scheduler", "request", "context"):
            assert getattr(laid.replica, part) == getattr(replica, part)
        assert laid.replica.server.rates == replica.server.rates
        compared += 1
    assert compared > 10


def test_a_layout_that_cannot_hold_the_weights_is_not_estimated() -> None:
    """405 B parameters in bf16 are 811 GB: no two chips hold them, the largest has 288 GB."""
    model = "meta-llama/Llama-3.1-405B-Instruct"
    question = Question(scenario=Scenario(), models=(model,), weights=(Weights.BF16,))
    variants, _ = variants_of(question, {model: load_spec(model)})
    chips = chips_of(question)
    small = [
        found.laid
        for found in layouts_of(question, variants, chips, benches_of(question, variants))
        if found.laid.placement.tp <= 2
    ]
    assert small
    assert all(laid.replica is None and laid.max_concurrency == 0 for laid in small)
