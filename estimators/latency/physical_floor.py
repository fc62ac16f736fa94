"""The times no measurement can beat: data-sheet bandwidth and peak, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.latency.serving import Request
from estimators.latency.sharding import Shard
from estimators.latency.step import touched_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Least seconds of a request."""

    ttft_s: float
    tpot_s: float
    e2e_s: float


def flop_seconds(shard: Shard, tokens: float, sampled: float) -> float:
    """FLOPs of `tokens` through the layers and `sampled` through the head, each over the peak of its path."""
    routed = shard.expert.elements * shard.experts_per_token / shard.experts
    return float(
        sum(
            2.0 * elements * count / peak
            for elements, count, peak in (
                (shard.linear.elements, tokens, shard.linear.peak),
                (shard.wide.elements, tokens, shard.wide.peak),
                (routed, tokens, shard.expert.peak),
                (shard.head.elements, sampled, shard.head.peak),
            )
        )
    )


def read_seconds(shard: Shard, tokens: float) -> float:
    """Bytes of the weights `tokens` tokens touch over the bandwidth."""
    share = float(touched_share(shard, tokens))
    size = shard.linear.bytes + shard.wide.bytes + shard.expert.bytes * share + shard.head.bytes
    return float(size / shard.bandwidth)


def cache_seconds(shard: Shard, context: float) -> float:
    """Bytes of the KV cache and state of one request with `context` cached tokens over the bandwidth."""
    windowed = min(context, float(shard.window))
    size = shard.kv_bytes * context + shard.window_kv_bytes * windowed + shard.state_bytes
    return float(size / shard.bandwidth)


def physical_floor(shard: Shard, request: Request, running: float = 1.0) -> Floor:
    """TTFT >= FLOPs of the prompt / peak; TPOT >= bytes of what a step reads / bandwidth.

    A step reads the weights that the tokens of its `running` requests touch, and the cache of each but one (whose
    length is not counted, so that a request alone stays at the weights). Llama-3.1-8B in bf16 on an H100:
    15.0 GB / 3.35 TB/s = 4.48 ms a token, and with 64 requests of 1,088 tokens 63 x 0.143 GB more: 7.16 ms.
    """
    one, together = read_seconds(shard, 1.0), max(1.0, running / float(shard.stages))
    context = float(request.cached) + float(request.prompt) + 0.5 * float(request.output)
    ttft = max(flop_seconds(shard, float(request.prompt), 1.0), one)
    step = read_seconds(shard, together) + (together - 1.0) * cache_seconds(shard, context)
    tpot = step / float(request.accepted)
    return Floor(ttft_s=ttft, tpot_s=tpot, e2e_s=ttft + max(0.0, float(request.output) - 1.0) * tpot)
