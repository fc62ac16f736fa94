"""From the `quantization_config` of a checkpoint to formats per module. One function per `quant_method`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat

MAX_PATTERNS = 200_000  # a mixture may list every expert of every layer
ALL = ("Linear",)
HEAD = ("lm_head", "head", "embed_out")
TOWERS = ("vision_tower", "vision_model", "visual", "audio_tower", "multi_modal_projector", "mm_projector")


def parse_quantization(config: Mapping[str, object], fields: Fields) -> QuantizationConfig | None:
    """The quantization a config states, of the model or of its text part; None for a plain checkpoint.

    Raises `ConfigError` naming `quant_method` when nobody has described it here.
    """
    for section in sections(config, fields):
        for key in ("quantization_config", "compression_config"):
            if section.get(key):
                found = packed_experts(quantization(section.section(key)), section)
                return sparing_towers(found) if section is not fields else found
    return None


def sparing_towers(found: QuantizationConfig) -> QuantizationConfig:
    """What the text part says of its own quantization does not reach the encoders beside it."""
    return replace(found, rules=tuple(replace(rule, ignore=rule.ignore + TOWERS) for rule in found.rules))


def packed_experts(found: QuantizationConfig, section: Fields) -> QuantizationConfig:
    """DeepSeek V4 says beside its FP8 section that its experts are FP4: blocks of 32 with one exponent byte.

    Its other scales are exponent bytes too.
    """
    if section.get("expert_dtype") != "fp4" or not found.rules:
        return found
    wide = found.rules[-1] if found.method == "fp8" else FormatRule(targets=ALL, ignore=HEAD, format=FP8_BLOCK)
    rest = replace(wide, format=replace(wide.format, layout="fp8-block-e8m0"), ignore=wide.ignore + V4_WIDE)
    if found.method == "modelopt":
        return replace(found, rules=(*found.rules, rest))
    experts = FormatRule(targets=("ffn.experts",), ignore=(), format=MXFP4)
    return replace(found, rules=(experts, rest), label="mxfp4")


MXFP4 = TensorFormat(layout="mxfp4", bits=4, group_size=32)
FP8_BLOCK = TensorFormat(layout="fp8-block", bits=8, block=(128, 128), activations="fp8")
# What V4's files keep in 16 or 32 bits besides the head.
V4_WIDE = ("head", "compressor", "weights_proj")


def sections(config: Mapping[str, object], fields: Fields) -> list[Fields]:
    nested = [fields.section(key) for key in ("text_config", "llm_config") if isinstance(config.get(key), Mapping)]
    return [fields, *nested]


def quantization(q: Fields) -> QuantizationConfig:
    method = q.optional_text("quant_method")
    if q.has("quant_algo") or q.has("moe_quant_algo"):
        method = "modelopt"  # its own field leaves quant_method out, or names the method of what is left
    if method is None:
        raise q.error("quant_method", "is missing")
    if method not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise q.error("quant_method", f"{method[:60]!r} is not described here", f"Known are {known}.")
    return METHODS[method](q)


def skipped(q: Fields, name: str = "modules_to_not_convert") -> tuple[str, ...]:
    return tuple(pattern for item in q.texts(name, limit=MAX_PATTERNS) if (pattern := normal(item)))


def normal(pattern: str) -> str:
    """A glob as a path, a prefix or a regular expression."""
    if pattern.startswith("re:") or "*" not in pattern:
        return pattern.removesuffix(".")
    if pattern.index("*") == len(pattern) - 1:
        return pattern
    return "re:" + re.escape(pattern).replace(r"\*", ".*") + r"(?:\..*)?$"


def one_rule(
    method: str, form: TensorFormat, ignore: tuple[str, ...], label: str, *, kv_bits: int | None = None
) -> QuantizationConfig:
    rule = FormatRule(targets=ALL, ignore=ignore, format=form)
    return QuantizationConfig(method=method, rules=(rule,), kv_bits=kv_bits, label=label)


def awq(q: Fields) -> QuantizationConfig:
    """AutoAWQ: 4-bit packed along the output, zero points always stored."""
    bits = q.count("bits", low=4, high=4) if q.has("bits") else q.count("w_bit", low=4, high=4)
    group = q.count("group_size", low=-1, instead=128) if q.get("group_size") != -1 else 0
    group = q.count("q_group_size") if q.has("q_group_size") else group
    form = TensorFormat(layout="awq", bits=bits, group_size=group, symmetric=False)
    return one_rule("awq", form, HEAD + skipped(q), "int4")


def gptq(q: Fields) -> QuantizationConfig:
    """GPTQ: packed along the input, zero points and group index always stored."""
    bits = q.count("bits", low=2, high=8)
    group = q.count("group_size", low=-1)
    form = TensorFormat(
        layout="gptq",
        bits=bits,
        group_size=max(group, 0),
        symmetric=q.flag("sym", instead=True),
        act_order=q.flag("desc_act", instead=False),
    )
    head = q.get("lm_head") is True
    return one_rule("gptq", form, skipped(q) if head else HEAD + skipped(q), integer_label(bits))


def auto_round(q: Fields) -> QuantizationConfig:
    """AutoRound's own export: GPTQ or AWQ packing without the group index."""
    bits = q.count("bits", low=2, high=8)
    group = q.count("group_size", low=-1)
    form = TensorFormat(layout="auto-round", bits=bits, group_size=max(group, 0), symmetric=q.flag("sym", instead=True))
    return one_rule("auto-round", form, HEAD + skipped(q), integer_label(bits))


def integer_label(bits: int) -> str:
    return {8: "int8-weight-only"}.get(bits, "int4")


def fp8(q: Fields) -> QuantizationConfig:
    """DeepSeek's block scales (`weight_scale_inv`), or one scale per tensor."""
    size = q.counts("weight_block_size", low=1, limit=2)
    if size and len(size) != 2:
        raise q.error("weight_block_size", "should hold two numbers")
    static = q.optional_text("activation_scheme") == "static"
    form = TensorFormat(
        layout="fp8-block" if size else "fp8-tensor",
        bits=8,
        block=(size[0], size[1]) if size else None,
        per_tensor=not size,
        static=static,
        activations="fp8",
    )
    return one_rule("fp8", form, HEAD + skipped(q) + skipped(q, "ignored_layers"), "fp8")


def fbgemm_fp8(q: Fields) -> QuantizationConfig:
    """Meta's FP8 files: one float32 scale per output channel."""
    form = TensorFormat(layout="fbgemm-fp8", bits=8, activations="fp8")
    return one_rule("fbgemm_fp8", form, HEAD + skipped(q), "fp8")


def bitsandbytes(q: Fields) -> QuantizationConfig:
    """LLM.int8() or 4-bit blocks of 64, double-quantized or not. The head stays wide whatever the skip list says."""
    ignore = HEAD + skipped(q, "llm_int8_skip_modules")
    if q.flag("load_in_4bit", instead=False) or q.flag("_load_in_4bit", instead=False):
        double = q.flag("bnb_4bit_use_double_quant", instead=False)
        form = TensorFormat(layout="bnb-4bit", bits=4, group_size=64, double_quant=double)
        return one_rule("bitsandbytes", form, ignore, "nf4")
    if q.flag("load_in_8bit", instead=False) or q.flag("_load_in_8bit", instead=False):
        form = TensorFormat(layout="bnb-int8", bits=8, activations="int8")
        return one_rule("bitsandbytes", form, ignore, "int8")
    raise q.error("load_in_4bit", "and load_in_8bit are both false")


def mxfp4(q: Fields) -> QuantizationConfig:
    """gpt-oss: the experts only, blocks of 32 with one shared exponent."""
    form = TensorFormat(layout="mxfp4", bits=4, group_size=32)
    rule = FormatRule(targets=(r"re:.*\.experts(?:\.|$)",), ignore=skipped(q), format=form)
    return QuantizationConfig(method="mxfp4", rules=(rule,), label="mxfp4")


def torchao(q: Fields) -> QuantizationConfig:
    """The type of `quant_type.default` names the scheme."""
    kinds = q.section("quant_type")
    default = kinds.section("default") if isinstance(kinds.get("default"), Mapping) else None
    name = default.text("_type") if default else kinds.text("default")
    if name not in TORCHAO:
        raise q.error("quant_type", f"{name[:60]!r} is not described here", f"Known are {', '.join(TORCHAO)}.")
    form, label = TORCHAO[name]
    ignore = () if q.flag("include_input_output_embeddings", instead=False) else HEAD
    return one_rule("torchao", form, ignore + skipped(q), label)


TORCHAO: Mapping[str, tuple[TensorFormat, str]] = {
    "Int8WeightOnlyConfig": (TensorFormat(layout="torchao-int8", bits=8), "int8-weight-only"),
    "Int8DynamicActivationInt8WeightConfig": (
        TensorFormat(layout="torchao-int8", bits=8, activations="int8"),
        "int8",
    ),
    "Float8WeightOnlyConfig": (TensorFormat(layout="torchao-fp8", bits=8), "fp8"),
    "Float8DynamicActivationFloat8WeightConfig": (
        TensorFormat(layout="torchao-fp8", bits=8, activations="fp8"),
        "fp8",
    ),
    "Int4WeightOnlyConfig": (TensorFormat(layout="torchao-int4", bits=4, group_size=128, symmetric=False), "int4"),
}


def compressed_tensors(q: Fields) -> QuantizationConfig:
    """Every group is a rule of its own; a group's own `format` comes before the file's."""
    groups = q.section("config_groups") if q.has("config_groups") else Fields({})
    ignore = skipped(q, "ignore")
    rules, labels = [], []
    for name in groups.names(limit=64):
        group = groups.section(name)
        form, label = compressed_format(group, q.optional_text("format"))
        rules.append(FormatRule(targets=skipped(group, "targets") or ALL, ignore=ignore, format=form))
        labels.append(label)
    return QuantizationConfig(
        method="compressed-tensors",
        rules=tuple(rules),
        kv_bits=kv_cache_bits(q),
        label=labels[0] if labels else "",
    )


def kv_cache_bits(q: Fields) -> int | None:
    scheme = q.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return q.section("kv_cache_scheme").count("num_bits", low=4, high=16)
    named = q.optional_text("kv_cache_scheme") or q.optional_text("kv_cache_quant_algo")
    return 8 if named and named.upper() == "FP8" else None


def compressed_format(group: Fields, file_format: str | None) -> tuple[TensorFormat, str]:
    """One scheme: number type, bits and how far a scale reaches; see `estimators.formats` for the bytes."""
    weights = group.section("weights")
    bits = weights.count("num_bits", low=2, high=16)
    kind = weights.optional_text("type") or "int"
    strategy = weights.optional_text("strategy") or ("group" if weights.has("group_size") else "tensor")
    inputs = group.section("input_activations") if group.has("input_activations") else None
    storage = group.optional_text("format") or file_format or ""
    group_size = weights.get("group_size")
    size = 0 if group_size in (None, -1) else weights.count("group_size")
    block = weights.counts("block_structure", low=1, limit=2)
    if kind not in ("int", "float"):
        raise weights.error("type", f"{kind[:40]!r} is neither int nor float")
    if strategy == "block" and len(block) != 2:
        raise weights.error("block_structure", "should hold two numbers")
    form = TensorFormat(
        layout=compressed_layout(kind, bits, storage, size, packed=inputs is None),
        bits=bits,
        group_size=size,
        block=(block[0], block[1]) if strategy == "block" else None,
        symmetric=weights.flag("symmetric", instead=True),
        static=inputs is not None and inputs.get("dynamic") in (False, "local"),
        per_tensor=strategy == "tensor",
        act_order=weights.get("actorder") == "group",
        activations=activation_type(inputs),
    )
    return form, compressed_label(form, kind)


def compressed_layout(kind: str, bits: int, storage: str, size: int, *, packed: bool) -> str:
    if kind == "float" and bits == 4:
        return "mxfp4" if size == 32 or storage.startswith("mxfp4") else "nvfp4"
    if kind == "float":
        return "mxfp8" if size == 32 or storage.startswith("mxfp8") else "ct-float"
    return "ct-pack" if packed and storage != "int-quantized" else "ct-int"


def activation_type(inputs: Fields | None) -> str:
    if inputs is None:
        return "16"
    bits, kind = inputs.count("num_bits", low=4, high=16), inputs.optional_text("type") or "int"
    return "16" if bits == 16 else f"{'fp' if kind == 'float' else 'int'}{bits}"


def compressed_label(form: TensorFormat, kind: str) -> str:
    if form.layout in ("nvfp4", "mxfp4"):
        return form.layout
    if kind == "float":
        return "fp8"
    if form.bits == 8:
        return "int8" if form.layout == "ct-int" else "int8-weight-only"
    return "int4"


def modelopt(q: Fields) -> QuantizationConfig:
    """NVIDIA ModelOpt: one algorithm, or one per listed layer when mixed."""
    algorithm = q.optional_text("quant_algo") or q.optional_text("moe_quant_algo")
    ignore = skipped(q, "ignore") + skipped(q, "exclude_modules")
    kv_bits = kv_cache_bits(q)
    if q.has("quantized_layers"):
        rules = mixed_rules(q, ignore)
        narrowest = min((rule.format for rule in rules), key=lambda form: form.bits, default=None)
        label = label_of(narrowest) if narrowest else ""
        return QuantizationConfig(method="modelopt", rules=rules, kv_bits=kv_bits, label=label)
    if algorithm is None:
        return compressed_tensors(q)
    form = algorithm_format(q, algorithm)
    rule = FormatRule(targets=ALL, ignore=ignore, format=form)
    return QuantizationConfig(method="modelopt", rules=(rule,), kv_bits=kv_bits, label=label_of(form))


def mixed_rules(q: Fields, ignore: tuple[str, ...]) -> tuple[FormatRule, ...]:
    """One rule per algorithm, targeting the layers that name it."""
    layers = q.section("quantized_layers")
    targets: dict[str, list[str]] = {}
    for name in layers.names(limit=MAX_PATTERNS):
        targets.setdefault(layers.section(name).text("quant_algo"), []).append(name)
    return tuple(
        FormatRule(targets=tuple(names), ignore=(), format=algorithm_format(q, algorithm))
        for algorithm, names in targets.items()
    )


def algorithm_format(q: Fields, algorithm: str) -> TensorFormat:
    name = algorithm.upper()
    if name not in ALGORITHMS:
        raise q.error("quant_algo", f"{algorithm[:60]!r} is not described here", f"Known are {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[name]


ALGORITHMS: Mapping[str, TensorFormat] = {
    "FP8": TensorFormat(layout="modelopt-fp8", bits=8, per_tensor=True, static=True, activations="fp8"),
    "FP8_PER_CHANNEL_PER_TOKEN": TensorFormat(layout="fbgemm-fp8", bits=8, activations="fp8"),
    "FP8_PB_WO": TensorFormat(layout="fp8-block", bits=8, block=(128, 128)),
    "NVFP4": TensorFormat(layout="nvfp4", bits=4, group_size=16, static=True, activations="fp4"),
    "W4A16_NVFP4": TensorFormat(layout="nvfp4", bits=4, group_size=16),
    "MXFP8": TensorFormat(layout="mxfp8", bits=8, group_size=32, activations="fp8"),
}


def label_of(form: TensorFormat) -> str:
    return "nvfp4" if form.layout == "nvfp4" else "fp8"


METHODS: Mapping[str, Callable[[Fields], QuantizationConfig]] = {
    "auto-round": auto_round,
    "awq": awq,
    "bitsandbytes": bitsandbytes,
    "compressed-tensors": compressed_tensors,
    "fbgemm_fp8": fbgemm_fp8,
    "fp8": fp8,
    "gptq": gptq,
    "intel/auto-round": auto_round,
    "modelopt": modelopt,
    "mxfp4": mxfp4,
    "torchao": torchao,
}
