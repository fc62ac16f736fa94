"""Precision: which format each tensor is stored in, and exactly how many bytes that takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.spec import LayerGroup, ModelSpec, Role, Tensor
from estimators.formats import DTYPE_BYTES, stored_bytes
from estimators.module_match import MAX_RULES, Budget, first_match, layer_specific, unusable
from estimators.provenance import Refusal
from estimators.remembered import Remembered


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


DTYPE_OF: Mapping[Weights, str] = {Weights.FP32: "float32", Weights.BF16: "bfloat16", Weights.FP16: "float16"}
WEIGHTS_OF: Mapping[str, Weights] = {dtype: weights for weights, dtype in DTYPE_OF.items()}
KV_OF: Mapping[str, KvPrecision] = {
    "float32": KvPrecision.FP32,
    "bfloat16": KvPrecision.BF16,
    "float16": KvPrecision.FP16,
}
KV_BYTES: Mapping[KvPrecision, float] = {
    KvPrecision.FP32: 4.0,
    KvPrecision.FP16: 2.0,
    KvPrecision.BF16: 2.0,
    KvPrecision.FP8: 1.0,
}
METHOD_OF: Mapping[str, Method] = {
    "compressed-tensors": Method.CT,
    "awq": Method.AWQ,
    "gptq": Method.GPTQ,
    "bitsandbytes": Method.BNB,
}
NAME_OF: Mapping[Method, str] = {method: name for name, method in METHOD_OF.items()}

# What llm-compressor's presets, AutoAWQ, GPTQModel and bitsandbytes write by default. The first method of a
# precision is its `auto`.
RECIPES: Mapping[Weights, Mapping[Method, TensorFormat]] = {
    Weights.FP8: {Method.CT: TensorFormat(layout="ct-float", bits=8, activations="fp8")},
    Weights.INT8: {
        Method.CT: TensorFormat(layout="ct-int", bits=8, activations="int8"),
        Method.BNB: TensorFormat(layout="bnb-int8", bits=8, activations="int8"),
    },
    Weights.INT8_WEIGHT_ONLY: {
        Method.CT: TensorFormat(layout="ct-pack", bits=8, group_size=128),
        Method.GPTQ: TensorFormat(layout="gptq", bits=8, group_size=128),
        Method.BNB: TensorFormat(layout="bnb-int8", bits=8, activations="int8"),
    },
    Weights.INT4: {
        Method.CT: TensorFormat(layout="ct-pack", bits=4, group_size=128),
        Method.AWQ: TensorFormat(layout="awq", bits=4, group_size=128, symmetric=False),
        Method.GPTQ: TensorFormat(layout="gptq", bits=4, group_size=128),
    },
    Weights.NF4: {Method.BNB: TensorFormat(layout="bnb-4bit", bits=4, group_size=64)},
    Weights.NVFP4: {Method.CT: TensorFormat(layout="nvfp4", bits=4, group_size=16, static=True, activations="fp4")},
    Weights.MXFP4: {Method.CT: TensorFormat(layout="mxfp4", bits=4, group_size=32)},
}
NEVER = frozenset({Role.ROUTER, Role.MTP})  # routers and what joins a prediction layer are wide in every published file
USUAL_IGNORE = NEVER | {Role.LM_HEAD, Role.EMBEDDING, Role.NORM, Role.TOWER}


WIDE_NOTE = "Published in float32; serving engines load it in 16 bits unless told otherwise: ask for bf16 or fp16."


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
    by_name: bool = False  # the checkpoint's own as far as its name tells, in the way such checkpoints are made
    wide_dtype: str = "bfloat16"  # of the tensors that are not quantized
    rules: tuple[FormatRule, ...] = ()
    wide_roles: frozenset[Role] = NEVER
    notes: tuple[str, ...] = ()
    cache_scale_bytes: int = 0  # scales of an FP8 cache that the checkpoint brings along
    _formats: dict[tuple[int, int | None], tuple[Tensor, TensorFormat]] = field(
        default_factory=dict, repr=False, compare=False
    )  # by the identity of the tensor, which is held beside its format
    _totals: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _budget: Budget = field(default_factory=Budget, repr=False, compare=False)

    def format_of(self, tensor: Tensor, layer: int | None = None) -> TensorFormat:
        """Format of a linear weight; everything not quantized is "dense" at the width of its dtype."""
        key = (id(tensor), layer)
        known = self._formats.get(key)
        if known is None:
            known = self._formats[key] = (tensor, self._decide(tensor, layer))
        return known[1]

    def _decide(self, tensor: Tensor, layer: int | None) -> TensorFormat:
        if tensor.linear and tensor.role not in self.wide_roles and self.rules:
            group = group_of(self.spec, tensor, layer)
            spared = group is not None and group.stack == "mtp" and not self.published
            path = module_path(group, tensor, layer)
            if not spared and (rule := first_match(path, self.rules, self._budget)) is not None:
                return rule.format
        dtype = self.wide_dtype if tensor.dtype is None or self.wide_dtype == "float32" else tensor.dtype
        return DENSE[dtype]

    def bytes_of(self, tensor: Tensor, layer: int | None = None) -> int:
        """Stored bytes of the tensor with its scales and zero points, all copies."""
        form = self.format_of(tensor, layer)
        if form.layout == "dense":
            return tensor.elements * form.bits // 8
        return tensor.copies * stored_bytes(form, tensor.shape[0], tensor.shape[1])

    def layers_alike(self, group: LayerGroup) -> bool:
        """Whether every layer of the group is stored in the same formats, so that one stands for all."""
        return group.count <= 1 or not any(layer_specific(rule) for rule in self.rules)

    def group_bytes(self, group: LayerGroup) -> int:
        """Stored bytes of all layers of a group."""
        if self.layers_alike(group):
            return group.count * sum(self.bytes_of(tensor, group.layers[0]) for tensor in group.tensors)
        return sum(self.bytes_of(tensor, layer) for layer in group.layers for tensor in group.tensors)

    @property
    def weights_bytes(self) -> int:
        """Stored bytes of the whole model, multi-token-prediction layers excluded.

        Llama-3.1-8B in bf16: 2 x 8,030,261,248 = 16,060,522,496.
        """
        if "weights" not in self._totals:
            self._totals["weights"] = self._walked_bytes()
        return self._totals["weights"]

    def _walked_bytes(self) -> int:
        if self.spec.stored is not None and not self.spec.groups:
            return self.spec.stored.total_bytes
        inside = sum(self.group_bytes(group) for group in self.spec.groups if group.stack != "mtp")
        outside = sum(self.bytes_of(tensor) for tensor in self.spec.tensors if tensor.role is not Role.MTP)
        return inside + outside + self.cache_scale_bytes


DENSE: Mapping[str, TensorFormat] = {
    dtype: TensorFormat(layout="dense", bits=8 * size, activations="32" if size == 4 else "16")
    for dtype, size in DTYPE_BYTES.items()
}


def group_of(spec: ModelSpec, tensor: Tensor, layer: int | None) -> LayerGroup | None:
    """The group whose layer the tensor belongs to; None for a tensor outside the layers.

    Layer 0 of the prediction layers may be equal to the decoder's, so the very tensor counts before an equal one.
    """
    here = [group for group in spec.groups if layer is None or layer in group.layers]
    for group in here:
        if any(one is tensor for one in group.tensors):
            return group
    return next((group for group in here if tensor in group.tensors), None)


def module_path(group: LayerGroup | None, tensor: Tensor, layer: int | None) -> str:
    """The tensor's module as the checkpoint names it, the first expert standing for all."""
    path = tensor.name
    if group is not None and group.prefix:
        number = group.layers[0] if layer is None else layer
        path = f"{group.prefix.replace('{i}', str(number))}.{path}"
    return path.replace("{e}", "0")


_RESOLVED: Remembered[Precision] = Remembered(2048)


def resolve_precision(
    spec: ModelSpec,
    weights: Weights = Weights.AS_PUBLISHED,
    method: Method = Method.AUTO,
    kv: KvPrecision = KvPrecision.AUTO,
) -> Precision:
    """The formats that `weights` and `method` come to on this model; one object per spec and what it comes to, so
    that whatever is remembered of a precision is worked out once.

    A precision the checkpoint already has is the checkpoint's own. Any other is computed from the architecture:
    lm_head, embeddings, norms, biases, routers, towers and prediction layers stay wide, as the usual recipes have it.
    Raises `Refusal` (field "weights" or "method") for a pair that no tool makes, `ConfigError` for rules of a
    checkpoint that cannot be applied.
    """
    return _RESOLVED.of((spec,), (weights, method, kv), lambda: _resolved(spec, weights, method, kv))


def _resolved(spec: ModelSpec, weights: Weights, method: Method, kv: KvPrecision) -> Precision:
    made = _RESOLVED.of(
        (spec,), (weights, method), lambda: sized(published(spec, weights, method) or what_if(spec, weights, method))
    )
    if kv is not KvPrecision.AUTO:
        return replace(made, kv=kv, kv_bytes_per_element=KV_BYTES[kv])
    stated = spec.quantization.kv_bits if made.published and spec.quantization else None
    return resolve_precision(spec, weights, method, KvPrecision.FP8 if stated == 8 else KV_OF[made.compute_dtype])


def sized(made: Precision) -> Precision:
    """The precision with its bytes worked out, so that rules that cannot be applied are refused here, and not by
    whoever reads a total later. Raises `ConfigError`."""
    if len(made.rules) > MAX_RULES:
        raise unusable(f"holds more than {MAX_RULES:,} rules")
    made._totals["weights"] = made._walked_bytes()
    return made


_EXPRESSIONS: Remembered[Budget] = Remembered(512)  # of each model, however often and in whatever it is resolved


def published(spec: ModelSpec, weights: Weights, method: Method) -> Precision | None:
    """The checkpoint's own precision, when that is what was asked for."""
    own = spec.quantization
    label = Weights(own.label) if own is not None and own.label else WEIGHTS_OF[spec.dtype]
    name = own.method if own is not None and own.label else "none"
    if weights is Weights.AS_PUBLISHED and method is not Method.AUTO and METHOD_OF.get(name) is not method:
        stored = "is not quantized" if name == "none" else f"is quantized with {name}"
        raise Refusal(
            f"{spec.id} {stored}, so its published form is not {NAME_OF[method]}.",
            field="method",
            remedy="Leave method at auto, or name the precision too.",
        )
    asked = weights in (Weights.AS_PUBLISHED, label) and method in (Method.AUTO, METHOD_OF.get(name))
    if not asked:
        return None
    named = name_suggests(spec) if own is None and weights is Weights.AS_PUBLISHED else None
    if named is not None:
        return assumed(spec, named)
    return Precision(
        weights=label,
        method=name,
        kv=KvPrecision.AUTO,
        kv_bytes_per_element=0.0,
        compute_dtype=compute_dtype(spec, own, label),
        published=True,
        spec=spec,
        wide_dtype=spec.dtype,
        rules=own.rules if own is not None else (),
        notes=(WIDE_NOTE,) if label is Weights.FP32 else (),
        cache_scale_bytes=cache_scales(spec, own),
        _budget=_EXPRESSIONS.of((spec,), "expressions", Budget),
    )


def cache_scales(spec: ModelSpec, own: QuantizationConfig | None) -> int:
    """One scale for keys and one for values per attention layer, 2 bytes each in compressed-tensors, 4 in ModelOpt."""
    if own is None or own.kv_bits != 8:
        return 0
    layers = sum(group.count for group in spec.groups if group.attention is not None and group.stack == "decoder")
    return 2 * layers * (4 if own.method == "modelopt" else 2)


def assumed(spec: ModelSpec, weights: Weights) -> Precision:
    """The usual recipe of the precision in a name; NVFP4 mixtures are published with attention wide."""
    note = f"The config does not say how {spec.id} is quantized; its name does: {weights} by the usual recipe."
    made = replace(what_if(spec, weights, Method.AUTO), notes=(note,), by_name=True)
    mixture = any(group.ffn is not None and group.ffn.experts for group in spec.groups)
    if weights is Weights.NVFP4 and mixture:
        return replace(made, wide_roles=made.wide_roles | {Role.ATTENTION})
    return made


def name_suggests(spec: ModelSpec) -> Weights | None:
    """The precision in a repository's name, for the few whose config.json leaves its quantization to another file."""
    words = spec.id.rpartition("/")[2].upper().replace("_", "-").split("-")
    return next((weights for word, weights in NAMED.items() if word in words), None)


NAMED: Mapping[str, Weights] = {"NVFP4": Weights.NVFP4, "FP8": Weights.FP8, "MXFP4": Weights.MXFP4}


def compute_dtype(spec: ModelSpec, own: QuantizationConfig | None, label: Weights) -> str:
    """Activations have the dtype of the wide tensors; quantized products run in 16 bits even beside float32 ones."""
    return "float16" if spec.dtype == "float32" and own is not None and label is not Weights.FP32 else spec.dtype


def what_if(spec: ModelSpec, weights: Weights, method: Method) -> Precision:
    """A precision the checkpoint is not stored in, from the architecture and the usual recipe."""
    if spec.stored is not None and not spec.groups:
        raise Refusal(
            f"The layers of {spec.id} are not known, only its stored bytes.",
            field="weights",
            remedy="Use weights=as-published.",
        )
    wide = DTYPE_OF.get(weights) or ("bfloat16" if spec.dtype == "float32" else spec.dtype)
    base = Precision(
        weights=weights,
        method="none",
        kv=KvPrecision.AUTO,
        kv_bytes_per_element=0.0,
        compute_dtype=wide,
        published=False,
        spec=spec,
        wide_dtype=wide,
        wide_roles=USUAL_IGNORE,
        notes=requantized(spec, weights),
    )
    if weights in DTYPE_OF:
        if method is not Method.AUTO:
            raise Refusal(
                f"{weights} weights are not quantized, so {method} does not apply.",
                field="method",
                remedy="Leave method at auto, or choose a quantized precision.",
            )
        return base
    recipes = RECIPES[weights]
    chosen = next(iter(recipes)) if method is Method.AUTO else method
    if chosen not in recipes:
        raise Refusal(
            f"{method} does not make {weights}.",
            field="method",
            remedy=f"For {weights} use {' or '.join(recipes)}, or leave method at auto.",
        )
    rule = FormatRule(targets=("Linear",), ignore=(), format=recipes[chosen])
    return replace(base, method=NAME_OF[chosen], rules=(rule,))


def requantized(spec: ModelSpec, weights: Weights) -> tuple[str, ...]:
    if spec.quantization is None or not spec.quantization.label:
        return ()
    return (
        f"{spec.id} is published in {spec.quantization.label}; {weights} is computed from its architecture, "
        "as if made from the 16-bit original.",
    )
