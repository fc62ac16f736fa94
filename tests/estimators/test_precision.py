"""Bytes of stored weights: against the headers of real quantized files, then what each request comes to."""

from __future__ import annotations

import csv
import json
import time
from itertools import count

import pytest

from estimators.architecture.catalogue import load_spec
from estimators.architecture.fields import ConfigError
from estimators.architecture.parse import parse_config
from estimators.architecture.quantization import FormatRule, TensorFormat
from estimators.architecture.spec import LayerGroup, ModelSpec, Role, SpecSource, StoredWeights, Tensor
from estimators.formats import LAYOUTS, stored_bytes
from estimators.module_match import Budget, first_match, layer_specific
from estimators.precision import DTYPE_OF, RECIPES, KvPrecision, Method, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from tests.conftest import REFERENCE

SMALL_LLAMA = {
    "model_type": "llama",
    "hidden_size": 640,
    "intermediate_size": 1792,
    "num_hidden_layers": 4,
    "num_attention_heads": 10,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 2000,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
CT_INT8: dict[str, object] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True},
            "input_activations": {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True},
        }
    },
}
with (REFERENCE / "quantized_sizes.csv").open(newline="", encoding="utf-8") as file:
    MEASURED = list(csv.DictReader(file))


def parsed(config: dict[str, object]) -> ModelSpec:
    return parse_config(config, model_id="test/model", source=SpecSource.FILE, source_note="a test")


def linear_bytes(precision: Precision) -> int:
    return sum(
        precision.bytes_of(tensor, layer)
        for group in precision.spec.groups
        for layer in group.layers
        for tensor in group.tensors
        if tensor.linear
    )


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["name"])
def test_bytes_agree_with_the_file_that_the_tool_wrote(row: dict[str, str]) -> None:
    """28 linears and everything else of a small Llama; `note_bytes` are bitsandbytes' JSON notes, on no device."""
    quantization = {"quantization_config": json.loads(row["quantization_config"])} if row["quantization_config"] else {}
    precision = resolve_precision(parsed({**SMALL_LLAMA, **quantization}))
    notes = int(row["note_bytes"])
    assert linear_bytes(precision) == int(row["linear_bytes"]) - notes
    assert precision.weights_bytes == int(row["tensor_bytes"]) - notes


@pytest.mark.parametrize(
    ("model", "total_bytes"),
    [
        ("meta-llama/Llama-3.1-8B", 16_060_522_496),
        ("meta-llama/Llama-3.1-70B-Instruct", 141_107_412_992),
        ("mistralai/Mixtral-8x7B-v0.1", 93_405_585_408),
        ("openai/gpt-oss-20b", 13_761_264_768),
        ("Qwen/Qwen3-30B-A3B", 61_064_245_248),
        ("microsoft/phi-4", 29_319_014_400),
    ],
)
def test_published_checkpoints_have_the_bytes_their_index_states(model: str, total_bytes: int) -> None:
    """`total_size` of model.safetensors.index.json."""
    assert resolve_precision(load_spec(model)).weights_bytes == total_bytes


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (TensorFormat(layout="ct-pack", bits=4, group_size=128), 640 * 1792 // 2 + 2 * 640 * 14 + 16),
        (TensorFormat(layout="awq", bits=4, group_size=128, symmetric=False), 1792 * 320 + 2 * 640 * 14 + 4 * 14 * 80),
        (TensorFormat(layout="fp8-block", bits=8, block=(128, 128)), 640 * 1792 + 4 * 5 * 14),
        (TensorFormat(layout="nvfp4", bits=4, group_size=16, activations="fp4"), 640 * 1792 // 2 + 640 * 112 + 8),
        (TensorFormat(layout="torchao-int4", bits=4, group_size=128), 640 * 1792 // 2 + 4 * 640 * 14),
        (TensorFormat(layout="ct-pack", bits=4, group_size=128, act_order=True), 573_440 + 17_920 + 16 + 4 * 1792),
    ],
    ids=lambda value: value.layout if isinstance(value, TensorFormat) else str(value),
)
def test_one_weight_of_640_by_1792(form: TensorFormat, expected: int) -> None:
    assert stored_bytes(form, 640, 1792) == expected


def formats_by_role(precision: Precision) -> dict[Role, set[str]]:
    found: dict[Role, set[str]] = {}
    for group in precision.spec.groups:
        for tensor in group.tensors if group.stack != "mtp" else ():
            found.setdefault(tensor.role, set()).add(precision.format_of(tensor, group.layers[0]).layout)
    for tensor in precision.spec.tensors:
        found.setdefault(tensor.role, set()).add(precision.format_of(tensor).layout)
    return found


def test_what_if_leaves_the_usual_tensors_wide() -> None:
    found = formats_by_role(resolve_precision(load_spec("Qwen/Qwen3-VL-30B-A3B-Instruct"), Weights.INT4))
    assert found[Role.EXPERT] == {"ct-pack"}
    assert found[Role.ATTENTION] == {"ct-pack"}
    for role in (Role.EMBEDDING, Role.LM_HEAD, Role.NORM, Role.ROUTER, Role.TOWER):
        assert found[role] == {"dense"}


def test_what_if_w8a8_of_llama_8b_worked_by_hand() -> None:
    """Linears one byte an element and two per output; embeddings, head and norms in 16 bits."""
    linears = 32 * (2 * 4096 * 4096 + 2 * 1024 * 4096 + 3 * 14_336 * 4096)
    outputs = 32 * (4096 + 1024 + 1024 + 4096 + 14_336 + 14_336 + 4096)
    wide = 2 * (2 * 128_256 * 4096 + 65 * 4096)
    precision = resolve_precision(load_spec("meta-llama/Llama-3.1-8B"), Weights.INT8)
    assert precision.weights_bytes == linears + 2 * outputs + wide
    assert precision.method == "compressed-tensors"
    assert not precision.published


def test_precisions_are_ordered_by_size() -> None:
    spec = load_spec("meta-llama/Llama-3.1-70B")
    order = [Weights.FP32, Weights.BF16, Weights.INT8_WEIGHT_ONLY, Weights.INT8, Weights.NF4, Weights.INT4]
    sizes = [resolve_precision(spec, weights).weights_bytes for weights in order]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 2 * sizes[1] == 4 * 70_553_706_496


@pytest.mark.parametrize(
    ("weights", "method", "bits"),
    [
        (Weights.INT4, Method.AWQ, 4),
        (Weights.INT4, Method.GPTQ, 4),
        (Weights.INT8_WEIGHT_ONLY, Method.GPTQ, 8),
        (Weights.INT8, Method.BNB, 8),
        (Weights.NF4, Method.AUTO, 4),
        (Weights.NVFP4, Method.CT, 4),
        (Weights.MXFP4, Method.AUTO, 4),
        (Weights.FP8, Method.AUTO, 8),
    ],
)
def test_methods_that_exist(weights: Weights, method: Method, bits: int) -> None:
    precision = resolve_precision(load_spec("Qwen/Qwen3-8B"), weights, method)
    down = next(tensor for tensor in precision.spec.groups[0].tensors if tensor.name == "mlp.down_proj")
    assert precision.format_of(down, 0).bits == bits
    assert precision.weights is weights


@pytest.mark.parametrize(
    ("weights", "method"),
    [
        (Weights.NF4, Method.AWQ),
        (Weights.INT4, Method.BNB),
        (Weights.FP8, Method.GPTQ),
        (Weights.INT8_WEIGHT_ONLY, Method.AWQ),
        (Weights.BF16, Method.CT),
        (Weights.AS_PUBLISHED, Method.AWQ),
    ],
)
def test_pairs_that_no_tool_makes_are_refused(weights: Weights, method: Method) -> None:
    with pytest.raises(Refusal) as refused:
        resolve_precision(load_spec("Qwen/Qwen3-8B"), weights, method)
    assert refused.value.field == "method"
    assert refused.value.remedy


def test_the_published_precision_is_recognised_when_named() -> None:
    spec = load_spec("Qwen/Qwen2.5-72B-Instruct-AWQ")
    as_published = resolve_precision(spec)
    assert as_published.published
    assert (as_published.weights, as_published.method) == (Weights.INT4, "awq")
    assert resolve_precision(spec, Weights.INT4, Method.AWQ).weights_bytes == as_published.weights_bytes


def test_another_precision_of_a_quantized_checkpoint_comes_from_its_architecture_and_says_so() -> None:
    precision = resolve_precision(load_spec("deepseek-ai/DeepSeek-R1"), Weights.INT4)
    assert not precision.published
    assert "published in fp8" in precision.notes[0]
    assert precision.weights_bytes < resolve_precision(load_spec("deepseek-ai/DeepSeek-R1")).weights_bytes * 0.6


@pytest.mark.parametrize(
    ("model", "weights", "kv", "expected", "compute"),
    [
        ("meta-llama/Llama-3.1-8B", Weights.AS_PUBLISHED, KvPrecision.AUTO, KvPrecision.BF16, "bfloat16"),
        ("meta-llama/Llama-3.1-8B", Weights.FP16, KvPrecision.AUTO, KvPrecision.FP16, "float16"),
        ("meta-llama/Llama-3.1-8B", Weights.FP32, KvPrecision.AUTO, KvPrecision.FP32, "float32"),
        ("meta-llama/Llama-3.1-8B", Weights.INT4, KvPrecision.AUTO, KvPrecision.BF16, "bfloat16"),
        ("meta-llama/Llama-3.1-8B", Weights.BF16, KvPrecision.FP8, KvPrecision.FP8, "bfloat16"),
        ("nvidia/Kimi-K2.5-NVFP4", Weights.AS_PUBLISHED, KvPrecision.AUTO, KvPrecision.FP8, "bfloat16"),
        ("nvidia/Kimi-K2.5-NVFP4", Weights.FP8, KvPrecision.AUTO, KvPrecision.BF16, "bfloat16"),
        ("openai-community/gpt2", Weights.AS_PUBLISHED, KvPrecision.AUTO, KvPrecision.FP32, "float32"),
        ("openai-community/gpt2", Weights.INT8, KvPrecision.AUTO, KvPrecision.BF16, "bfloat16"),
    ],
)
def test_the_cache_has_the_compute_type_unless_the_checkpoint_or_the_person_says_otherwise(
    model: str, weights: Weights, kv: KvPrecision, expected: KvPrecision, compute: str
) -> None:
    precision = resolve_precision(load_spec(model), weights, kv=kv)
    assert (precision.kv, precision.compute_dtype) == (expected, compute)
    assert precision.kv_bytes_per_element == {"fp32": 4, "bf16": 2, "fp16": 2, "fp8": 1}[expected]


def test_a_mixed_file_has_several_formats() -> None:
    """Feed-forward NVFP4, attention and most of the linear mixers FP8, the rest wide."""
    found = formats_by_role(resolve_precision(load_spec("nvidia/Qwen3.6-27B-NVFP4")))
    assert found[Role.FFN] == {"nvfp4"}
    assert found[Role.ATTENTION] == {"modelopt-fp8"}
    assert found[Role.STATE] == {"modelopt-fp8", "dense"}
    assert found[Role.TOWER] == {"dense"}


def small(quantization: dict[str, object]) -> Precision:
    return resolve_precision(parsed({**SMALL_LLAMA, "quantization_config": quantization}))


def form_of(precision: Precision, name: str, layer: int = 0) -> TensorFormat:
    tensor = next(t for t in precision.spec.groups[0].tensors if t.name == name)
    return precision.format_of(tensor, layer)


def test_groups_of_compressed_tensors_are_read_one_by_one() -> None:
    """FP8 for down_proj, W4A16 for the other linears; one layer's up_proj left out by expression."""
    four = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": True}
    eight = {"num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}
    precision = small(
        {
            "quant_method": "compressed-tensors",
            "format": "mixed-precision",
            "ignore": ["lm_head", "re:.*layers\\.2\\.mlp\\.up_proj"],
            "config_groups": {
                "group_0": {
                    "targets": ["re:.*down_proj"],
                    "format": "float-quantized",
                    "weights": eight,
                    "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True},
                },
                "group_1": {"targets": ["Linear"], "format": "pack-quantized", "weights": four},
            },
        }
    )
    assert form_of(precision, "mlp.down_proj").layout == "ct-float"
    assert form_of(precision, "self_attn.q_proj").layout == "ct-pack"
    assert form_of(precision, "mlp.up_proj", 2).layout == "dense"
    assert form_of(precision, "mlp.up_proj", 1).layout == "ct-pack"


def test_gptq_with_exceptions_by_expression() -> None:
    changes = {"+:.*down_proj": {"bits": 8, "group_size": 64}, "-:.*layers\\.0\\..*": {}}
    base = {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": changes}
    precision = small(base)
    assert (form_of(precision, "mlp.down_proj", 1).bits, form_of(precision, "mlp.down_proj", 1).group_size) == (8, 64)
    assert form_of(precision, "mlp.up_proj", 1).bits == 4
    assert form_of(precision, "mlp.up_proj", 0).layout == "dense"


def test_auto_round_with_modules_of_their_own() -> None:
    extra = {"model.layers.0.mlp.up_proj": {"bits": 16}, "model.layers.1.mlp.up_proj": {"bits": 8}}
    precision = small({"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": extra})
    bits = [form_of(precision, "mlp.up_proj", layer).bits for layer in range(3)]
    assert bits == [16, 8, 4]


@pytest.mark.parametrize(
    ("quantization", "layout", "weights"),
    [
        ({"quant_method": "torchao", "quant_type": "int4_weight_only"}, "torchao-int4", Weights.INT4),
        (
            {
                "quant_method": "quark",
                "global_quant_config": {"weight": {"dtype": "fp4", "qscheme": "per_group", "group_size": 32}},
                "exclude": ["lm_head", "*self_attn*"],
            },
            "mxfp4",
            Weights.MXFP4,
        ),
        ({"quant_algo": "NVFP4", "ignore": ["lm_head"], "kv_cache_quant_algo": "FP8"}, "nvfp4", Weights.NVFP4),
        ({"quant_method": "fp8", "weight_block_size": None, "activation_scheme": "static"}, "fp8-tensor", Weights.FP8),
    ],
)
def test_other_tools(quantization: dict[str, object], layout: str, weights: Weights) -> None:
    precision = small(quantization)
    assert form_of(precision, "mlp.up_proj").layout == layout
    assert precision.weights is weights
    assert precision.published


def test_deepseek_v4_packs_experts_and_keeps_exponent_scales() -> None:
    precision = resolve_precision(load_spec("deepseek-ai/DeepSeek-V4-Pro"))
    found = formats_by_role(precision)
    assert found[Role.EXPERT] == {"mxfp4"}
    assert found[Role.SHARED_EXPERT] == {"fp8-block-e8m0"}
    assert precision.weights is Weights.MXFP4


def test_a_quantization_the_config_leaves_to_another_file_is_taken_from_the_name_and_said() -> None:
    precision = resolve_precision(load_spec("nvidia/GLM-5-NVFP4"))
    assert precision.weights is Weights.NVFP4
    assert "its name does" in precision.notes[0]
    assert (precision.by_name, precision.published) == (True, False)
    assert formats_by_role(precision)[Role.ATTENTION] == {"dense"}


def test_layers_of_one_group_may_differ_in_format() -> None:
    """Meta's FP8 405B leaves the feed-forward of the first and the last layer wide."""
    precision = resolve_precision(load_spec("meta-llama/Llama-3.1-405B-Instruct-FP8"))
    group: LayerGroup = precision.spec.groups[0]
    up = next(tensor for tensor in group.tensors if tensor.name == "mlp.up_proj")
    assert precision.format_of(up, 0).layout == precision.format_of(up, 125).layout == "dense"
    assert precision.format_of(up, 1).layout == "fbgemm-fp8"
    assert not precision.layers_alike(group)
    assert precision.bytes_of(up, 0) > precision.bytes_of(up, 1)


def test_stored_weights_without_an_architecture() -> None:
    stored = StoredWeights(bytes_by_dtype=(("BF16", 200),), elements=100)
    known = parsed(SMALL_LLAMA)
    spec = ModelSpec(
        **{name: getattr(known, name) for name in ("id", "revision", "source", "source_note", "architecture")},
        model_type="unheard-of",
        hidden_size=0,
        vocab_size=0,
        max_positions=None,
        dtype="bfloat16",
        tied_embeddings=False,
        groups=(),
        tensors=(),
        stored=stored,
    )
    assert resolve_precision(spec).weights_bytes == 200
    with pytest.raises(Refusal) as refused:
        resolve_precision(spec, Weights.INT4)
    assert refused.value.field == "weights"


def rule(*targets: str, ignore: tuple[str, ...] = ()) -> FormatRule:
    return FormatRule(targets=targets, ignore=ignore, format=TensorFormat(layout="ct-int", bits=8))


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("lm_head", "lm_head", True),
        ("language_model.lm_head", "lm_head", True),
        ("model.layers.3.mlp.gate_proj", "mlp.gate", False),
        ("model.layers.3.mlp.gate", "mlp.gate", True),
        ("model.layers.3.self_attn.q_proj", "model.layers.3.self_attn", True),
        ("model.layers.31.self_attn.q_proj", "model.layers.3.self_attn", False),
        ("model.layers.3.self_attn.q_proj", "model.layers.3.self_attn*", True),
        ("model.layers.3.mlp.experts.0.w1", "re:.*experts.*", True),
        ("model.layers.3.mlp.up_proj", "re:.*mlp\\.(gate|up|down)_proj.*", True),
        ("model.layers.3.mlp.experts.0.up_proj", "re:.*mlp\\.(gate|up|down)_proj.*", False),
        ("vision_tower.blocks.0.wo", "model.vision_tower", True),
    ],
)
def test_patterns_of_recipes(path: str, pattern: str, matched: bool) -> None:
    assert (first_match(path, [rule(pattern)], Budget()) is not None) is matched
    assert (first_match(path, [rule("Linear", ignore=(pattern,))], Budget()) is None) is matched


def test_a_pattern_with_a_layer_number_makes_layers_differ() -> None:
    assert layer_specific(rule("Linear", ignore=("model.layers.0.mlp",)))
    assert not layer_specific(rule("Linear", ignore=("lm_head", "re:.*w1.*")))


NEVER_ENDS = r"re:.*\.(a|a)*b$"
HOSTILE = {
    "an expression that does not end": ("model.layers.0." + "a" * 60, [rule(NEVER_ENDS)], "does not end"),
    "one that does not compile": ("lm_head", [rule("re:(")], "does not compile"),
    "one too deep to compile": ("lm_head", [rule("re:" + "(?:" * 300 + "a" + ")*" * 300)], "does not compile"),
    "one over-long": ("lm_head", [rule("re:" + "a" * 2001)], "too many or too long"),
    "4,000 of them": (
        "lm_head",
        [rule("Linear", ignore=tuple(f"re:x{i}" for i in range(4000)))],
        "too many or too long",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_rules_nobody_can_apply_are_refused_within_their_budget_and_the_second_time_at_once(what: str) -> None:
    path, rules, said = HOSTILE[what]
    budget = Budget()
    begun = time.thread_time()
    with pytest.raises(ConfigError, match=said) as refused:
        first_match(path, rules, budget)
    assert refused.value.field == "quantization_config"
    assert time.thread_time() - begun < 2.5
    begun = time.thread_time()
    with pytest.raises(ConfigError, match=said):
        first_match("another", rules, budget)
    assert time.thread_time() - begun < 0.02


def test_all_rules_of_a_model_share_one_budget_over_all_its_modules() -> None:
    """At a millisecond a rule a thousand are looked at, be it on one path or on many."""
    budget = Budget(clock=(step / 1000 for step in count()).__next__)
    rules = [rule(f"re:x{number}") for number in range(300)]
    assert first_match("a.b", rules, budget) is None
    with pytest.raises(ConfigError, match="holds rules that take too long"):
        first_match("a.c", rules, budget)


def test_threads_share_a_budget_without_sharing_a_clock() -> None:
    """A thread that has worked for an hour does not use up the budget of one that has just begun."""
    hour, fresh = Budget(clock=iter([3600.0, 3600.1, 3600.2]).__next__), Budget(clock=iter([0.0, 0.1, 0.2]).__next__)
    for budget in (hour, fresh):
        assert first_match("lm_head", [rule("lm_head")], budget) is not None
        assert budget.seconds == pytest.approx(0.2)


def test_a_config_whose_rules_cannot_be_applied_is_refused_when_it_is_resolved_for_every_reader_alike() -> None:
    for quantization in (
        {"ignore": [f"re:x{i}" for i in range(4000)]},
        {"ignore": ["re:" + "a" * 2001]},
        {"ignore": ["re:("]},
    ):
        spec = parsed({**SMALL_LLAMA, "quantization_config": {**CT_INT8, **quantization}})
        for _ in range(2):
            with pytest.raises(ConfigError):
                resolve_precision(spec)
        assert resolve_precision(spec, Weights.BF16).weights_bytes > 0  # what does not read them is answered


def test_copies_are_counted_in_bytes() -> None:
    spec = parsed(SMALL_LLAMA)
    experts = Tensor(name="x.{e}", shape=(64, 32), role=Role.TOWER, copies=5)
    assert resolve_precision(spec).bytes_of(experts) == 5 * 64 * 32 * 2


def test_a_precision_is_one_object_per_spec_and_what_it_comes_to() -> None:
    """So that all that hangs on a precision is worked out once; an equal spec read anew has its own."""
    spec = parsed(SMALL_LLAMA)
    auto = resolve_precision(spec, Weights.INT4)
    assert auto is resolve_precision(spec, Weights.INT4, kv=KvPrecision.BF16)
    narrow = resolve_precision(spec, Weights.INT4, kv=KvPrecision.FP8)
    assert (narrow.kv, narrow.weights_bytes) == (KvPrecision.FP8, auto.weights_bytes)
    again = parsed(SMALL_LLAMA)
    assert again == spec
    assert resolve_precision(again, Weights.INT4) is not auto
    assert resolve_precision(again, Weights.INT4) == auto


@pytest.mark.parametrize("weights", [weights for weights in Weights if weights is not Weights.AS_PUBLISHED])
def test_every_format_is_plain_or_has_recipes_whose_bytes_are_counted(weights: Weights) -> None:
    layouts = {form.layout for form in RECIPES.get(weights, {}).values()}
    assert (weights in DTYPE_OF) != bool(layouts)
    assert layouts <= set(LAYOUTS)
