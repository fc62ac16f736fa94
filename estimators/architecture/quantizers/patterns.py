"""What the readers share: patterns brought to one form, and the plainest result."""

from __future__ import annotations

import re
from collections.abc import Mapping

from estimators.architecture.fields import Fields
from estimators.architecture.quantization import FormatRule, QuantizationConfig, TensorFormat

MAX_PATTERNS = 200_000  # a mixture may list every expert of every layer
ALL = ("Linear",)
HEAD = ("lm_head", "head", "embed_out")


def skipped(q: Fields, name: str = "modules_to_not_convert") -> tuple[str, ...]:
    return tuple(pattern for item in q.texts(name, limit=MAX_PATTERNS) if (pattern := normal(item)))


def normal(pattern: str) -> str:
    """A glob as a path, a prefix or a regular expression."""
    if pattern.startswith("re:") or "*" not in pattern:
        return pattern.removesuffix(".")
    if pattern.index("*") == len(pattern) - 1:
        return pattern
    return "re:" + re.escape(pattern).replace(r"\*", ".*") + r"(?:\..*)?$"


def one_rule(
    method: str, form: TensorFormat, ignore: tuple[str, ...], label: str, *, kv_bits: int | None = None
) -> QuantizationConfig:
    rule = FormatRule(targets=ALL, ignore=ignore, format=form)
    return QuantizationConfig(method=method, rules=(rule,), kv_bits=kv_bits, label=label)


def kv_cache_bits(q: Fields) -> int | None:
    """Bits of the cache that the checkpoint brings scales for."""
    scheme = q.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return q.section("kv_cache_scheme").count("num_bits", low=4, high=16)
    named = q.optional_text("kv_cache_scheme") or q.optional_text("kv_cache_quant_algo")
    return 8 if named and named.upper() == "FP8" else None
