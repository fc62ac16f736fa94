"""What a checkpoint says of its own quantization (`quantization_config`), as types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFormat:
    """How the weight of one linear module is stored and computed.

    `layout` names the exact byte formula in `estimators.precision` ("dense", "ct-pack", "ct-int", "ct-float",
    "fp8-block", "nvfp4", "mxfp4", "mxfp8", "gptq", "awq", "bnb-int8", "bnb-4bit", "torchao-int8" ...).
    """

    layout: str
    bits: int  # per element, without scales
    group_size: int = 0  # elements of the input dimension sharing a scale; 0 for one scale per output channel
    block: tuple[int, int] | None = None  # (out, in) of a block scale
    symmetric: bool = True
    double_quant: bool = False
    static: bool = False  # per-tensor scale fixed at quantization time
    activations: str = "16"  # type the matrix product reads: "16", "fp8", "int8", "fp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRule:
    """`format` applies to modules matching any of `targets` and none of `ignore`.

    Patterns are module names, class names ("Linear") or "re:" followed by a regular expression, as in
    compressed-tensors.
    """

    targets: tuple[str, ...]
    ignore: tuple[str, ...]
    format: TensorFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationConfig:
    """A parsed `quantization_config`. The first rule that matches a module decides; no rule leaves it wide."""

    method: str  # quant_method as written: "compressed-tensors", "awq", "gptq", "fp8", "bitsandbytes", "mxfp4" ...
    rules: tuple[FormatRule, ...]
    kv_bits: int | None = None  # kv_cache_scheme
    label: str = ""  # the precision of the public vocabulary it amounts to: "int4", "fp8", "nvfp4" ...
