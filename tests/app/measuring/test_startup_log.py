"""A pasted start-up log beside the estimate."""

from __future__ import annotations

import time

import pytest

from app.measuring.startup_log import LONGEST_LOG, compared, expected
from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import resolve_precision
from estimators.workload import Engine, EngineSettings, Placement, Workload

VLLM = """
INFO 11-28 06:00:01 [gpu_model_runner.py:3500] Model loading took 51.08 GiB memory and 22.5 seconds
INFO 11-28 06:00:31 [gpu_worker.py:298] Available KV cache memory: 71.10 GiB
INFO 11-28 06:00:31 [kv_cache_utils.py:1087] GPU KV cache size: 290,864 tokens
INFO 11-28 06:00:31 [kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 32.98x
"""
SGLANG = """
[TP0] Load weight end. type=Qwen2ForCausalLM, dtype=torch.bfloat16, avail mem=5.98 GB, mem usage=15.41 GB.
[TP0] max_total_num_tokens=46611, chunked_prefill_size=2048, max_running_requests=2049, context_len=131072
"""


def of(model: str, gpu: str, tp: int, settings: EngineSettings) -> MemoryEstimate:
    load = Workload(prompt_tokens=4096, output_tokens=1024)
    return estimate_memory(
        resolve_precision(load_spec(model)), find_accelerator(gpu), Placement(tp=tp), load, settings
    )  # fmt: skip


def test_vllm_line_by_line() -> None:
    settings = EngineSettings(version="0.19.0", batched_tokens=16384, max_model_len=32768)
    memory = of("Qwen/Qwen3.5-27B", "H200", 1, settings)
    figures = compared(VLLM, memory)
    assert [(f.what, f.logged) for f in figures] == [
        ("Weights per GPU", 51.08),
        ("Memory for the cache", 71.10),
        ("Tokens in the cache", 290_864),
        ("Requests of the longest context", 32.98),
    ]
    tokens = next(f for f in figures if f.unit == "token")
    assert tokens.estimated == memory.kv_logged_tokens
    assert tokens.off == pytest.approx(-0.005, abs=0.005)


def test_sglang_line_by_line() -> None:
    settings = EngineSettings(engine=Engine.SGLANG, memory_utilization=0.85, max_model_len=131_072)
    memory = of("Qwen/QwQ-32B", "A10G", 4, settings)
    figures = compared(SGLANG, memory)
    assert [(f.what, f.logged, f.estimated) for f in figures][-1] == (
        "Tokens in the cache", 46_611, float(memory.kv_capacity_tokens),
    )  # fmt: skip


def test_what_to_expect_is_read_back_as_equal() -> None:
    settings = EngineSettings(version="0.25.0", max_model_len=8192)
    memory = of("meta-llama/Llama-3.1-8B-Instruct", "L4", 1, settings)
    for figure in compared(expected(memory, 8192), memory):
        assert figure.off == pytest.approx(0, abs=0.01)


def test_nothing_is_expected_of_an_engine_that_does_not_start() -> None:
    memory = of("meta-llama/Llama-3.1-8B-Instruct", "L4", 1, EngineSettings(max_model_len=131_072))
    assert expected(memory, 131_072) == ""


@pytest.mark.parametrize("text", ["", "no such line", "GPU KV cache size: tokens", "Load weight end." * 40_000])
def test_any_text_is_read_in_no_time(text: str) -> None:
    memory = of("meta-llama/Llama-3.1-8B-Instruct", "L4", 1, EngineSettings())
    begun = time.monotonic()
    assert compared(text * 3, memory) == ()
    assert time.monotonic() - begun < 5
    assert LONGEST_LOG < 10**6
