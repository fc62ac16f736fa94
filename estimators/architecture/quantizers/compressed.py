"""compressed-tensors: groups of modules, each with a scheme of its own."""

from __future__ import annotations

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.quantizers.patterns import ALL, kv_cache_bits, skipped


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
