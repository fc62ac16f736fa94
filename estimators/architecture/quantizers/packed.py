"""Integers packed into words, and bitsandbytes: AWQ, GPTQ, AutoRound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat
from estimators.architecture.quantizers.patterns import ALL, HEAD, MAX_PATTERNS, one_rule, skipped


def awq(q: Fields) -> QuantizationConfig:
    """AutoAWQ: 4-bit packed along the output, zero points always stored."""
    bits = q.count("bits", low=4, high=4) if q.has("bits") else q.count("w_bit", low=4, high=4)
    group = q.count("group_size", low=-1, instead=128) if q.get("group_size") != -1 else 0
    group = q.count("q_group_size") if q.has("q_group_size") else group
    form = TensorFormat(layout="awq", bits=bits, group_size=group, symmetric=False)
    return one_rule("awq", form, HEAD + skipped(q), "int4")


def gptq(q: Fields) -> QuantizationConfig:
    """GPTQ: packed along the input, zero points and group index always stored.

    `dynamic` (GPTQModel) changes or, with "-:", leaves out modules by regular expression.
    """
    bits = q.count("bits", low=2, high=8)
    form = TensorFormat(
        layout="gptq",
        bits=bits,
        group_size=max(q.count("group_size", low=-1), 0),
        symmetric=q.flag("sym", instead=True),
        act_order=q.flag("desc_act", instead=False),
    )
    ignore = skipped(q) if q.get("lm_head") is True else HEAD + skipped(q)
    changed, left_out = dynamic_rules(q, form)
    rest = FormatRule(targets=block_modules(q), ignore=ignore + left_out, format=form)
    return QuantizationConfig(method="gptq", rules=(*changed, rest), label=integer_label(bits))


def block_modules(q: Fields) -> tuple[str, ...]:
    """The modules of a block that were quantized, one after another, when not all."""
    groups = q.optional_items("modules_in_block_to_quantize", limit=256) or ()
    names = [name for group in groups if isinstance(group, list) for name in group[:256] if isinstance(name, str)]
    return tuple(names) or ALL


def dynamic_rules(q: Fields, form: TensorFormat) -> tuple[tuple[FormatRule, ...], tuple[str, ...]]:
    """Rules of their own for "+:" patterns; patterns to leave out for "-:"."""
    if not q.has("dynamic"):
        return (), ()
    section = q.section("dynamic")
    rules, left_out = [], []
    for pattern in section.names(limit=4096):
        expression = "re:" + pattern.removeprefix("+:").removeprefix("-:")
        if pattern.startswith("-:"):
            left_out.append(expression)
            continue
        rules.append(FormatRule(targets=(expression,), ignore=(), format=changed_by(section.section(pattern), form)))
    return tuple(rules), tuple(left_out)


def changed_by(changes: Fields, form: TensorFormat) -> TensorFormat:
    """The format with the bits and group size that a module has of its own."""
    return replace(
        form,
        bits=changes.count("bits", low=2, high=8, instead=form.bits),
        group_size=max(changes.count("group_size", low=-1, instead=form.group_size or -1), 0),
    )


def auto_round(q: Fields) -> QuantizationConfig:
    """AutoRound's own export: GPTQ's packing without the group index.

    `extra_config` names modules with bits of their own; 16 bits leave one as it was.
    """
    bits = q.count("bits", low=2, high=8)
    form = TensorFormat(
        layout="auto-round",
        bits=bits,
        group_size=max(q.count("group_size", low=-1), 0),
        symmetric=q.flag("sym", instead=True),
    )
    rules, left_out = [], []
    extra = q.section("extra_config") if isinstance(q.get("extra_config"), Mapping) else Fields({})
    for name in extra.names(limit=MAX_PATTERNS):
        changes = extra.section(name)
        if changes.count("bits", low=2, high=32, instead=bits) >= 16:
            left_out.append(name)
        else:
            rules.append(FormatRule(targets=(name,), ignore=(), format=changed_by(changes, form)))
    rest = FormatRule(targets=ALL, ignore=HEAD + skipped(q) + tuple(left_out), format=form)
    return QuantizationConfig(method="auto-round", rules=(*rules, rest), label=integer_label(bits))


def integer_label(bits: int) -> str:
    """2 and 3 bits pass for int4, which the vocabulary has."""
    return {8: "int8-weight-only"}.get(bits, "int4")


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
