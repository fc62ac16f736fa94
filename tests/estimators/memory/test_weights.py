"""Bytes of the weights on each GPU, worked by hand."""

import pytest

from estimators.architecture.catalogue import load_config, load_spec
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.memory.weights import ABSORBED, PADDING, ROTARY, Stage, rotary_bytes, stage_weights
from estimators.precision import Precision, Weights, resolve_precision
from estimators.workload import Placement

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
GIB = 2**30


def precision(model: str, weights: Weights = Weights.AS_PUBLISHED) -> Precision:
    return resolve_precision(load_spec(model), weights)


def only(stages: tuple[Stage, ...]) -> Stage:
    assert len(stages) == 1
    return stages[0]


def test_llama_8b_in_bf16_is_two_bytes_a_parameter() -> None:
    assert only(stage_weights(precision(LLAMA), Placement(), serving=False)).bytes == 16_060_522_496


def test_roles_add_up_to_the_checkpoint() -> None:
    # per layer: q and o 4096 x 4096, k and v 1024 x 4096; three matrices 14336 x 4096; two norms of 4096
    roles = dict(only(stage_weights(precision(LLAMA), Placement(), serving=False)).bytes_by_role)
    assert roles == {
        "attention": 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096) * 2,
        "ffn": 32 * 3 * 14336 * 4096 * 2,
        "norm": (32 * 2 + 1) * 4096 * 2,
        "embedding": 128_256 * 4096 * 2,
        "lm_head": 128_256 * 4096 * 2,
    }


def test_a_server_keeps_rotary_tables_for_every_position() -> None:
    assert rotary_bytes(precision(LLAMA)) == 131_072 * 128 * 2
    served = only(stage_weights(precision(LLAMA), Placement(), serving=True))
    assert served.bytes / GIB == pytest.approx(14.99, abs=0.005)  # as vLLM logs it


def test_llama_4_states_ten_million_positions_and_pays_for_them() -> None:
    # vLLM 0.19 logs 53.12 GiB on each of four GPUs for 108.6e9 parameters in bf16: 50.6 GiB and 2.5 GiB of tables
    scout = precision("RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", Weights.BF16)
    assert rotary_bytes(scout) == 10_485_760 * 128 * 2
    assert only(stage_weights(scout, Placement(tp=4), serving=True)).bytes / GIB == pytest.approx(53.12, abs=0.05)


def test_tensor_parallelism_halves_what_can_be_cut_and_copies_the_norms() -> None:
    roles = dict(only(stage_weights(precision(LLAMA), Placement(tp=2), serving=False)).bytes_by_role)
    assert roles["attention"] == 16 * (2 * 4096 * 4096 + 2 * 1024 * 4096) * 2
    assert roles["lm_head"] == 64_128 * 4096 * 2  # 128,256 is a multiple of 64
    assert roles["norm"] == (32 * 2 + 1) * 4096 * 2


def test_key_value_heads_are_copied_beyond_their_number() -> None:
    # 8 key-value heads on 16 GPUs: one head each, 128 x 4096, as on 8
    def keys_and_values(tp: int) -> int:
        queries_and_output = 2 * 4096 // tp * 4096
        roles = dict(only(stage_weights(precision(LLAMA), Placement(tp=tp), serving=False)).bytes_by_role)
        return roles["attention"] - 32 * queries_and_output * 2

    assert keys_and_values(16) == keys_and_values(8) == 32 * 2 * 128 * 4096 * 2


def test_pipeline_stages_hold_their_layers_and_the_ends_the_tables() -> None:
    # vLLM 0.19 logs 4.26 GiB on an outer stage of four and 3.28 on an inner one
    sizes = [stage.bytes / GIB for stage in stage_weights(precision(LLAMA), Placement(pp=4), serving=True)]
    assert sizes == pytest.approx([4.26, 3.28, 3.28, 4.26], abs=0.005)


def test_expert_parallelism_spreads_whole_experts() -> None:
    whole = dict(only(stage_weights(precision("Qwen/Qwen3-30B-A3B"), Placement(), serving=False)).bytes_by_role)
    for placement in (Placement(tp=4), Placement(tp=4, ep=4), Placement(tp=4, ep=2)):
        cut = dict(only(stage_weights(precision("Qwen/Qwen3-30B-A3B"), placement, serving=False)).bytes_by_role)
        assert cut["expert"] == whole["expert"] // 4  # 128 experts and a width of 768 both divide by 4
        assert cut["router"] == whole["router"]


def test_experts_that_do_not_divide_round_up() -> None:
    # gpt-oss-20b: 32 experts over 3 of 6 GPUs would be 11, 11 and 10
    qwen = precision("Qwen/Qwen3-30B-A3B")
    cut = dict(only(stage_weights(qwen, Placement(tp=12, ep=12), serving=False)).bytes_by_role)
    assert cut["expert"] == 48 * 11 * 3 * 768 * 2048 * 2  # ceil(128 / 12) = 11


def test_mxfp4_experts_are_padded_to_the_kernels_tile() -> None:
    # 2880 -> 3072 and 2944; a matrix of n x k takes n k / 2 + n k / 32 bytes
    roles = dict(only(stage_weights(precision("openai/gpt-oss-20b"), Placement(), serving=True)).bytes_by_role)
    stored, padded = 3 * 2880 * 2880, 3 * 2944 * 3072
    assert roles[PADDING] == 24 * 32 * (padded - stored) * 17 // 32


def test_mla_keeps_its_up_projections_twice() -> None:
    roles = dict(only(stage_weights(precision("deepseek-ai/DeepSeek-V3"), Placement(tp=8), serving=True)).bytes_by_role)
    assert roles[ABSORBED] == 61 * 512 * 16 * (128 + 128) * 2
    assert ROTARY in roles


def test_mtp_layers_count_only_when_they_draft() -> None:
    deepseek = precision("deepseek-ai/DeepSeek-V3")
    without = only(stage_weights(deepseek, Placement(tp=8), serving=False)).bytes_by_role
    drafting = only(stage_weights(deepseek, Placement(tp=8), serving=False, mtp=True)).bytes_by_role
    assert "mtp" not in dict(without)
    assert dict(drafting)["mtp"] > GIB


def test_fewer_bits_take_fewer_bytes() -> None:
    sizes = [
        only(stage_weights(precision(LLAMA, weights), Placement(tp=2), serving=True)).bytes
        for weights in (Weights.FP32, Weights.BF16, Weights.FP8, Weights.NVFP4, Weights.INT4)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_prediction_layers_that_the_checkpoint_ignores_stay_in_16_bits() -> None:
    """A mixture that names layer 0 of the decoder and ignores "mtp*": the experts of mtp.layers.0 are in bf16.

    Qwen3.6-35B-A3B-NVFP4, vLLM 0.22 with MTP: 256 x 3 x 512 x 2,048 x 2 bytes of experts, 21.93 GiB logged.
    """
    config = dict(load_config("Qwen/Qwen3.5-35B-A3B"))
    modules = ("linear_attn.in_proj_qkv", "linear_attn.in_proj_z", "linear_attn.out_proj", "self_attn.q_proj",
               "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")  # fmt: skip
    narrow = ("mlp.experts", "mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj")
    layers = [f"model.language_model.layers.{layer}" for layer in range(40)]
    listed = {f"{layer}.{module}": {"quant_algo": "FP8"} for layer in layers for module in modules}
    listed |= {f"{layer}.{module}": {"quant_algo": "W4A16_NVFP4"} for layer in layers for module in narrow}
    listed["lm_head"] = {"quant_algo": "W4A16_NVFP4"}
    config["quantization_config"] = {
        "quant_method": "modelopt",
        "quant_algo": "MIXED_PRECISION",
        "quantized_layers": listed,
        "ignore": ["mtp.layers.0*", "mtp*"],
    }
    spec = parse_config(config, model_id="org/mixed", source=SpecSource.FILE, source_note="made for a test")
    plain = only(stage_weights(resolve_precision(spec), Placement(), serving=True))
    drafting = only(stage_weights(resolve_precision(spec), Placement(), serving=True, mtp=True))
    assert drafting.bytes - plain.bytes > 256 * 3 * 512 * 2048 * 2
    assert drafting.bytes / 2**30 == pytest.approx(21.93, rel=0.02)
