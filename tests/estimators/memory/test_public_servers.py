"""What people's servers logged, each within its tolerance; the kind it stands for is said beside it."""

from __future__ import annotations

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.precision import KvPrecision, Weights, resolve_precision
from estimators.workload import Engine, EngineSettings, Placement, Speculation, Workload

GIB = 2**30


def server(
    model: str,
    gpu: str,
    version: str | None,
    *,
    weights: Weights = Weights.AS_PUBLISHED,
    kv: KvPrecision = KvPrecision.AUTO,
    tp: int = 1,
    max_len: int,
    prompt: int | None = None,
    output: int = 1,
    engine: Engine = Engine.VLLM,
    util: float | None = None,
    batched_tokens: int | None = None,
    max_num_seqs: int | None = None,
) -> MemoryEstimate:
    settings = EngineSettings(
        engine=engine,
        version=version,
        memory_utilization=util,
        max_model_len=max_len,
        batched_tokens=batched_tokens,
        max_num_seqs=max_num_seqs,
    )
    return estimate_memory(
        resolve_precision(load_spec(model), weights, kv=kv),
        find_accelerator(gpu),
        Placement(tp=tp),
        Workload(prompt_tokens=prompt or max_len - 1, output_tokens=output),
        settings,
    )


def pool_gib(memory: MemoryEstimate) -> float:
    fixed = memory.weights_bytes_per_gpu + memory.activation_bytes_per_gpu + memory.overhead_bytes_per_gpu
    return (memory.memory_budget_bytes_per_gpu - fixed) / GIB


def test_graphs_of_a_card_below_70_gib_have_no_base() -> None:
    """giantswarm/model-manager#149: 7.25 GiB beside gemma-4-31B in FP8 on an L40S, and one request of 8,192 fits."""
    memory = server(
        "google/gemma-4-31B", "L40S", "0.23.0", weights=Weights.FP8, util=0.92, batched_tokens=8192, max_num_seqs=4,
        max_len=8192,
    )  # fmt: skip
    assert pool_gib(memory) == pytest.approx(7.25, rel=0.06)
    assert memory.fits


def test_model_runner_v2_samples_without_copies_and_profiles_no_encoder() -> None:
    """A public log of September 2026: gemma-4-E4B in INT4 on an L4 at 0.62 leaves 3.1 GiB."""
    memory = server("google/gemma-4-E4B", "L4", "0.28.0", weights=Weights.INT4, util=0.62, max_len=32768)
    assert pool_gib(memory) == pytest.approx(3.1, rel=0.2)
    assert memory.activation_bytes_per_gpu / GIB == pytest.approx(0.27, abs=0.02)


def test_vllm_0_8_is_the_second_engine() -> None:
    """A public log of May 2026: Granite 3.1 8B on an A10G, vLLM 0.8.4."""
    memory = server("ibm-granite/granite-3.1-8b-instruct", "A10G", "0.8.4", max_len=32768)
    assert pool_gib(memory) == pytest.approx(3.77, rel=0.08)


def test_an_a800_is_no_a100_to_vllm() -> None:
    """vllm-project/recipes, MiniMax-M2 on four A800, 0.13.0: 8,192 tokens a step and 1,024 requests, 9.38 GiB left."""
    memory = server("MiniMaxAI/MiniMax-M2", "A800", "0.13.0", tp=4, util=0.9, max_len=196608)
    assert pool_gib(memory) == pytest.approx(9.38, rel=0.15)
    a100 = server("MiniMaxAI/MiniMax-M2", "A100-80GB", "0.13.0", tp=4, util=0.9, max_len=196608)
    assert a100.activation_bytes_per_gpu < memory.activation_bytes_per_gpu


def test_tensorrt_llm_takes_its_share_of_what_is_free_after_loading() -> None:
    """NVIDIA/TensorRT-LLM#4275: 31.84 GiB in all, 17.83 free after loading, 263,008 tokens in 0.9 of that."""
    memory = server(
        "meta-llama/Llama-3.1-8B-Instruct", "RTX 5090", "0.19.0", weights=Weights.FP8, kv=KvPrecision.FP8,
        engine=Engine.TENSORRT_LLM, util=0.9, batched_tokens=1024, max_len=2048, prompt=200, output=179,
    )  # fmt: skip
    assert memory.kv_capacity_tokens == pytest.approx(263_008, rel=0.06)


def test_sglangs_share_is_for_weights_and_cache() -> None:
    """A public log of March 2025: QwQ-32B on four A10G at 0.85 holds 46,611 tokens, with a context of 131,072."""
    memory = server(
        "Qwen/QwQ-32B", "A10G", None, tp=4, engine=Engine.SGLANG, util=0.85, max_len=131_072, prompt=4096, output=1024
    )
    assert memory.fits
    assert memory.kv_capacity_tokens == pytest.approx(46_611, rel=0.2)
    assert memory.activation_bytes_per_gpu == 0


def test_prediction_layers_keep_the_16_bits_their_config_leaves_them() -> None:
    """A public log of June 2026: 21.93 GiB of weights, of which `mtp*`, that modelopt ignores, are 1.57."""
    settings = EngineSettings(
        version="0.22.0", memory_utilization=0.85, batched_tokens=8192, max_model_len=262_144,
        speculation=Speculation(method="mtp", tokens=2),
    )  # fmt: skip
    memory = estimate_memory(
        resolve_precision(load_spec("nvidia/Qwen3.6-35B-A3B-NVFP4"), kv=KvPrecision.FP8),
        find_accelerator("H100"),
        Placement(),
        Workload(prompt_tokens=262_143, output_tokens=1),
        settings,
    )
    assert memory.weights_bytes_per_gpu / GIB == pytest.approx(21.93, rel=0.002)
    assert dict(memory.weights_bytes_per_gpu_by_role)["mtp"] / GIB == pytest.approx(1.573, abs=0.001)


def test_every_sparse_layer_of_glm_5_keeps_the_row_of_656_bytes() -> None:
    """vllm-project/recipes#893, an FP8 cache: 78 x 656 + 21 indexes x (128 + 4) = 53,940 bytes a token."""
    memory = server("zai-org/GLM-5.2", "H200", "0.28.0", weights=Weights.FP8, kv=KvPrecision.FP8, tp=8, max_len=131_072)
    assert memory.kv_bytes_per_token_per_gpu == 53_940


@pytest.mark.parametrize(
    ("version", "chunk", "longest", "needed_gib", "tolerance"),
    [
        ("0.22.0", 16384, 30_000, 6.66, 0.002),
        ("0.22.0", 16384, 13_528, 5.44, 0.002),
        ("0.26.0", 8192, 912_128, 7.01 * 912_128 / 1_009_661, 0.08),
    ],
)
def test_a_request_of_deepseek_v4_holds_its_chunk_in_whole_blocks(
    version: str, chunk: int, longest: int, needed_gib: float, tolerance: float
) -> None:
    """vllm-project/vllm#44376: 6.66 GiB of cache are needed for 30,000 tokens, and 5.44 hold 13,528;
    vllm-project/vllm#51041: 7.01 GiB print as 1,009,661 tokens where 912,128 are the longest."""
    memory = server(
        "sgl-project/DeepSeek-V4-Flash-FP8", "H200", version, kv=KvPrecision.FP8, tp=4, max_len=longest,
        batched_tokens=chunk,
    )  # fmt: skip
    assert memory.kv_logged_concurrency is not None
    assert pool_gib(memory) / memory.kv_logged_concurrency == pytest.approx(needed_gib, rel=tolerance)


def test_the_second_request_of_deepseek_v4_costs_what_it_keeps_once_written() -> None:
    """At 1,152 tokens: 5 blocks of its context, 3 + 3 of the window, 3 and 17 of the compressors: 31 x 1,051,776 B."""
    memory = server(
        "sgl-project/DeepSeek-V4-Flash-FP8", "H200", "0.26.0", kv=KvPrecision.FP8, tp=4, max_len=1152, prompt=1024,
        output=128, batched_tokens=8192,
    )  # fmt: skip
    written = 5 + 19 + 19 + 289 + 145
    assert memory.load_bytes_per_gpu == written * 1_051_776
    assert memory.max_concurrency == int((memory.pool_bytes_per_gpu - (written - 31) * 1_051_776) / (31 * 1_051_776))


def test_from_0_21_the_printed_size_is_the_pool_over_one_longest_request() -> None:
    """A public log of 2026: gemma-4-31B in FP8 on a B300."""
    memory = server("google/gemma-4-31B-it", "B300", "0.21.0", weights=Weights.FP8, util=0.9, max_len=4096)
    assert memory.kv_logged_tokens == pytest.approx(240_559, rel=0.15)
    assert memory.kv_logged_concurrency == pytest.approx((memory.kv_logged_tokens or 0) / 4096, abs=0.01)


def test_up_to_0_20_the_printed_size_is_blocks_over_groups() -> None:
    """vllm-project/vllm#40691: Qwen3.5-27B on an H200 prints 290,864; vllm-project/vllm#43308: gemma-4-31B in INT4 on
    an A100 about 55,000, a tenth of what 0.21 prints."""
    qwen = server("Qwen/Qwen3.5-27B", "H200", "0.19.0", batched_tokens=16384, max_len=32768)
    assert qwen.kv_logged_tokens == pytest.approx(290_864, rel=0.05)
    gemma = server("google/gemma-4-31B", "A100-80GB", "0.20.0", weights=Weights.INT4, util=0.9, max_len=131_072)
    assert gemma.kv_logged_tokens == pytest.approx(55_000, rel=0.15)


def test_the_second_of_two_engines_prints_nothing_of_vllms() -> None:
    memory = server("Qwen/QwQ-32B", "H100", None, engine=Engine.SGLANG, max_len=4096)
    assert (memory.engine_starts, memory.kv_logged_tokens, memory.kv_logged_concurrency) == (None, None, None)
