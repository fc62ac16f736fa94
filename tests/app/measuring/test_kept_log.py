"""A pasted start-up log kept as a measurement of memory, and what it does to a plan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.measuring.kept_log import measurement_of
from app.measuring.overlay import beside_plan, memory_effect, sentences, with_own_measurements
from app.planning.plan import Plan
from app.planning.planner import plan
from app.scenario import decode
from app.sources import shared_sources
from estimators.latency.estimate import Interval
from estimators.measuring.measurement import Measurement, Way, export_json, import_json
from estimators.provenance import Refusal

GIB = 2**30
NOW = datetime(2026, 11, 28, tzinfo=UTC)
LINK = {"model": "Qwen/Qwen3.5-27B", "gpu": "H200", "gpus": "1", "batched_tokens": "16384", "max_len": "32768"}
LOG = """
INFO 11-28 06:00:01 [core.py:76] Initializing a V1 LLM engine (v0.19.0) with config: model='Qwen/Qwen3.5-27B',
 dtype=torch.bfloat16, max_seq_len=32768, tensor_parallel_size=1, pipeline_parallel_size=1, enforce_eager=False,
 kv_cache_dtype=auto
INFO 11-28 06:00:01 [scheduler.py:207] Chunked prefill is enabled with max_num_batched_tokens=16384.
INFO 11-28 06:00:21 [gpu_model_runner.py:3500] Model loading took 51.08 GiB memory and 22.5 seconds
INFO 11-28 06:00:31 [gpu_worker.py:298] Available KV cache memory: 70.10 GiB
"""
SGLANG = """
server_args=ServerArgs(model_path='Qwen/QwQ-32B', mem_fraction_static=0.85, chunked_prefill_size=2048, tp_size=4)
[TP0] Load weight end. type=Qwen2ForCausalLM, dtype=torch.bfloat16, avail mem=5.98 GB, mem usage=15.41 GB.
[TP0] max_total_num_tokens=40000, chunked_prefill_size=2048, max_running_requests=2049, context_len=131072
"""


def planned(**changes: str) -> Plan:
    return plan(decode({**LINK, "engine_version": "0.19.0", **changes}).scenario, shared_sources())


def demand(found: Plan) -> tuple[float, float, float]:
    """Low, value and high in GiB per GPU."""
    assert found.chosen is not None
    assert found.chosen.memory is not None
    memory = found.chosen.memory
    ends = (memory.memory_bytes_per_gpu_low, memory.memory_bytes_per_gpu, memory.memory_bytes_per_gpu_high)
    return ends[0] / GIB, ends[1] / GIB, ends[2] / GIB


def test_the_log_gives_its_figures_and_the_settings_it_names() -> None:
    made = measurement_of(LOG, planned(engine_version="0.20.0"), NOW)
    assert made.logged is not None
    assert (made.way, made.engine_version, made.accelerator, made.gpus) == (Way.LOG, "0.19.0", "H200-SXM", 1)
    assert made.logged.pool_bytes_per_gpu == pytest.approx(70.10 * GIB, abs=1)
    assert made.logged.weights_bytes_per_gpu == pytest.approx(51.08 * GIB, abs=1)
    settings = made.logged.server.settings
    assert (settings.version, settings.max_model_len, settings.batched_tokens, settings.eager) == (
        "0.19.0", 32768, 16384, False,
    )  # fmt: skip
    assert import_json(export_json([made])) == (made,)


def test_a_log_of_the_server_narrows_its_memory() -> None:
    """125.82 GiB of budget less 70.10 of pool are 55.72 beside the cache, for the 55.18 estimated; one request of 1,152
    tokens adds 0.24."""
    before = planned()
    made = measurement_of(LOG, before, NOW)
    after = with_own_measurements(before, [made])
    (low, value, high), (low_after, value_after, high_after) = demand(before), demand(after)
    assert value == pytest.approx(55.41, abs=0.05)
    assert value_after == pytest.approx(55.72 + 0.24, abs=0.05)
    assert high_after - low_after < 0.3 * (high - low)
    assert sentences(before, after) == (
        "Memory measured here: narrowed by 1 start-up log of this server, vllm on H200-SXM.",
    )
    assert after.chosen is not None
    assert before.chosen is not None
    memory, holding, old = after.chosen.memory, after.chosen.holding, before.chosen.memory
    assert memory is not None
    assert old is not None
    assert holding is not None
    assert memory.pool_bytes_per_gpu == pytest.approx(70.10 * GIB, rel=0.001)
    assert memory.kv_capacity_tokens == pytest.approx(old.kv_capacity_tokens * 70.10 / 70.64, rel=0.002)
    assert holding.max_concurrency == memory.max_concurrency < old.max_concurrency
    (row,) = beside_plan(before, made)
    assert row.measured == pytest.approx(55.72 * GIB, rel=0.001)
    assert row.ratio == pytest.approx(55.72 / 55.18, abs=0.001)


def test_another_server_of_the_machine_moves_it_a_little_and_makes_it_no_surer() -> None:
    """Logged over estimated is 1.010 there; a spread of 6 % beside the engine's 2.2 % has an eighth of the weight."""
    made = measurement_of(LOG, planned(), NOW)
    before = planned(model="Qwen/Qwen3-32B", batched_tokens="8192")
    after = with_own_measurements(before, [made])
    (low, value, high), (low_after, value_after, high_after) = demand(before), demand(after)
    assert value_after / value == pytest.approx(1 + 0.010 * 0.12, abs=0.0005)
    assert high_after - low_after == pytest.approx(high - low, rel=0.01)
    assert sentences(before, after) == ("Memory carried over from 1 start-up log of other servers: vllm on H200-SXM.",)


def test_sglang_prints_tokens_and_they_are_taken_for_its_pool() -> None:
    """40,000 tokens x 65,536 B = 2.44 GiB; what the log says of the chunk is the default, so it is the same server."""
    link = {"model": "Qwen/QwQ-32B", "instance": "g5.12xlarge", "engine": "sglang", "util": "0.85"}
    before = plan(decode(link).scenario, shared_sources())
    made = measurement_of(SGLANG, before, NOW)
    assert made.logged is not None
    assert made.logged.pool_bytes_per_gpu == pytest.approx(40_000 * 65_536, rel=0.001)
    after = with_own_measurements(before, [made])
    assert sentences(before, after) == (
        "Memory measured here: narrowed by 1 start-up log of this server, sglang on A10G.",
    )
    assert demand(after)[1] - demand(before)[1] == pytest.approx((46_631 - 40_000) * 65_536 / GIB, abs=0.02)


@pytest.mark.parametrize("changes", [{"gpu": "H100"}, {"gpus": "2"}, {"engine": "sglang"}])
def test_another_machine_or_engine_is_not_touched(changes: dict[str, str]) -> None:
    before = planned(**changes)
    made = measurement_of(LOG, planned(), NOW)
    assert memory_effect(before, with_own_measurements(before, [made])) is None


def test_a_log_by_which_it_does_not_fit_says_so() -> None:
    """Llama 3.1 8B on an L4: one request of 20,128 tokens takes 2.46 GiB of the 4.99 estimated; 2.00 are logged."""
    link = {"model": "meta-llama/Llama-3.1-8B-Instruct", "gpu": "L4", "gpus": "1", "prompt": "20000", "util": "0.95"}
    before = plan(decode(link).scenario, shared_sources())
    assert before.chosen is not None
    assert before.chosen.fits
    after = with_own_measurements(before, [measurement_of("Available KV cache memory: 2.00 GiB", before, NOW)])
    assert after.chosen is not None
    assert not after.chosen.fits
    assert after.chosen.notes[-1].endswith("By that it does not fit.")


@pytest.mark.parametrize(
    ("log", "changes", "field", "said"),
    [
        ("", {}, "startup_log", "Available KV cache memory"),
        (LOG.replace("70.10", "0.00"), {}, "startup_log", "Available KV cache memory"),
        (LOG, {"engine": "sglang"}, "startup_log", "max_total_num_tokens"),
        (LOG, {"engine": "tensorrt-llm"}, "engine", "Logs of vLLM and SGLang are read"),
        (LOG.replace("tensor_parallel_size=1", "tensor_parallel_size=4"), {}, "gpus", "over 4 GPUs, the plan over 1"),
        (LOG.replace("pipeline_parallel_size=1", "pipeline_parallel_size=2"), {}, "pp", "which GPU"),
        (LOG.replace("Qwen/Qwen3.5-27B", "google/gemma-3-27b-it"), {}, "model", "google/gemma-3-27b-it"),
        (LOG.replace("dtype=auto", "dtype=fp8_e4m3"), {}, "kv", "fp8_e4m3, the plan's bf16"),
        (LOG.replace("51.08", "27.30"), {}, "weights", "27.30 GiB of a GPU, the plan's 51.08"),
        (LOG + "Free memory on device (78.6/79.2 GiB) on startup", {}, "gpu", "79.2 GiB"),
        (LOG.replace("70.10", "41.00"), {}, "util", "84.82 of the 125.82"),
        (LOG.replace("70.10", "99.00"), {}, "util", "26.82 of the 125.82"),
        (LOG.replace("70.10", "9" * 14), {}, "util", "for the cache"),
        (LOG + "'gpu_memory_utilization': 0.5", {}, "util", "for the cache"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_of_the_plan_is_refused_by_field(
    log: str, changes: dict[str, str], field: str, said: str
) -> None:
    with pytest.raises(Refusal) as refused:
        measurement_of(log, planned(**changes), NOW)
    assert refused.value.field == field
    assert said in str(refused.value)


def test_a_count_names_no_model_to_measure() -> None:
    with pytest.raises(Refusal) as refused:
        measurement_of(LOG, plan(decode({"params": "8", "instance": "g6.xlarge"}).scenario, shared_sources()), NOW)
    assert refused.value.field == "model"


def test_nothing_is_said_of_a_model_nobody_can_size() -> None:
    before = planned()
    made = measurement_of(LOG, before, NOW)
    assert beside_plan(before, _of("acme/unknown", made)) == ()


def _of(model: str, made: Measurement) -> Measurement:
    (found,) = import_json(export_json([made]).replace(made.model, model))
    return found


def test_the_moved_range_is_in_bytes() -> None:
    before = planned()
    moved = memory_effect(before, with_own_measurements(before, [measurement_of(LOG, before, NOW)]))
    assert moved is not None
    low, value, high = demand(before)
    assert moved[0] == Interval(value=value * GIB, low=low * GIB, high=high * GIB)
