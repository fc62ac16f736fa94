"""Precision: which format each tensor is stored in, and exactly how many bytes that takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from estimators.architecture.quantization import TensorFormat
from estimators.architecture.spec import ModelSpec, Tensor


class Weights(StrEnum):
    """Values of the public key `weights`."""

    AS_PUBLISHED = "as-published"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"  # W8A8
    INT8_WEIGHT_ONLY = "int8-weight-only"
    INT4 = "int4"  # W4A16, group 128
    NF4 = "nf4"
    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"


class Method(StrEnum):
    """Values of the public key `method`."""

    AUTO = "auto"
    AWQ = "awq"
    GPTQ = "gptq"
    CT = "ct"  # compressed-tensors
    BNB = "bnb"


class KvPrecision(StrEnum):
    """Values of the public key `kv`."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The resolved precision of one model: call `format_of` per tensor, or read the totals.

    `weights` is never AS_PUBLISHED and `kv` never AUTO: both are what they came to.
    """

    weights: Weights
    method: str  # "compressed-tensors", "awq", "gptq", "bitsandbytes", "none" ...
    kv: KvPrecision
    kv_bytes_per_element: float
    compute_dtype: str  # 16-bit (or fp32) type of activations: "bfloat16", "float16", "float32"
    published: bool  # the checkpoint's own format, rather than a what-if
    spec: ModelSpec

    def format_of(self, tensor: Tensor, layer: int | None = None) -> TensorFormat:
        """Format of a linear weight; everything not quantized is "dense" at the width of its dtype."""
        raise NotImplementedError

    def bytes_of(self, tensor: Tensor, layer: int | None = None) -> int:
        """Stored bytes of the tensor with its scales and zero points, all copies."""
        raise NotImplementedError

    @property
    def weights_bytes(self) -> int:
        """Stored bytes of the whole model, multi-token-prediction layers excluded."""
        raise NotImplementedError


def resolve_precision(
    spec: ModelSpec,
    weights: Weights = Weights.AS_PUBLISHED,
    method: Method = Method.AUTO,
    kv: KvPrecision = KvPrecision.AUTO,
) -> Precision:
    """The formats that `weights` and `method` come to on this model.

    "What if I quantized it" uses the usual ignore list: lm_head, embeddings, norms, biases and routers stay wide.
    Raises `Refusal` (field "weights" or "method") for a pair that no tool makes, and for re-quantizing a
    checkpoint that is already quantized to a different precision.
    """
    raise NotImplementedError
