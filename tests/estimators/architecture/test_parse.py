"""What a config means: attention, windows, states and experts per layer, in every spelling; and what it may not say."""

from __future__ import annotations

import pytest

from estimators.architecture.catalogue import load_config, load_spec
from estimators.architecture.families import FAMILIES
from estimators.architecture.parse import ConfigError, UnknownArchitecture, parse_config
from estimators.architecture.spec import Attention, AttentionKind, LayerGroup, ModelSpec, Role, SpecSource, Split

TINY_LLAMA: dict[str, object] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "torch_dtype": "float16",
}


def parsed(config: dict[str, object]) -> ModelSpec:
    return parse_config(config, model_id="test/model", source=SpecSource.FILE, source_note="a test")


def attention_of(model: str, layer: int) -> Attention:
    attention = group_of(model, layer).attention
    assert attention is not None
    return attention


def group_of(model: str, layer: int) -> LayerGroup:
    return next(g for g in load_spec(model).groups if layer in g.layers and g.stack == "decoder")


def sliding_layers(model: str) -> int:
    groups = load_spec(model).groups
    return sum(g.count for g in groups if g.attention and g.attention.kind is AttentionKind.SLIDING)


def test_a_tiny_llama_tensor_by_tensor() -> None:
    spec = parsed(TINY_LLAMA)
    names = {tensor.name: tensor.shape for tensor in spec.groups[0].tensors}
    assert names == {
        "self_attn.q_proj": (64, 64),
        "self_attn.k_proj": (64, 64),
        "self_attn.v_proj": (64, 64),
        "self_attn.o_proj": (64, 64),
        "mlp.gate_proj": (128, 64),
        "mlp.up_proj": (128, 64),
        "mlp.down_proj": (64, 128),
        "input_layernorm": (64,),
        "post_attention_layernorm": (64,),
    }
    assert {tensor.name: tensor.shape for tensor in spec.tensors} == {
        "model.embed_tokens": (100, 64),
        "lm_head": (100, 64),
        "model.norm": (64,),
    }
    assert spec.resident_params == 2 * (4 * 64 * 64 + 3 * 128 * 64 + 2 * 64) + 2 * 100 * 64 + 64
    assert (spec.dtype, spec.layer_count, spec.architecture) == ("float16", 2, "LlamaForCausalLM")


def test_grouped_queries() -> None:
    attention = attention_of("meta-llama/Llama-3.1-8B", 0)
    assert (attention.kind, attention.q_heads, attention.kv_heads) == (AttentionKind.FULL, 32, 8)
    assert attention.cached_elements_per_token == 2 * 8 * 128


def test_latent_attention_caches_one_latent_and_one_rotary_key() -> None:
    attention = attention_of("deepseek-ai/DeepSeek-V3", 60)
    assert attention.kind is AttentionKind.MLA
    assert attention.cached_elements_per_token == 512 + 64
    assert (attention.head_dim, attention.value_dim) == (192, 128)


@pytest.mark.parametrize(("model", "indexed"), [("deepseek-ai/DeepSeek-V3.2", 61), ("zai-org/GLM-5.2", 21)])
def test_sparse_attention_caches_index_keys_where_a_layer_has_an_indexer(model: str, indexed: int) -> None:
    groups = [g for g in load_spec(model).groups if g.stack == "decoder" and g.attention is not None]
    assert sum(g.count for g in groups if g.attention and g.attention.indexer_dim == 128) == indexed
    assert {g.attention.indexer_topk for g in groups if g.attention} == {2048}


@pytest.mark.parametrize(
    ("model", "layers", "sliding", "window"),
    [
        ("openai/gpt-oss-120b", 36, 18, 128),
        ("google/gemma-2-27b", 46, 23, 4096),
        ("google/gemma-3-27b-it", 62, 52, 1024),
        ("google/gemma-3-4b-it", 34, 29, 1024),
        ("google/gemma-4-31B", 60, 50, 1024),
        ("allenai/Olmo-3-1025-7B", 32, 24, 4096),
        ("LGAI-EXAONE/EXAONE-4.0-32B", 64, 48, 4096),
        ("mistralai/Mistral-7B-v0.1", 32, 32, 4096),
        ("mistralai/Mistral-7B-Instruct-v0.3", 32, 0, None),
        ("XiaomiMiMo/MiMo-V2-Flash", 48, 39, 128),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 28, 0, None),
        ("stepfun-ai/Step-3.7-Flash", 45, 33, 512),
    ],
)
def test_windows_per_layer(model: str, layers: int, sliding: int, window: int | None) -> None:
    spec = load_spec(model)
    assert spec.layer_count == layers
    assert sliding_layers(model) == sliding
    windows = {g.attention.window for g in spec.groups if g.attention and g.attention.window}
    assert windows == ({window} if window else set())


def test_a_window_as_long_as_the_context_is_full_attention() -> None:
    """Phi-4-mini states a window of 262,144 over a context of 131,072."""
    assert attention_of("microsoft/Phi-4-mini-instruct", 0).kind is AttentionKind.FULL


def test_llama_4_attends_in_chunks_on_three_layers_of_four() -> None:
    model = "meta-llama/Llama-4-Maverick-17B-128E-Instruct"
    kinds = [attention_of(model, layer).kind for layer in range(8)]
    chunked = [AttentionKind.CHUNKED] * 3
    assert kinds == [*chunked, AttentionKind.FULL, *chunked, AttentionKind.FULL]
    assert attention_of(model, 0).window == 8192
    experts = [group_of(model, layer).ffn for layer in range(4)]
    assert [ffn.experts if ffn else None for ffn in experts] == [0, 128, 0, 128]


@pytest.mark.parametrize(
    ("model", "layers", "caching"), [("google/gemma-3n-E2B-it", 30, 20), ("google/gemma-4-E2B", 35, 15)]
)
def test_late_layers_of_gemma_reuse_an_earlier_cache(model: str, layers: int, caching: int) -> None:
    groups = load_spec(model).groups
    assert sum(g.count for g in groups) == layers
    stored = [g for g in groups if g.attention and g.attention.cached_elements_per_token]
    assert sum(g.count for g in stored) == caching
    reusing = next(g for g in groups if g.attention and g.attention.reuses_earlier_cache)
    assert "self_attn.k_proj" not in {tensor.name for tensor in reusing.tensors}


def test_gemma_4_has_wider_and_fewer_heads_on_full_layers() -> None:
    sliding, full = attention_of("google/gemma-4-12B", 0), attention_of("google/gemma-4-12B", 5)
    assert (sliding.kv_heads, sliding.head_dim, sliding.cached_elements_per_token) == (8, 256, 4096)
    assert (full.kv_heads, full.head_dim, full.cached_elements_per_token) == (1, 512, 1024)


@pytest.mark.parametrize(
    ("model", "layers", "kind", "conv", "recurrent", "dtype"),
    [
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 36, "gated_delta_net", 8192 * 3, 32 * 128 * 128, "bfloat16"),
        ("Qwen/Qwen3.5-9B", 24, "gated_delta_net", 8192 * 3, 32 * 128 * 128, "float32"),
        ("nvidia/Nemotron-H-8B-Base-8K", 24, "mamba2", 10_240 * 3, 128 * 64 * 128, "bfloat16"),
        ("nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16", 48, "mamba2", 18_432 * 3, 256 * 64 * 128, "float32"),
        ("ibm-granite/granite-4.0-h-tiny", 36, "mamba2", 3328 * 3, 48 * 64 * 128, "bfloat16"),
        ("ai21labs/AI21-Jamba-1.5-Mini", 28, "mamba1", 8192 * 3, 8192 * 16, "bfloat16"),
        ("tiiuae/falcon-mamba-7b", 64, "mamba1", 8192 * 3, 8192 * 16, "bfloat16"),
    ],
)
def test_state_of_a_request_per_layer(
    model: str, layers: int, kind: str, conv: int, recurrent: int, dtype: str
) -> None:
    groups = [g for g in load_spec(model).groups if g.state is not None and g.stack == "decoder"]
    assert sum(g.count for g in groups) == layers
    for group in groups:
        assert group.state is not None
        assert group.attention is None
        assert (group.state.kind, group.state.conv_elements, group.state.recurrent_elements) == (kind, conv, recurrent)
        assert group.state.recurrent_dtype == dtype


def test_nemotron_h_caches_on_four_layers_of_52() -> None:
    groups = load_spec("nvidia/Nemotron-H-8B-Base-8K").groups
    assert sum(g.count for g in groups if g.attention is not None) == 4
    assert sum(g.count for g in groups) == 52


def test_falcon_h1_has_attention_and_state_in_every_layer() -> None:
    spec = parsed(
        {
            "model_type": "falcon_h1",
            "hidden_size": 2048,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "mamba_d_ssm": 3072,
            "mamba_n_heads": 48,
            "mamba_d_head": 64,
            "mamba_d_state": 256,
            "mamba_n_groups": 1,
            "mamba_d_conv": 4,
            "vocab_size": 65_537,
        }
    )
    group = spec.groups[0]
    assert group.attention is not None
    assert group.state is not None
    assert group.state.recurrent_elements == 3072 * 256


def test_nemotron_nas_differs_layer_by_layer() -> None:
    spec = load_spec("nvidia/Llama-3_3-Nemotron-Super-49B-v1")
    assert spec.layer_count == 80
    assert any(group.attention is None for group in spec.groups)
    assert len({group.ffn.width for group in spec.groups if group.ffn}) > 3


def test_an_encoder_decoder_has_two_stacks_and_crossing_attention() -> None:
    spec = load_spec("google/flan-t5-xl")
    stacks = {stack: sum(g.count for g in spec.groups if g.stack == stack) for stack in ("encoder", "decoder")}
    assert stacks == {"encoder": 24, "decoder": 24}
    decoder = next(g for g in spec.groups if g.stack == "decoder")
    assert decoder.cross_attention is not None
    assert decoder.cross_attention.kind is AttentionKind.CROSS
    assert spec.layer_count == 24


def test_deepseek_v4_keeps_a_window_and_a_compressed_context() -> None:
    fine, coarse = attention_of("deepseek-ai/DeepSeek-V4-Pro", 2), attention_of("deepseek-ai/DeepSeek-V4-Pro", 3)
    assert (fine.window, fine.cached_elements_per_token, fine.compression) == (128, 512, 4)
    assert fine.compressed_elements_per_token == (512 + 128) / 4
    assert coarse.compressed_elements_per_token == 512 / 128


def test_prediction_layers_stand_apart() -> None:
    spec = load_spec("deepseek-ai/DeepSeek-V3")
    mtp = [group for group in spec.groups if group.stack == "mtp"]
    assert [group.layers for group in mtp] == [(61,)]
    assert spec.layer_count == 61
    assert {"enorm", "hnorm", "eh_proj"} <= {tensor.name for tensor in mtp[0].tensors}


def test_towers_are_counted_and_marked() -> None:
    spec = load_spec("google/gemma-3-4b-it")
    tower = sum(tensor.elements for tensor in spec.tensors if tensor.role is Role.TOWER)
    assert tower == 4_300_079_472 - 3_880_263_168  # less Gemma3ForCausalLM built from its text_config


def test_tensor_parallel_splits() -> None:
    splits = {tensor.name: tensor.split for tensor in load_spec("Qwen/Qwen3-30B-A3B").groups[0].tensors}
    assert splits["self_attn.q_proj"] is Split.COLUMN
    assert splits["self_attn.k_proj"] is Split.KV_COLUMN
    assert splits["self_attn.o_proj"] is Split.ROW
    assert splits["mlp.experts.{e}.up_proj"] is Split.EXPERT
    assert splits["mlp.gate"] is Split.REPLICATED


def test_identical_layers_share_a_group() -> None:
    assert [g.layers for g in load_spec("deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct").groups] == [
        (0,),
        tuple(range(1, 27)),
    ]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ({"torch_dtype": "bfloat16"}, {"dtype": "bfloat16"}),
        ({"torch_dtype": "torch.bfloat16"}, {"dtype": "bfloat16"}),
        ({"rope_theta": 500000.0, "rope_scaling": None}, {"rope_parameters": {"rope_theta": 500000.0}}),
    ],
)
def test_both_generations_of_field_names(older: dict[str, object], newer: dict[str, object]) -> None:
    base = {key: value for key, value in TINY_LLAMA.items() if key != "torch_dtype"}
    assert parsed({**base, **older}) == parsed({**base, **newer})


def test_gemma_3_windows_from_layer_types_equal_those_from_the_older_pattern() -> None:
    config = load_config("google/gemma-3-27b-it")
    text = dict(config["text_config"])  # type: ignore[call-overload]
    stated = parsed(config)
    del text["layer_types"]
    assert parsed({**config, "text_config": {**text, "sliding_window_pattern": 6}}).groups == stated.groups


def test_a_config_without_a_dtype_says_what_was_taken() -> None:
    assert load_spec("openai/gpt-oss-20b").dtype == "bfloat16"
    assert "names no dtype" in load_spec("openai/gpt-oss-20b").notes[0]
    assert load_spec("openai-community/gpt2").dtype == "float32"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": -3}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": None}, "num_hidden_layers"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"hidden_size": 64.0}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"vocab_size": float("nan")}, "vocab_size"),
        ({"num_attention_heads": 5}, "num_attention_heads"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"torch_dtype": "int3"}, "torch_dtype"),
        ({"architectures": "LlamaForCausalLM"}, "architectures"),
        ({"quantization_config": {"quant_method": "hqq"}}, "quantization_config.quant_method"),
        ({"quantization_config": {"bits": 4}}, "quantization_config.quant_method"),
        ({"quantization_config": {"quant_method": "gptq", "bits": "4"}}, "quantization_config.bits"),
        ({"quantization_config": [1]}, "quantization_config"),
        ({"model_type": None}, "model_type"),
        ({"model_type": 7}, "model_type"),
    ],
)
def test_a_bad_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parsed({**TINY_LLAMA, **change})
    assert refused.value.field == field
    assert field in str(refused.value)


def test_a_missing_size_is_named_rather_than_defaulted() -> None:
    for field in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"):
        config = {key: value for key, value in TINY_LLAMA.items() if key != field}
        with pytest.raises(ConfigError) as refused:
            parsed(config)
        assert refused.value.field == field


def test_contradictions_are_refused() -> None:
    with pytest.raises(ConfigError, match="layer_types"):
        parsed({**load_config("openai/gpt-oss-20b"), "num_hidden_layers": 12})
    with pytest.raises(ConfigError, match="num_experts_per_tok"):
        parsed({**load_config("Qwen/Qwen3-30B-A3B"), "num_experts_per_tok": 129})
    with pytest.raises(ConfigError, match="num_hidden_layers"):
        parsed({**load_config("nvidia/Nemotron-H-8B-Base-8K"), "num_hidden_layers": 51})


def test_an_architecture_nobody_described_is_refused_with_a_way_out() -> None:
    """Where its config has sizes as others have, `test_conventions` reads it as a range."""
    with pytest.raises(UnknownArchitecture) as refused:
        parsed({"model_type": "quantum_llm", "qubits": 64})
    assert refused.value.field == "model"
    assert "parameter count" in refused.value.remedy


def test_every_family_refuses_an_empty_config() -> None:
    for model_type in FAMILIES:
        with pytest.raises(ConfigError) as refused:
            parsed({"model_type": model_type})
        assert refused.value.field


def test_a_checkpoint_that_drafts_by_dspark_has_three_layers_with_a_window_and_a_markov_head() -> None:
    """DeepSeek-V4-Flash-0731 taps three layers and has a Markov head of rank 256.

    Beside a third layer: 4,096 x 12,288 of main_proj, 2 x 129,280 x 256 of the head, two norms of 4,096, and
    4 x 16,384 + 4 + 1 that join the residual streams.
    """
    config = dict(load_config("deepseek-ai/DeepSeek-V4-Flash"))
    config |= {"dspark_target_layer_ids": [40, 41, 42], "dspark_markov_rank": 256}
    spec = parse_config(config, model_id="acme/drafts", source=SpecSource.FILE, source_note="a test")
    first, last = (group for group in spec.groups if group.stack == "mtp")
    assert (first.count, last.count) == (2, 1)
    elements = [sum(tensor.elements for tensor in group.tensors) for group in (first, last)]
    assert elements[1] - elements[0] == 4096 * 12_288 + 2 * 129_280 * 256 + 2 * 4096 + 4 * 16_384 + 5
    assert last.attention is not None
    assert (last.attention.window, last.attention.compression) == (128, 0)
    assert spec.resident_params == load_spec("deepseek-ai/DeepSeek-V4-Flash").resident_params
