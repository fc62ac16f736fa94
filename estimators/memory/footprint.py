"""What each GPU of a replica must hold, against what the engine may take: the parts behind `estimate_memory`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from estimators.architecture.spec import AttentionKind
from estimators.memory import activations, drafting, partition
from estimators.memory.engine import Running
from estimators.memory.kv_cache import Cache, CacheKind, cache_kinds, pages_of_stage
from estimators.memory.weights import Stage, stage_weights
from estimators.precision import Precision
from estimators.remembered import Remembered
from estimators.workload import Engine, EngineSettings, Placement, Workload

LONGEST_CONTEXT = 2**24  # tokens; beyond it no context is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One GPU of one stage."""

    stage: Stage
    cache: Cache
    weights: int
    activation: int
    overhead: int  # inside the engine's budget
    outside: int  # CUDA context and graphs the budget does not count
    request_activation: float = 0.0  # bytes per prompt token of every request, for an engine without a pool

    @property
    def fixed(self) -> int:
        return self.weights + self.activation + self.overhead

    def request(self, tokens: int, prompt: int) -> RequestBytes:
        """A request of so many tokens, and what the one prompt being written holds beyond it: its windows keep the
        chunk too."""
        served = self.cache.served_bytes(tokens)
        extra = self.cache.served_bytes(tokens, writing=True) - served
        return RequestBytes(each=served + self.request_activation * prompt, writing_extra=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBytes:
    """What requests of one length hold on one GPU."""

    each: float
    writing_extra: int  # of the one whose prompt is being written

    def load(self, requests: int) -> int:
        return math.ceil(requests * self.each) + self.writing_extra


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidModel:
    """A model laid over the GPUs of a replica under an engine as started: what no load changes."""

    shares: tuple[Share, ...]  # one of each stage
    whole: Cache  # of the whole model on one GPU


@dataclass(frozen=True, kw_only=True)
class Replica:
    """All stages of one replica under one budget."""

    shares: tuple[Share, ...]
    whole: Cache
    budget: int  # per GPU
    tokens: int  # prompt + output of a request
    prompt: int
    requests: int  # of the load at once, on one rank of data-parallel attention
    ranks: int = 1

    def room(self, share: Share) -> int:
        return self.budget - share.fixed

    @cached_property
    def filled(self) -> tuple[tuple[Share, RequestBytes], ...]:
        """Each GPU with a request of the load."""
        return tuple((share, share.request(self.tokens, self.prompt)) for share in self.shares)

    def fullest(self) -> tuple[Share, RequestBytes]:
        return max(self.filled, key=lambda gpu: gpu[0].fixed + gpu[1].load(self.requests))

    def holds(self, requests: int, tokens: int) -> bool:
        return self.need(requests, tokens) <= self.budget

    def need(self, requests: int, tokens: int) -> int:
        """Bytes of the fullest GPU with so many requests of so many tokens."""
        prompt = max(1, tokens - (self.tokens - self.prompt))
        if (tokens, prompt) == (self.tokens, self.prompt):
            filled = self.filled
        else:
            filled = tuple((share, share.request(tokens, prompt)) for share in self.shares)
        return max(share.fixed + request.load(requests) for share, request in filled)

    @cached_property
    def max_concurrency(self) -> int:
        """Most requests of prompt + output that fit a rank, on the stage that holds fewest."""
        return max(0, min(math.floor(self._requests(share, request)) for share, request in self.filled))

    def most_at(self, tokens: int) -> int:
        """Most requests of `tokens` tokens that fit a rank, the output as long as the load's."""
        prompt = max(1, tokens - (self.tokens - self.prompt))
        if tokens == self.tokens:
            return self.max_concurrency
        longer = ((share, share.request(tokens, prompt)) for share in self.shares)
        return max(0, min(math.floor(self._requests(share, request)) for share, request in longer))

    def _requests(self, share: Share, request: RequestBytes) -> float:
        return requests_held(self.room(share), request.writing_extra, request.each)

    def capacity_tokens(self) -> int:
        """Tokens of cache the replica holds: whole pages where every layer keeps every token, else as many as requests
        of this length make."""
        return max(0, min(self._tokens(share, request) for share, request in self.filled))

    def _tokens(self, share: Share, request: RequestBytes) -> int:
        cache = share.cache
        if cache.uniform and not share.request_activation:
            page = cache.token_bytes * cache.block_tokens
            return int(self.room(share) // page) * cache.block_tokens if page else 0
        return math.floor(self._requests(share, request) * self.tokens)

    def max_context(self, limit: int | None) -> int:
        """Longest context at the load's concurrency, found by bisection: windows make the cost no straight line."""
        low, high = 0, min(limit or LONGEST_CONTEXT, LONGEST_CONTEXT)
        if self.holds(self.requests, high):
            return high
        while low < high:
            middle = (low + high + 1) // 2
            if self.holds(self.requests, middle):
                low = middle
            else:
                high = middle - 1
        return low


def requests_held(room: int, writing_extra: int, each: float) -> float:
    """Requests that share `room` bytes, one of them writing its prompt: (room - extra) / each."""
    return (room - writing_extra) / each if each else 0.0


_LAID: Remembered[LaidModel] = Remembered(4096)
_KINDS: Remembered[tuple[CacheKind, ...]] = Remembered(4096)


def build(
    precision: Precision,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    running: Running,
    memory_bytes: int,
    draft: Precision | None = None,
) -> Replica:
    """The replica's stages with everything each GPU holds."""
    tokens, prompt = workload.tokens_per_request, workload.prompt_tokens
    encoder = any(group.stack == "encoder" for group in precision.spec.groups)
    prompt_share = prompt / max(1, tokens) if encoder else 1.0
    laid = _LAID.of(
        (precision, draft),
        (placement, prompt_share, settings, running),
        lambda: _lay(precision, placement, prompt_share, settings, running, draft),
    )
    return Replica(
        shares=laid.shares,
        whole=laid.whole,
        budget=budget_of(memory_bytes, running, laid.shares),
        tokens=tokens,
        prompt=prompt,
        requests=at_once(workload, placement, settings),
        ranks=placement.dp,
    )


def _lay(
    precision: Precision,
    placement: Placement,
    prompt_share: float,
    settings: EngineSettings,
    running: Running,
    draft: Precision | None,
) -> LaidModel:
    placed = layout(placement, running.engine)
    partition.check(precision.spec, placed)
    mtp = settings.speculation is not None and settings.speculation.method == "mtp"
    made = []
    serving, products = running.engine is not Engine.TRANSFORMERS, bool(running.value("mla_products"))
    for stage in stage_weights(precision, placed, serving=serving, mtp=mtp, products=products):
        cache = cache_of(precision, placed, prompt_share, settings, running, stage, mtp)
        stage, cache = drafting.with_draft(stage, cache, settings.speculation, draft, precision, placed, running.engine)
        made.append(_share(precision, placed, settings, running, stage, cache))
    whole = cache_of(precision, placement, prompt_share, settings, running, None)
    return LaidModel(shares=tuple(made), whole=whole)


def budget_of(memory_bytes: int, running: Running, shares: Sequence[Share]) -> int:
    """What the engine may take of a GPU: a share of its memory; TensorRT-LLM's is of what is free after loading, so
    that 0.9 of 17.4 GiB free beside 13.9 GiB taken are a budget of 29.6 GiB."""
    if running.value("fraction_of_free"):
        taken = max(share.fixed for share in shares)
        return taken + math.floor((memory_bytes - taken) * running.utilization)
    return math.floor(memory_bytes * running.utilization)


def at_once(workload: Workload, placement: Placement, settings: EngineSettings) -> int:
    """Requests of the load that one rank runs at once: its share, of which more than `max_num_seqs` queues."""
    share = max(1, math.ceil((workload.concurrency or 1) / placement.dp))
    return min(share, settings.max_num_seqs or share)


def has_mla(precision: Precision) -> bool:
    return any(
        group.attention is not None and group.attention.kind is AttentionKind.MLA for group in precision.spec.groups
    )


def layout(placement: Placement, engine: Engine) -> Placement:
    """Plain transformers spreads layers over the GPUs (device_map) and cuts no tensor."""
    return Placement(pp=placement.gpus) if engine is Engine.TRANSFORMERS else placement


def cache_of(
    precision: Precision,
    placement: Placement,
    prompt_share: float,
    settings: EngineSettings,
    running: Running,
    stage: Stage | None,
    mtp: bool = False,
) -> Cache:
    """The cache of one stage, or with `stage` None of the whole model on one GPU."""
    tp, mla_multiple = placement.tp if stage is not None else 1, int(running.value("mla_multiple")) or 1
    wide = running.value("state_float32") > 0
    kinds = _KINDS.of(
        (precision,),
        (tp, stage and (stage.first_layer, stage.end_layer, stage.last), prompt_share, mla_multiple, mtp, wide),
        lambda: cache_kinds(
            precision,
            tp,
            stage,
            prompt_share=prompt_share,
            mla_multiple=mla_multiple,
            mtp=mtp,
            state_float32=wide,
        ),
    )
    chunked = any(kind.chunked for kind in kinds) and not running.value("chunks_capped")
    return Cache(
        kinds=kinds,
        capped=running.value("windows_capped") > 0 and not chunked,
        block_tokens=int(running.value("block_tokens")) or 1,
        chunk_tokens=1 if running.engine is Engine.TRANSFORMERS else running.batched_tokens,
        state_blocks=running.state_blocks,
        compressed=pages_of_stage(precision, stage, mtp, int(running.value("compressed_block"))),
    )


def _share(
    precision: Precision,
    placement: Placement,
    settings: EngineSettings,
    running: Running,
    stage: Stage,
    cache: Cache,
) -> Share:
    graphs = 0 if settings.eager else activations.graph_bytes(running, stage)
    context = activations.context_bytes(running, placement)
    overhead = activations.non_torch_bytes(running, placement)
    overhead += activations.adapter_bytes(precision, placement, settings.lora_rank, settings.lora_adapters)
    inside = graphs if running.value("graphs_in_budget") else 0
    if running.utilization == 1.0 or running.value("context_in_budget"):
        overhead, context = overhead + context, 0
    activation = activations.activation_bytes(precision, placement, running, stage)
    if running.value("fraction_of_weights_and_cache"):
        # SGLang: the share is of what is free before loading, so the context takes its share of the budget
        inner = math.ceil(context * running.utilization)
        adapters = activations.adapter_bytes(precision, placement, settings.lora_rank, settings.lora_adapters)
        return Share(
            stage=stage,
            cache=cache,
            weights=stage.bytes,
            activation=0,
            overhead=inner + adapters,
            outside=context - inner + graphs + activation + overhead - adapters,
        )
    overhead += activations.decoder_bytes(precision, running)
    return Share(
        stage=stage,
        cache=cache,
        weights=stage.bytes,
        activation=activation,
        overhead=overhead + inside,
        outside=context + graphs - inside,
        request_activation=activations.prompt_token_bytes(precision, running),
    )
