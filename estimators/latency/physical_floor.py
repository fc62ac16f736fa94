"""The times no measurement can beat: data-sheet bandwidth and peak, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.latency.serving import Request
from estimators.latency.sharding import Shard
from estimators.latency.step import touched_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Least seconds of one request alone on the replica."""

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


def physical_floor(shard: Shard, request: Request) -> Floor:
    """TTFT >= FLOPs of the prompt / peak; TPOT >= bytes of the weights a token touches / bandwidth.

    Llama-3.1-8B in bf16 on an H100: 15.0 GB / 3.35 TB/s = 4.48 ms a token.
    """
    one = read_seconds(shard, 1.0)
    ttft = max(flop_seconds(shard, float(request.prompt), 1.0), one)
    tpot = one / float(request.accepted)
    return Floor(ttft_s=ttft, tpot_s=tpot, e2e_s=ttft + max(0.0, float(request.output) - 1.0) * tpot)
