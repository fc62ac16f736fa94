"""From the `quantization_config` of a checkpoint to formats per module: a function per `quant_method`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.quantizers.compressed import compressed_tensors
from estimators.architecture.quantizers.modelopt import modelopt
from estimators.architecture.quantizers.packed import auto_round, awq, bitsandbytes, gptq
from estimators.architecture.quantizers.patterns import ALL, HEAD
from estimators.architecture.quantizers.scaled import MXFP4, fbgemm_fp8, fp8, mxfp4, quark, torchao

TOWERS = ("vision_tower", "vision_model", "visual", "audio_tower", "multi_modal_projector", "mm_projector")
FP8_BLOCK = TensorFormat(layout="fp8-block", bits=8, block=(128, 128), activations="fp8")
V4_WIDE = ("compressor", "weights_proj")  # what DeepSeek V4's files keep wide besides the head

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
    "quark": quark,
    "torchao": torchao,
}


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
