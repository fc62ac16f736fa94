"""NVIDIA ModelOpt: FP8, NVFP4 and mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.quantizers.compressed import compressed_tensors
from estimators.architecture.quantizers.patterns import ALL, MAX_PATTERNS, kv_cache_bits, skipped


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
    """One rule per algorithm, targeting the layers that name it but for what is ignored: mtp.layers.0 is no layer 0."""
    layers = q.section("quantized_layers")
    targets: dict[str, list[str]] = {}
    for name in layers.names(limit=MAX_PATTERNS):
        targets.setdefault(layers.section(name).text("quant_algo"), []).append(name)
    return tuple(
        FormatRule(targets=tuple(names), ignore=ignore, format=algorithm_format(q, algorithm))
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
