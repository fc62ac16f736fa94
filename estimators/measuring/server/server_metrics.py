"""What a vLLM server says of itself on /metrics: how full its KV cache is."""

from __future__ import annotations

import math
import re

MAX_METRICS_BYTES = 4 << 20
# The second name is of releases before vLLM's V1 engine.
KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
_SAMPLE = re.compile(
    r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^\n]*\})?[ \t]+([0-9.eE+-]{1,30})(?:[ \t]+\d+)?[ \t]*$", re.MULTILINE
)


def kv_usage_share(exposition: str) -> float | None:
    """Share of the KV cache in use, 0 to 1, the fullest engine's when several report; None when none does."""
    found = []
    for name, value in _SAMPLE.findall(exposition[:MAX_METRICS_BYTES]):
        if name not in KV_USAGE:
            continue
        try:
            share = float(value)
        except ValueError:
            continue
        if math.isfinite(share) and 0.0 <= share <= 1.0:
            found.append(share)
    return max(found, default=None)
