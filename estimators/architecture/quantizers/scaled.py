"""Floats and bytes with scales beside them: FP8, gpt-oss MXFP4, torchao, Quark."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.quantizers.patterns import HEAD, one_rule, skipped

MXFP4 = TensorFormat(layout="mxfp4", bits=4, group_size=32)


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


def mxfp4(q: Fields) -> QuantizationConfig:
    """gpt-oss: the experts only, blocks of 32 with one shared exponent."""
    rule = FormatRule(targets=(r"re:.*\.experts(?:\.|$)",), ignore=skipped(q), format=MXFP4)
    return QuantizationConfig(method="mxfp4", rules=(rule,), label="mxfp4")


def torchao(q: Fields) -> QuantizationConfig:
    """The type of `quant_type.default` names the scheme; older files give its name alone."""
    name = torchao_name(q)
    if name not in TORCHAO:
        raise q.error("quant_type", f"{name[:60]!r} is not described here", f"Known are {', '.join(TORCHAO)}.")
    form, label = TORCHAO[name]
    ignore = () if q.flag("include_input_output_embeddings", instead=False) else HEAD
    return one_rule("torchao", form, ignore + skipped(q), label)


def torchao_name(q: Fields) -> str:
    if isinstance(q.get("quant_type"), str):
        old = q.text("quant_type")
        return OLD_TORCHAO.get(old, old)
    kinds = q.section("quant_type")
    return (
        kinds.section("default").text("_type") if isinstance(kinds.get("default"), Mapping) else kinds.text("default")
    )


OLD_TORCHAO: Mapping[str, str] = {
    "int4_weight_only": "Int4WeightOnlyConfig",
    "int8_weight_only": "Int8WeightOnlyConfig",
    "int8_dynamic_activation_int8_weight": "Int8DynamicActivationInt8WeightConfig",
    "float8_weight_only": "Float8WeightOnlyConfig",
    "float8_dynamic_activation_float8_weight": "Float8DynamicActivationFloat8WeightConfig",
}
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


def quark(q: Fields) -> QuantizationConfig:
    """AMD Quark: one scheme for the model, modules left out by name or glob."""
    weight = q.section("global_quant_config").section("weight")
    kind, scheme = weight.text("dtype"), weight.optional_text("qscheme") or ""
    if (kind, scheme) not in QUARK:
        known = ", ".join(f"{k} {s}" for k, s in QUARK)
        raise weight.error("dtype", f"{kind[:40]!r} {scheme[:40]!r} is not described here", f"Known are {known}.")
    form, label = QUARK[kind, scheme]
    return one_rule("quark", form, HEAD + skipped(q, "exclude"), label)


QUARK: Mapping[tuple[str, str], tuple[TensorFormat, str]] = {
    ("fp4", "per_group"): (TensorFormat(layout="mxfp4", bits=4, group_size=32, activations="fp4"), "mxfp4"),
    ("fp8_e4m3", "per_tensor"): (
        TensorFormat(layout="fp8-tensor", bits=8, per_tensor=True, static=True, activations="fp8"),
        "fp8",
    ),
    ("fp8_e4m3", "per_channel"): (TensorFormat(layout="fbgemm-fp8", bits=8, activations="fp8"), "fp8"),
}
