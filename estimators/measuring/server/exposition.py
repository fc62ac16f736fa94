"""What model servers tell of themselves on /metrics, in Prometheus' text format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

MAX_METRICS_BYTES = 4 << 20
# The second name is of releases before vLLM's V1 engine; the third is SGLang's.
KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage")
# Seconds summed, and of how many: of first tokens, and of the tokens after them. llama.cpp counts tokens only.
FIRST_TOKEN = tuple(
    (f"{engine}:time_to_first_token_seconds_sum", f"{engine}:time_to_first_token_seconds_count")
    for engine in ("vllm", "sglang")
)
TOKEN = (
    *(
        (f"{engine}:{name}_seconds_sum", f"{engine}:{name}_seconds_count")
        for name in ("inter_token_latency", "time_per_output_token")
        for engine in ("vllm", "sglang")
    ),
    ("llamacpp:tokens_predicted_seconds_total", "llamacpp:tokens_predicted_total"),
)
_SAMPLE = re.compile(
    r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^\n]*\})?[ \t]+([0-9.eE+-]{1,30})(?:[ \t]+\d+)?[ \t]*$", re.MULTILINE
)


def _samples(exposition: str) -> Iterator[tuple[str, float]]:
    for name, value in _SAMPLE.findall(exposition[:MAX_METRICS_BYTES]):
        try:
            found = float(value)
        except ValueError:
            continue
        if math.isfinite(found):
            yield name, found


def kv_usage_share(exposition: str) -> float | None:
    """Share of the KV cache in use, 0 to 1, as vLLM or SGLang tells: of the fullest engine, None when none does."""
    told = (share for name, share in _samples(exposition) if name in KV_USAGE and 0.0 <= share <= 1.0)
    return max(told, default=None)


def own_words(before: str, after: str) -> str:
    """What the server itself took between two looks at /metrics, in a sentence; empty where it does not say.

    Means are (sum after - sum before) / (count after - count before): 12 s over 300 tokens are 40 ms a token. Requests
    of others meanwhile are in it.
    """
    first, token = (_mean(pairs, before, after) for pairs in (FIRST_TOKEN, TOKEN))
    told = [f"{1e3 * first:.3g} ms to the first token"] if first is not None else []
    told += [f"{1e3 * token:.3g} ms a token"] if token is not None else []
    return f"By its own /metrics the server took {' and '.join(told)} on average." if told else ""


def _mean(pairs: tuple[tuple[str, str], ...], before: str, after: str) -> float | None:
    old, new = _totals(before), _totals(after)
    for total, of in pairs:
        seconds, count = (new.get(name, 0.0) - old.get(name, 0.0) for name in (total, of))
        if seconds > 0 and count > 0:
            return seconds / count
    return None


def _totals(exposition: str) -> dict[str, float]:
    """Each counter summed over its labels: the engines of one server."""
    found: dict[str, float] = {}
    for name, value in _samples(exposition):
        found[name] = found.get(name, 0.0) + value
    return found
