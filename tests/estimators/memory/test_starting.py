"""What stops vLLM when it starts, in the order it looks, and what would not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import KvPrecision, Weights, resolve_precision
from estimators.workload import EngineSettings, Placement, Speculation, Workload

HYBRID = resolve_precision(load_spec("Qwen/Qwen3.5-27B"), Weights.FP8)
LLAMA = resolve_precision(load_spec("meta-llama/Llama-3.1-8B-Instruct"))
LONG = Workload(prompt_tokens=262_143, output_tokens=1)
AT_95 = EngineSettings(version="0.22.0", memory_utilization=0.95)


def started(settings: EngineSettings, workload: Workload = LONG, gpu: str = "H100") -> MemoryEstimate:
    return estimate_memory(HYBRID, find_accelerator(gpu), Placement(), workload, settings)


def test_more_requests_at_once_than_state_blocks() -> None:
    """vllm-project/recipes#551: 856 blocks for the 1,024 requests of the default; the memory of the load fits."""
    memory = started(AT_95)
    assert memory.engine_starts is False
    assert memory.fits
    assert memory.starts_with_seqs == pytest.approx(856, rel=0.02)
    assert "--max-num-seqs" in (memory.engine_starts_reason or "")
    assert (memory.kv_logged_tokens, memory.kv_logged_concurrency) == (None, None)


@pytest.mark.parametrize(
    "settings",
    [
        replace(AT_95, max_num_seqs=512),
        replace(AT_95, eager=True),  # nothing is captured
        replace(AT_95, version="0.18.0"),  # not looked at yet
        replace(AT_95, speculation=Speculation(method="mtp", tokens=1)),
    ],
)
def test_it_starts(settings: EngineSettings) -> None:
    memory = started(settings)
    assert memory.engine_starts is True
    assert memory.engine_starts_reason is None
    assert (memory.kv_logged_tokens or 0) > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (EngineSettings(max_model_len=200_000), "200,000 is more than the 131,072"),
        (EngineSettings(max_num_seqs=512, batched_tokens=256), "more than max_num_batched_tokens 256"),
        (EngineSettings(memory_utilization=1.0), "lower gpu_memory_utilization"),
        (EngineSettings(memory_utilization=0.6), "No memory is left"),
        (EngineSettings(max_model_len=131_072), "131,072 does not fit"),
    ],
)
def test_other_checks(settings: EngineSettings, said: str) -> None:
    """Llama-3.1-8B on an L4: 15 GiB of 22 are weights, and 131,072 tokens need 16 GiB."""
    memory = estimate_memory(
        LLAMA, find_accelerator("L4"), Placement(), Workload(prompt_tokens=1024, output_tokens=128), settings
    )
    assert memory.engine_starts is False
    assert said in (memory.engine_starts_reason or "")


def test_the_default_never_exceeds_a_step() -> None:
    """A default is lowered to the tokens of a step, as vLLM lowers it."""
    settings = EngineSettings(batched_tokens=128)
    memory = estimate_memory(
        LLAMA, find_accelerator("H100"), Placement(), Workload(prompt_tokens=1024, output_tokens=128), settings
    )
    assert memory.engine_starts is True


def test_data_parallel_ranks_hold_the_load_between_them() -> None:
    """Two ranks of one GPU each hold what one holds twice over; the log is one rank's."""
    load = Workload(prompt_tokens=1024, output_tokens=128, concurrency=64)
    one = estimate_memory(LLAMA, find_accelerator("H100"), Placement(), replace(load, concurrency=32), EngineSettings())
    two = estimate_memory(LLAMA, find_accelerator("H100"), Placement(dp=2), load, EngineSettings())
    assert two.memory_bytes_per_gpu == one.memory_bytes_per_gpu
    assert two.max_concurrency == 2 * one.max_concurrency
    assert two.kv_capacity_tokens == 2 * one.kv_capacity_tokens
    assert two.kv_logged_tokens == one.kv_logged_tokens


def test_experts_are_shared_by_all_ranks() -> None:
    """Qwen3-30B-A3B: attention is copied on each of four ranks, the experts are cut over them."""
    moe = resolve_precision(load_spec("Qwen/Qwen3-30B-A3B"))
    place = (find_accelerator("H100"),)
    load = Workload(prompt_tokens=1024, output_tokens=128, concurrency=4)
    whole = estimate_memory(moe, *place, Placement(), load, EngineSettings())
    ranks = estimate_memory(moe, *place, Placement(dp=4), load, EngineSettings())
    roles, shared = dict(whole.weights_bytes_per_gpu_by_role), dict(ranks.weights_bytes_per_gpu_by_role)
    assert shared["attention"] == roles["attention"]
    assert shared["expert"] == roles["expert"] // 4


def test_what_is_more_than_the_most_at_once_queues() -> None:
    load = Workload(prompt_tokens=1024, output_tokens=128, concurrency=100)
    place = (LLAMA, find_accelerator("H100"), Placement())
    few = estimate_memory(*place, load, EngineSettings(max_num_seqs=4))
    assert few.load_bytes_per_gpu == estimate_memory(*place, replace(load, concurrency=4), EngineSettings(
        max_num_seqs=4)).load_bytes_per_gpu  # fmt: skip


def test_no_graphs_are_captured_in_eager_mode() -> None:
    load = Workload(prompt_tokens=1024, output_tokens=128)
    place = (LLAMA, find_accelerator("H100"), Placement(), load)
    with_graphs = estimate_memory(*place, EngineSettings())
    eager = estimate_memory(*place, EngineSettings(eager=True))
    assert eager.overhead_bytes_per_gpu < with_graphs.overhead_bytes_per_gpu


@pytest.mark.parametrize(("batched_tokens", "starts"), [(None, False), (8192, True)])
def test_a_block_of_state_has_to_fit_a_step(batched_tokens: int | None, starts: bool) -> None:
    """Qwen3.5-35B-A3B with an FP8 cache: a block of 2,096 tokens, and steps of 2,048 on a card of 48 GiB."""
    moe = resolve_precision(load_spec("Qwen/Qwen3.5-35B-A3B"), Weights.INT4, kv=KvPrecision.FP8)
    settings = EngineSettings(version="0.24.0", batched_tokens=batched_tokens, max_num_seqs=16)
    load = Workload(prompt_tokens=1024, output_tokens=128)
    memory = estimate_memory(moe, find_accelerator("L40S"), Placement(), load, settings)
    assert memory.engine_starts is starts
    assert ("2,096" in (memory.engine_starts_reason or "")) is not starts
