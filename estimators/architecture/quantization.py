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
    static: bool = False  # activation scale fixed at quantization time, and stored
    per_tensor: bool = False  # one weight scale for the whole tensor, rather than one per output channel or group
    act_order: bool = False  # input channels regrouped, with an index stored
    activations: str = "16"  # type the matrix product reads: "16", "fp8", "int8", "fp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRule:
    """`format` applies to modules matching any of `targets` and none of `ignore`.

    Patterns are "Linear" (every linear module but routers), a module path or any run of its components
    ("lm_head", "mlp.gate", "model.layers.3.self_attn"), a path prefix ending in "*", or "re:" followed by a
    regular expression that matches from the start, as in compressed-tensors.
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
