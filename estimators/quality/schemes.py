"""Names of compression schemes: the values of `weights`, and those that are not a precision of the weights."""

from __future__ import annotations

from enum import StrEnum

from estimators.provenance import Refusal


class Scheme(StrEnum):
    """What was done to a model. Values of the public key `weights` keep their spelling."""

    AS_PUBLISHED = "as-published"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"  # W8A8
    INT8_WEIGHT_ONLY = "int8-weight-only"
    INT4 = "int4"  # W4A16
    W4A8 = "w4a8"
    NF4 = "nf4"
    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"
    KV_FP8 = "kv-fp8"
    KV_TURBOQUANT_K8V4 = "kv-turboquant-k8v4"
    KV_TURBOQUANT_4BIT = "kv-turboquant-4bit"
    KV_TURBOQUANT_K3V4 = "kv-turboquant-k3v4"
    KV_TURBOQUANT_3BIT = "kv-turboquant-3bit"
    SPARSE_2_4 = "sparse-2:4"
    SPARSE_2_4_INT4 = "sparse-2:4-int4"
    EXPERT_PRUNING_25 = "expert-pruning-25"
    EXPERT_PRUNING_50 = "expert-pruning-50"


# Published scores are those of the weights as published; 16 bits and more lose nothing that a benchmark shows.
UNCHANGED = frozenset({Scheme.AS_PUBLISHED, Scheme.FP32, Scheme.BF16, Scheme.FP16})
# Values of the public key `method` that name a container or nothing, so any method's rows answer.
ANY_METHOD = frozenset({"", "auto", "ct", "none"})


def scheme_of(value: str) -> Scheme:
    """The scheme a string names; refuses one it does not know."""
    try:
        return Scheme(value.strip().lower())
    except ValueError:
        raise Refusal(
            f"There is no scheme {value[:60]!r}.", field="weights", remedy=f"Choose one of: {', '.join(Scheme)}."
        ) from None
