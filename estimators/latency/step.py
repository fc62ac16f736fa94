"""Time of one step: a forward pass over some decoding requests and some prompt tokens, operator by operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

from estimators.latency.estimate import OperatorTime
from estimators.latency.numeric import Number, smooth_max
from estimators.latency.sharding import Product, Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a case achieves of the data sheet (shares, each below 1) and what it spends beside it (seconds)."""

    linear_memory: Number  # share of bandwidth while reading weights
    linear_compute: Number  # share of peak in large products
    wide_memory: Number
    wide_compute: Number
    expert_memory: Number
    expert_compute: Number
    head_memory: Number
    cache_memory: Number  # share of bandwidth while reading the KV cache
    attention_compute: Number
    regroup: Number  # power of the query heads per cached head by which reads of the cache grow
    activation_memory: Number
    linear_decode: Number  # share of peak in products of few tokens: a step without prompts
    wide_decode: Number
    expert_decode: Number
    head_decode: Number
    expert_tile: Number  # tokens the product of one expert costs beyond those it has: the partly filled tile
    routing: Number  # evenness a of expert popularity (gamma shape); uniform routing is a = infinity
    kernel_s: Number  # start and drain of one kernel in a captured graph
    eager_s: Number  # launch of one kernel outside a graph; hidden behind the GPU when that is busy longer
    step_s: Number  # scheduler, input preparation and sampling, per step
    sequence_s: Number  # the same per running request
    collective_s: Number  # latency of one all-reduce
    link_share: Number  # share of the link's bandwidth
    request_s: Number  # front end, per request, seen in TTFT
    prompt_token_s: Number  # host work per prompt token of a step
    queueing: Number  # how much denser arrivals of a closed population bunch than if they were even
    filling: Number  # share of the steady throughput an offline run keeps, ramp and tail included


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTokens:
    """Tokens of one step. `prefill_context` is the mean number of tokens a prompt token attends to."""

    decode: Number = 0.0  # requests that get one token each
    context: Number = 0.0  # their mean cached tokens
    prefill: Number = 0.0
    prefill_context: Number = 0.0
    verified: Number = 1.0  # tokens computed per decoding request (more than one under speculation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Seconds of one step by operator group."""

    linear: Number
    expert: Number
    head: Number
    cache: Number
    attention: Number
    activation: Number
    collective: Number
    kernel: Number
    host: Number
    exposed: Number  # launches the GPU waited for

    @property
    def total(self) -> Number:
        gpu = self.linear + self.expert + self.head + self.cache + self.attention + self.activation
        return gpu + self.collective + self.kernel + self.host + self.exposed


def _product(product: Product, tokens: Number, memory: Number, compute: Number, bandwidth: Number) -> Number:
    """max(bytes / (BW e_mem), 2 E t / (peak e_flop)), smoothed on the ridge."""
    return smooth_max(product.bytes / (bandwidth * memory), 2.0 * product.elements * tokens / (product.peak * compute))


def touched_share(shard: Shard, tokens: Number, routing: Number = math.inf) -> Number:
    """Share of the routed experts that `tokens` tokens touch; the first token touches k of n exactly.

    Uniform: E[u]/n = 1 - (1 - k/n)^t; n = 128, k = 8, t = 16: 0.644, 82 experts. Real routing prefers some experts:
    with popularity gamma-distributed of shape a, k/n + (1 - k/n) (1 - (1 + (k/n) (t - 1) / a)^-a).
    """
    ratio = shard.experts_per_token / shard.experts
    if isinstance(routing, float) and math.isinf(routing):
        return 1.0 - (1.0 - ratio) ** tokens
    later = ratio * (tokens - 1.0) * (tokens > 1.0)
    return ratio + (1.0 - ratio) * (1.0 - (1.0 + later / routing) ** (-routing))


def step_terms(shard: Shard, rates: Rates, load: StepTokens, minimum: Number, eager: Number) -> Terms:
    """Seconds by operator group; `eager` is 1 where kernels are launched one by one, 0 in a graph.

    Llama-3.1-8B in bf16 on one H100, one request: 13.96 GB of layer weights / (3.35 TB/s x 0.8) = 5.2 ms for
    `linear`, 1.05 GB for `head`.
    """
    decode_tokens = load.decode * load.verified
    tokens = decode_tokens + load.prefill
    bandwidth, peak = shard.bandwidth, shard.peak_16bit
    prompts = (load.prefill > 0) * 1.0
    rest = 1.0 - prompts
    linear_compute = prompts * rates.linear_compute + rest * rates.linear_decode
    wide_compute = prompts * rates.wide_compute + rest * rates.wide_decode
    expert_compute = prompts * rates.expert_compute + rest * rates.expert_decode
    linear = _product(shard.linear, tokens, rates.linear_memory, linear_compute, bandwidth)
    linear = linear + _product(shard.wide, tokens, rates.wide_memory, wide_compute, bandwidth)
    share = touched_share(shard, tokens, rates.routing)
    expert_tokens = tokens * shard.experts_per_token / shard.experts + share * rates.expert_tile
    expert = smooth_max(
        shard.expert.bytes * share / (bandwidth * rates.expert_memory),
        2.0 * shard.expert.elements * expert_tokens / (shard.expert.peak * expert_compute),
    )
    sampled = decode_tokens + prompts
    head = _product(shard.head, sampled, rates.head_memory, rates.head_decode, bandwidth)
    windowed = minimum(load.context, shard.window)
    cache_bytes = load.decode * (shard.kv_bytes * load.context + shard.window_kv_bytes * windowed + shard.state_bytes)
    pairs = decode_tokens * (shard.pair_decode * load.context + shard.window_pair * windowed)
    reread = cache_bytes * shard.group**rates.regroup  # kernels that run head by head read a shared head again
    cache = smooth_max(reread / (bandwidth * rates.cache_memory), pairs / (peak * rates.attention_compute))
    prompt_pairs = shard.pair_prefill * load.prefill_context
    prompt_pairs = prompt_pairs + shard.window_pair * minimum(load.prefill_context, shard.window)
    attention = load.prefill * prompt_pairs / (peak * rates.attention_compute)
    activation = tokens * shard.activation_bytes / (bandwidth * rates.activation_memory)
    moved = tokens * shard.collective_bytes / (shard.link * rates.link_share)
    collective = (shard.collectives + shard.stages - 1.0) * rates.collective_s + moved
    kernel = shard.kernels * rates.kernel_s
    busy = linear + expert + head + cache + attention + activation + collective + kernel
    launches = eager * shard.kernels * rates.eager_s
    exposed = smooth_max(busy, launches) - busy
    host = rates.step_s + rates.sequence_s * load.decode + rates.prompt_token_s * load.prefill
    return Terms(
        linear=linear, expert=expert, head=head, cache=cache, attention=attention, activation=activation,
        collective=collective, kernel=kernel, host=host, exposed=exposed,
    )  # fmt: skip


def operators(shard: Shard, rates: Rates, load: StepTokens) -> tuple[OperatorTime, ...]:
    """The same step as a list a person can read, each operator with the ceiling that bound it."""
    terms = step_terms(shard, rates, load, min, 1.0 if load.prefill else 0.0)
    tokens = load.decode * load.verified + load.prefill
    sampled = load.decode * load.verified + (1.0 if load.prefill else 0.0)
    share = touched_share(shard, tokens, rates.routing)
    windowed = min(load.context, shard.window)
    cache_bytes = load.decode * (shard.kv_bytes * load.context + shard.window_kv_bytes * windowed + shard.state_bytes)
    pairs = load.decode * load.verified * (shard.pair_decode * load.context + shard.window_pair * windowed)
    prompt_pairs = shard.pair_prefill * load.prefill_context
    prompt_pairs += shard.window_pair * min(load.prefill_context, shard.window)
    linear_bytes = shard.linear.bytes + shard.wide.bytes
    linear_flops = 2.0 * tokens * (shard.linear.elements + shard.wide.elements)
    expert_bytes = shard.expert.bytes * share
    expert_flops = 2.0 * shard.expert.elements * tokens * shard.experts_per_token / shard.experts
    head_flops = 2.0 * sampled * shard.head.elements
    activation = tokens * shard.activation_bytes
    moved = tokens * shard.collective_bytes
    rows = [
        _row(
            "projections and dense layers",
            terms.linear,
            linear_bytes,
            linear_flops,
            shard,
            shard.linear.peak,
            rates.linear_memory,
            rates.linear_compute,
        ),
        _row(
            "experts",
            terms.expert,
            expert_bytes,
            expert_flops,
            shard,
            shard.expert.peak,
            rates.expert_memory,
            rates.expert_compute,
        ),
        _row(
            "lm head",
            terms.head,
            shard.head.bytes,
            head_flops,
            shard,
            shard.head.peak,
            rates.head_memory,
            rates.head_decode,
        ),
        _row(
            "kv cache",
            terms.cache,
            cache_bytes,
            pairs,
            shard,
            shard.peak_16bit,
            rates.cache_memory,
            rates.attention_compute,
        ),
        OperatorTime(
            name="prompt attention",
            seconds=terms.attention,
            bytes=0.0,
            flops=load.prefill * prompt_pairs,
            bound="compute",
        ),
        OperatorTime(name="element-wise", seconds=terms.activation, bytes=activation, flops=0.0, bound="bandwidth"),
        OperatorTime(name="collectives", seconds=terms.collective, bytes=moved, flops=0.0, bound="link"),
        OperatorTime(name="launch", seconds=terms.kernel + terms.exposed, bytes=0.0, flops=0.0, bound="launch"),
        OperatorTime(name="host", seconds=terms.host, bytes=0.0, flops=0.0, bound="host"),
    ]
    return tuple(row for row in rows if row.seconds > 0.0)


def _row(
    name: str, seconds: float, size: float, flops: float, shard: Shard, peak: float, memory: float, compute: float
) -> OperatorTime:
    bandwidth_bound = size / (shard.bandwidth * memory) >= flops / (peak * compute)
    bound = "bandwidth" if bandwidth_bound else "compute"
    return OperatorTime(name=name, seconds=seconds, bytes=size, flops=flops, bound=bound)
