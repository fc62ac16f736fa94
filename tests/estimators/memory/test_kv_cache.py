"""KV cache and state per token and per request, worked by hand and held against what servers logged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.architecture.catalogue import load_spec
from estimators.memory.kv_cache import Cache, CacheKind, cache_kinds
from estimators.precision import KvPrecision, resolve_precision


def cache(model: str, tp: int = 1, kv: KvPrecision = KvPrecision.AUTO, **settings: int) -> Cache:
    kinds = cache_kinds(resolve_precision(load_spec(model), kv=kv), tp)
    return Cache(kinds=kinds, capped=True, block_tokens=16, **settings)


@pytest.mark.parametrize(
    ("model", "tp", "kv", "per_token"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 1, KvPrecision.AUTO, 32 * 2 * 8 * 128 * 2),  # 131,072
        ("meta-llama/Llama-3.1-8B-Instruct", 4, KvPrecision.AUTO, 32 * 2 * 2 * 128 * 2),
        ("meta-llama/Llama-3.1-8B-Instruct", 16, KvPrecision.AUTO, 32 * 2 * 1 * 128 * 2),  # a head each, copied
        ("meta-llama/Llama-3.1-8B-Instruct", 1, KvPrecision.FP8, 65_536),
        ("deepseek-ai/DeepSeek-V3", 1, KvPrecision.AUTO, 61 * (512 + 64) * 2),  # 70,272
        ("deepseek-ai/DeepSeek-V3", 8, KvPrecision.AUTO, 70_272),  # the latent is not split
        ("deepseek-ai/DeepSeek-V3.2", 8, KvPrecision.AUTO, 61 * (576 * 2 + 128 + 4)),  # with the indexer's keys
        ("deepseek-ai/DeepSeek-V3.2", 8, KvPrecision.FP8, 61 * (656 + 128 + 4)),
        ("nvidia/Nemotron-H-8B-Base-8K", 1, KvPrecision.AUTO, 4 * 2 * 8 * 128 * 2),  # 4 of 52 layers: 16,384
        ("openai/gpt-oss-20b", 1, KvPrecision.AUTO, 24 * 2 * 8 * 64 * 2),  # 49,152 while no window is full
    ],
)
def test_bytes_per_token(model: str, tp: int, kv: KvPrecision, per_token: int) -> None:
    assert cache(model, tp, kv).marginal_bytes(1) == per_token


def test_a_full_window_adds_nothing() -> None:
    assert cache("openai/gpt-oss-20b").marginal_bytes(128) == 49_152 // 2  # 12 of 24 layers slide over 128 tokens
    assert cache("google/gemma-3-27b-it").marginal_bytes(1024) == 10 * 2 * 16 * 128 * 2  # 10 of 62 see everything


def test_gemma_3n_reuses_the_cache_of_earlier_layers() -> None:
    # 30 layers, the last 10 without a cache of their own
    assert cache("google/gemma-3n-E2B-it").marginal_bytes(1) == 20 * 2 * 2 * 256 * 2


def test_state_is_per_request_and_divided_by_heads() -> None:
    # gated DeltaNet: 3 x 8,192 convolution elements in bf16, 32 heads of 128 x 128 in float32, 30 layers
    whole = cache("Qwen/Qwen3.5-35B-A3B")
    assert whole.state_bytes == 30 * (24_576 * 2 + 524_288 * 4) == 30 * 2_146_304
    assert cache("Qwen/Qwen3.5-35B-A3B", tp=2).state_bytes == whole.state_bytes // 2
    assert cache("nvidia/Nemotron-H-8B-Base-8K").state_bytes > 0


def test_the_attention_block_grows_until_the_state_fits() -> None:
    # logged by vLLM 0.17 for this shape with an FP8 cache: 2,096 tokens, 4 groups of 10 layers
    hybrid = cache("Qwen/Qwen3.5-35B-A3B", kv=KvPrecision.FP8, state_blocks=2)
    assert hybrid.page_bytes / 1024 == 2096
    assert (hybrid.group_layers, hybrid.groups) == (10, 4)
    # and 38 blocks for a request of 65,536: 32 of attention, 3 x 2 of state
    assert hybrid.served_bytes(65_536) == 38 * 10 * 2096 * 1024


def test_gpt_oss_groups_and_blocks_are_those_vllm_counts() -> None:
    # 8,192 full blocks and 521 sliding ones while the prompt is written in chunks of 8,192; 9 once it is not
    sliding = cache("openai/gpt-oss-20b", chunk_tokens=8192)
    page = 12 * 16 * 2 * 8 * 64 * 2
    assert sliding.served_bytes(131_072, writing=True) == (8192 + 521) * page
    assert sliding.served_bytes(131_072) == (8192 + 9) * page
    assert sliding.ceiling_bytes(131_072) == 2 * 8192 * page
    assert sliding.floor_bytes(131_072) == 12 * 2048 * (131_072 + 128)


def test_padding_layers_are_paid_for() -> None:
    # gemma-3-1b: 4 full and 22 sliding layers make 7 groups of 4, 28 layers' worth (vLLM: "Add 2 padding layers")
    gemma = cache("google/gemma-3-1b-it")
    assert gemma.group_layers * gemma.groups == 28


def test_whole_blocks_are_reserved() -> None:
    llama = cache("meta-llama/Llama-3.1-8B-Instruct")
    assert llama.served_bytes(17) == 32 * 131_072
    assert llama.floor_bytes(17) == 17 * 131_072


def test_an_encoder_decoder_writes_the_prompt_once_and_grows_with_the_output() -> None:
    # flan-t5-xl, published in float32: 24 decoder layers of 32 heads x 64; 1000 prompt and 100 output tokens
    kinds = cache_kinds(resolve_precision(load_spec("google/flan-t5-xl")), 1, prompt_share=1000 / 1100)
    t5 = Cache(kinds=kinds, capped=True, block_tokens=1)
    assert t5.floor_bytes(1100) == pytest.approx(24 * 2 * 32 * 64 * 4 * (1000 + 100), rel=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        "meta-llama/Llama-3.1-8B-Instruct",
        "openai/gpt-oss-20b",
        "google/gemma-3-27b-it",
        "Qwen/Qwen3.5-35B-A3B",
        "nvidia/Nemotron-H-8B-Base-8K",
        "mistralai/Mistral-7B-v0.1",
        "deepseek-ai/DeepSeek-V3.2",
    ],
)
@given(tokens=st.integers(1, 200_000), more=st.integers(0, 50_000))
def test_a_longer_context_never_costs_less_and_bounds_hold(model: str, tokens: int, more: int) -> None:
    held = cache(model, chunk_tokens=2048)
    for bytes_of in (held.floor_bytes, held.served_bytes, held.full_bytes):
        assert bytes_of(tokens + more) >= bytes_of(tokens)
    assert held.floor_bytes(tokens) <= held.served_bytes(tokens) <= held.ceiling_bytes(tokens)


def test_an_engine_that_keeps_every_page_pays_in_full() -> None:
    kinds = (CacheKind(layers=2, bytes_per_token=10.0, window=32), CacheKind(layers=2, bytes_per_token=10.0))
    keeps = Cache(kinds=kinds, capped=False, block_tokens=16)
    assert keeps.served_bytes(160) == 160 * 40
    assert Cache(kinds=kinds, capped=True, block_tokens=1).served_bytes(160) == 160 * 20 + 32 * 20
