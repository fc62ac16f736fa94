"""Time of one step: a forward pass over some decoding requests and some prompt tokens, operator by operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

from estimators.latency.estimate import OperatorTime
from estimators.latency.numeric import Number, fourth_power, is_nothing, smooth_max
from estimators.latency.sharding import Product, Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a case achieves of the data sheet (shares, each below 1) and what it spends beside it (seconds)."""

    # Of operators, from measured kernels, the shares moved by what served runs show.
    linear_memory: Number  # share of bandwidth while reading weights
    linear_compute: Number  # share of peak in large products
    wide_memory: Number
    wide_compute: Number
    expert_memory: Number
    expert_compute: Number
    head_memory: Number
    head_compute: Number
    cache_memory: Number  # share of bandwidth while reading the KV cache
    attention_compute: Number  # share of peak in attention over a prompt
    activation_memory: Number
    collective_s: Number  # latency of one all-reduce
    link_share: Number  # share of the link's bandwidth
    # Of operators, from measured kernels as they are.
    linear_start: Number  # seconds before a product's work counts: launch, ramp, drain
    expert_start: Number
    head_start: Number
    cache_start: Number
    prompt_start: Number
    linear_tile: Number  # tokens a product pays beyond those it has
    wide_tile: Number
    expert_tile: Number  # the same of every touched expert: its partly filled tile
    head_tile: Number
    cache_compute: Number  # share of peak in attention over the cache
    prompt_length: Number  # tokens by which attention over a prompt costs more than its pairs
    # Of the engine, from served runs alone.
    starting: Number  # factor on the starts of operators: how far one's launch hides behind another's work
    regroup: Number  # power of the query heads per cached head by which reads of the cache grow
    routing: Number  # evenness a of expert popularity (gamma shape); uniform routing is a = infinity
    kernel_s: Number  # one kernel that multiplies nothing, in a captured graph
    eager_s: Number  # launch of one kernel outside a graph; hidden behind the GPU when that is busy longer
    step_s: Number  # scheduler, input preparation and sampling, per step
    sequence_s: Number  # the same per running request
    request_s: Number  # front end, per request, seen in TTFT
    prompt_token_s: Number  # host work per prompt token of a step
    queueing: Number  # how much denser arrivals of a closed population bunch than if they were even
    training: Number  # prompts met, by the logarithm of how many requests of one length follow each other
    filling: Number  # share of the steady throughput an offline run keeps while it is full
    ending: Number  # requests a run has more, so to speak, for its last ones to end: share of those running
    # Of a generate() loop, from what its libraries do; no served run moves them.
    calls: Number  # launches a product takes
    widened: Number  # bytes an element that weights are written and read once more, for more than one token
    copying: Number  # 1: a step copies the whole cache, and repeats shared heads in memory


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


@dataclass(frozen=True, slots=True)
class Roof:
    """A matrix product under two ceilings: start + max(bytes / (BW e_mem), 2 E (t + tile) / (peak e_flop)), smooth."""

    read4: Number  # seconds to read its weights, to the fourth power
    token_s: Number  # seconds to compute one token
    tile: Number  # tokens paid beyond those there are
    start: Number  # seconds before the work counts, of all products of the kind

    def seconds(self, tokens: Number) -> Number:
        computing = self.token_s * (tokens + self.tile)
        computing2 = computing * computing
        return self.start + (self.read4 + computing2 * computing2) ** 0.25


_OF_EXPERTS = 3.0  # kernels a fused operator of experts launches: two grouped products and the sorting before them


def _absent(product: Product) -> bool:
    """Whether no case has such a product."""
    return is_nothing(product.bytes) and is_nothing(product.elements)


def _roof(
    product: Product, memory: Number, compute: Number, tile: Number, start: Number, bandwidth: Number
) -> Roof | None:
    if _absent(product):
        return None
    read4 = fourth_power(product.bytes / (bandwidth * memory))
    return Roof(read4, 2.0 * product.elements / (product.peak * compute), tile, start)


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


class Step:
    """The steps of a shard at its rates, with or without prompts among their tokens, for requests of given lengths.

    What no load changes is worked out once. `context` is the mean number of cached tokens of a decoding request,
    `prompt_context` of tokens a prompt token attends to, `verified` the tokens computed per decoding request (more than
    one under speculation); `eager` is 1 where kernels are launched one by one, 0 in a graph.
    """

    def __init__(
        self,
        shard: Shard,
        rates: Rates,
        *,
        prompts: bool,
        context: Number = 0.0,
        prompt_context: Number = 0.0,
        verified: Number = 1.0,
        minimum: Number = min,
        eager: Number = 0.0,
    ) -> None:
        self.shard, self.rates, self.verified = shard, rates, verified
        self.sampled = 1.0 if prompts else 0.0  # prompt tokens the head is computed for
        bandwidth, starting = shard.bandwidth, rates.starting
        start = shard.products * starting * rates.linear_start
        self.linear = _roof(
            shard.linear, rates.linear_memory, rates.linear_compute, rates.linear_tile, start, bandwidth
        )
        self.wide = _roof(shard.wide, rates.wide_memory, rates.wide_compute, rates.wide_tile, 0.0, bandwidth)
        start = starting * rates.head_start
        self.head = _roof(shard.head, rates.head_memory, rates.head_compute, rates.head_tile, start, bandwidth)
        self.has_experts = not _absent(shard.expert)
        self.expert_start = shard.expert_layers * starting * rates.expert_start
        if self.has_experts:
            self.experts_s = shard.expert.bytes / (bandwidth * rates.expert_memory)  # to read all of them
            self.expert_token_s = 2.0 * shard.expert.elements / (shard.expert.peak * rates.expert_compute)
            self.expert_share = shard.experts_per_token / shard.experts
        windowed = minimum(context, shard.window)
        self.cache_bytes = shard.kv_bytes * context + shard.window_kv_bytes * windowed + shard.state_bytes
        self.cache_pairs = shard.pair_decode * context + shard.window_pair * windowed
        # Kernels that run head by head read a shared head again. A copied cache is read and written, a repeated one
        # read, written once per query head and read as often, before attention.
        copied = 3.0 + 2.0 * shard.group * (shard.group > 1.0)
        rereads = shard.group**rates.regroup * (1.0 - rates.copying) + copied * rates.copying
        self.cache_bandwidth = bandwidth * rates.cache_memory
        self.cache_rate = shard.peak_16bit * rates.cache_compute
        self.cache_s = self.cache_bytes * rereads / self.cache_bandwidth  # of a decoding request
        self.pairs_s = self.cache_pairs / self.cache_rate  # of a token it computes
        self.cache_start = shard.attentions * starting * rates.cache_start
        self.prompt_start = shard.attentions * starting * rates.prompt_start if prompts else 0.0
        seen = prompt_context + 0.5 * rates.prompt_length
        self.prompt_pairs = shard.pair_prefill * seen + shard.window_pair * minimum(seen, shard.window)
        self.prompt_s = self.prompt_pairs / (shard.peak_16bit * rates.attention_compute)  # of a prompt token
        self.activation_s = shard.activation_bytes / (bandwidth * rates.activation_memory)  # of a token
        self.waits = (shard.collectives + shard.stages - 1.0) * rates.collective_s
        self.collective_s = shard.collective_bytes / (shard.link * rates.link_share)  # of a token, beyond the waits
        self.kernel = shard.kernels * rates.kernel_s
        self.widening = shard.linear.elements * rates.widened / (bandwidth * rates.linear_memory)
        launched = shard.products * rates.calls + _OF_EXPERTS * shard.expert_layers + shard.attentions + shard.kernels
        self.launches4 = fourth_power(eager * (launched + shard.collectives) * rates.eager_s)

    def seconds(self, decode: Number, prefill: Number = 0.0) -> Number:
        """Of a step in which `decode` requests get their next token and `prefill` prompt tokens are computed."""
        return self._parts(decode, prefill)[0]

    def terms(self, decode: Number, prefill: Number = 0.0) -> Terms:
        """The same by operator group.

        Llama-3.1-8B in bf16 on one H100, one request: 13.96 GB of layer weights / (3.35 TB/s x 0.8) = 5.2 ms for
        `linear`, 1.05 GB for `head`.
        """
        _, linear, expert, head, cache, attention, activation, collective, host, exposed = self._parts(decode, prefill)
        return Terms(
            linear=linear, expert=expert, head=head, cache=cache, attention=attention, activation=activation,
            collective=collective, kernel=self.kernel, host=host, exposed=exposed,
        )  # fmt: skip

    def _parts(self, decode: Number, prefill: Number) -> tuple[Number, ...]:
        """(the whole step, then its operator groups in the order of `Terms`, but for the kernels' start)."""
        rates = self.rates
        computed = decode * self.verified
        tokens = computed + prefill
        linear = self.linear.seconds(tokens) if self.linear else 0.0
        if self.wide:
            linear = linear + self.wide.seconds(tokens)
        linear = linear + self.widening * (tokens > 1.0)
        expert = self._experts(tokens) if self.has_experts else 0.0
        head = self.head.seconds(computed + self.sampled) if self.head else 0.0
        cache = smooth_max(decode * self.cache_s, computed * self.pairs_s)
        cache = cache + self.cache_start * (decode > 0)
        attention = self.prompt_start + prefill * self.prompt_s
        activation = tokens * self.activation_s
        collective = self.waits + tokens * self.collective_s
        busy = linear + expert + head + cache + attention + activation + collective + self.kernel
        busy2 = busy * busy
        exposed = (busy2 * busy2 + self.launches4) ** 0.25 - busy
        host = rates.step_s + rates.sequence_s * decode + rates.prompt_token_s * prefill
        whole = busy + host + exposed
        return whole, linear, expert, head, cache, attention, activation, collective, host, exposed

    def _experts(self, tokens: Number) -> Number:
        """The routed experts: bytes of those touched, and the tokens each gets with its partly filled tile."""
        shard, rates = self.shard, self.rates
        share = touched_share(shard, tokens, rates.routing)
        each = tokens * self.expert_share + share * rates.expert_tile
        return self.expert_start + smooth_max(self.experts_s * share, self.expert_token_s * each)


def operators(step: Step, decode: float, prefill: float = 0.0) -> tuple[OperatorTime, ...]:
    """The same step as a list a person can read, each operator with the ceiling that bound it."""
    shard, rates, terms = step.shard, step.rates, step.terms(decode, prefill)
    linear, wide, expert, head, bandwidth = shard.linear, shard.wide, shard.expert, shard.head, shard.bandwidth
    computed = decode * step.verified
    tokens = computed + prefill
    rows = [
        _row(
            "projections and dense layers", terms.linear,
            linear.bytes + wide.bytes, bandwidth * rates.linear_memory,
            2.0 * tokens * (linear.elements + wide.elements), linear.peak * rates.linear_compute,
        ),
        _row(
            "experts", terms.expert,
            expert.bytes * touched_share(shard, tokens, rates.routing), bandwidth * rates.expert_memory,
            2.0 * expert.elements * tokens * shard.experts_per_token / shard.experts,
            expert.peak * rates.expert_compute,
        ),
        _row(
            "lm head", terms.head,
            head.bytes, bandwidth * rates.head_memory,
            2.0 * (computed + step.sampled) * head.elements, head.peak * rates.head_compute,
        ),
        _row(
            "kv cache", terms.cache,
            decode * step.cache_bytes, step.cache_bandwidth, computed * step.cache_pairs, step.cache_rate,
        ),
        OperatorTime(
            name="prompt attention", seconds=terms.attention, bytes=0.0, flops=prefill * step.prompt_pairs,
            bound="compute",
        ),
        OperatorTime(
            name="element-wise", seconds=terms.activation, bytes=tokens * shard.activation_bytes, flops=0.0,
            bound="bandwidth",
        ),
        OperatorTime(
            name="collectives", seconds=terms.collective, bytes=tokens * shard.collective_bytes, flops=0.0, bound="link"
        ),
        OperatorTime(name="launch", seconds=terms.kernel + terms.exposed, bytes=0.0, flops=0.0, bound="launch"),
        OperatorTime(name="host", seconds=terms.host, bytes=0.0, flops=0.0, bound="host"),
    ]  # fmt: skip
    return tuple(row for row in rows if row.seconds > 0.0)


def _row(name: str, seconds: float, size: float, bandwidth: float, flops: float, rate: float) -> OperatorTime:
    bound = "bandwidth" if size / bandwidth >= flops / rate else "compute"
    return OperatorTime(name=name, seconds=seconds, bytes=size, flops=flops, bound=bound)
