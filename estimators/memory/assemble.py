"""`estimate_memory`: one scenario in, every number of its memory out, each explained."""

from __future__ import annotations

import math
from dataclasses import replace

from estimators.hardware.accelerator import Accelerator
from estimators.memory import drafting, footprint, printed
from estimators.memory.engine import Running, held_at_once, start
from estimators.memory.estimate import MemoryEstimate
from estimators.memory.explain import MemoryExplanation
from estimators.memory.footprint import Replica, Share
from estimators.memory.starting import start_of
from estimators.precision import Precision
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload


def estimate_memory(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    *,
    memory_bytes: int | None = None,
    draft: Precision | None = None,
) -> MemoryEstimate:
    """Memory of one replica: what each GPU must hold, what the engine may take, and how much load that leaves room for.

    demand = weights + KV cache and state of the load + activations + overhead; budget = memory software sees x util.
    `memory_bytes` is that of a fractional GPU, `draft` the draft model of speculative decoding (left out, the embedded
    model of that name). A batch the cache does not hold is run in waves, and demand is that of one wave.
    Llama-3.1-8B in bf16 on an H100, 1024 + 128 tokens, one request: 14.99 GiB of weights, 0.14 GiB of cache.
    Raises `Refusal` where the placement or a setting is impossible.
    """
    check(workload, settings)
    if settings.speculation is not None:
        drafting.check(settings.speculation, precision.spec)
        draft = draft or drafting.draft_precision(settings.speculation, precision.kv)
    memory = memory_bytes or accelerator.memory_bytes
    longest = settings.max_model_len or workload.tokens_per_request
    mla = footprint.has_mla(precision)
    running = start(settings, accelerator, memory, longest, mla=mla, requests=held_at_once(workload, placement.dp))
    replica = footprint.build(precision, placement, workload, settings, running, memory, draft)
    replica = _in_waves(replica, workload, running, accelerator)
    return _assemble(precision, accelerator, placement, workload, settings, running, replica, draft)


def with_fixed(estimate: MemoryEstimate, fixed: int, low: int, high: int) -> MemoryEstimate:
    """The estimate with `fixed` bytes on its fullest GPU for everything but the cache (80 % interval `low` to `high`),
    as a log of such a server says, and all that follows: what is left for the cache, and what that holds.

    The difference is put into the overhead, then the activations, then the weights; other stages move by its ratio.
    """
    made = estimate.explanation
    if not isinstance(made, MemoryExplanation) or made.share.fixed <= 0:
        return estimate
    load, running, where = made.workload, made.running, made.accelerator
    replica = replace(
        refixed(made.replica, fixed / made.share.fixed),
        requests=footprint.at_once(load, made.placement, made.settings),
    )
    replica = _in_waves(replica, load, running, where)
    moved = _assemble(made.precision, where, made.placement, load, made.settings, running, replica, made.draft)
    demand = moved.memory_bytes_per_gpu
    return replace(
        moved, memory_bytes_per_gpu_low=demand - (fixed - low), memory_bytes_per_gpu_high=demand + (high - fixed)
    )


def refixed(replica: Replica, ratio: float) -> Replica:
    """The replica with `ratio` times the bytes of everything but the cache on each of its GPUs."""
    shares = tuple(_refixed(share, math.ceil(share.fixed * ratio)) for share in replica.shares)
    return replace(replica, shares=shares)


def _refixed(share: Share, fixed: int) -> Share:
    """28 GiB estimated as 24 of weights, 3 of activations and 1 of overhead, logged as 26.5: 24, 2.5 and 0."""
    activation = max(0, min(share.activation, fixed - share.weights))
    weights = min(share.weights, fixed - activation)
    return replace(share, weights=weights, activation=activation, overhead=fixed - weights - activation)


def _in_waves(replica: Replica, workload: Workload, running: Running, accelerator: Accelerator) -> Replica:
    if workload.load is not Load.BATCH or running.engine is Engine.TRANSFORMERS:
        return replica
    return replace(replica, requests=_wave(replica, running, accelerator))


def check(workload: Workload, settings: EngineSettings) -> None:
    """Refuse lengths and settings that no engine starts with."""
    for field, value in (("prompt", workload.prompt_tokens), ("output", workload.output_tokens)):
        if not 0 <= value <= footprint.LONGEST_CONTEXT:
            raise Refusal(
                f"{value} tokens is not a length.", field=field, remedy=f"Use 0 to {footprint.LONGEST_CONTEXT}."
            )
    if workload.tokens_per_request < 1:
        raise Refusal("A request has at least one token.", field="prompt", remedy="Give a prompt or an output length.")
    if workload.concurrency is not None and not 0 <= workload.concurrency <= 10**7:
        raise Refusal(f"{workload.concurrency} is not a concurrency.", field="concurrency", remedy="Use 1 or more.")
    longest = settings.max_model_len
    if longest is not None and longest < workload.tokens_per_request:
        raise Refusal(
            f"A longest context of {longest:,} tokens does not hold a request of {workload.tokens_per_request:,} "
            f"({workload.prompt_tokens:,} of prompt + {workload.output_tokens:,} of output).",
            field="max_len",
            remedy=f"Use {workload.tokens_per_request:,} or more, or shorten the request.",
        )
    if settings.lora_adapters < 0 or settings.lora_rank < 1:
        raise Refusal(
            "Adapters need a count and a rank.", field="lora", remedy="Use a count of 0 or more, a rank of 1 or more."
        )


def _wave(replica: Replica, running: Running, accelerator: Accelerator) -> int:
    """Requests of a batch run at once: those the cache holds, at least one, and no more than the scheduler takes
    (Neuron builds have no such limit). As `estimators.latency.serving.Server.batch` runs them."""
    limit = replica.max_concurrency
    if accelerator.vendor != "AWS":
        limit = min(limit, running.max_seqs)
    return max(1, min(replica.requests, limit))


def _assemble(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    running: Running,
    replica: Replica,
    draft: Precision | None,
) -> MemoryEstimate:
    (full, request), tokens = replica.fullest(), replica.tokens
    requests = 1 if workload.load is Load.MAX else replica.requests
    known = bool(precision.spec.groups)
    load = request.load(requests)
    prompts = math.ceil(full.request_activation * replica.prompt * requests)
    demand = full.fixed + load
    low, high = _interval(running, full, demand)
    longest = settings.max_model_len or replica.tokens
    longest_need = replica.need(1, longest)
    fits = (
        demand <= replica.budget
        and replica.holds(requests, replica.tokens)
        and (longest_need <= replica.budget or not running.value("refuses_short_pool"))
    )
    started = start_of(precision.spec, replica.shares, replica.budget, running, settings, longest, longest_need)
    logs = known and started.starts is not False and running.engine is Engine.VLLM
    return MemoryEstimate(
        weights_bytes=precision.weights_bytes,
        weights_bytes_per_gpu=full.weights,
        weights_bytes_per_gpu_by_role=full.stage.bytes_by_role,
        kv_bytes_per_token=replica.whole.marginal_bytes(tokens),
        kv_bytes_per_token_per_gpu=full.cache.marginal_bytes(tokens),
        state_bytes_per_request=replica.whole.state_bytes,
        load_bytes_per_gpu=load - prompts,
        activation_bytes_per_gpu=full.activation + prompts,
        overhead_bytes_per_gpu=full.overhead,
        memory_bytes_per_gpu=demand,
        memory_bytes_per_gpu_low=low,
        memory_bytes_per_gpu_high=high,
        memory_budget_bytes_per_gpu=replica.budget,
        kv_capacity_tokens=replica.capacity_tokens() * replica.ranks if known else 0,
        max_concurrency=replica.max_concurrency * replica.ranks if known else 0,
        fits=fits,
        engine_starts=started.starts,
        engine_starts_reason=started.reason or None,
        starts_with_seqs=started.most_seqs,
        kv_logged_tokens=printed.kv_cache_tokens(replica, running, longest) if logs else None,
        kv_logged_concurrency=printed.max_concurrency(replica, longest) if logs else None,
        outside_bytes_per_gpu=full.outside,
        kv_known=known,
        explanation=MemoryExplanation(
            precision=precision, accelerator=accelerator, placement=placement, workload=workload, settings=settings,
            running=running, replica=replica, share=full, requests=requests, draft=draft,
        ),
    )  # fmt: skip


def _interval(running: Running, share: Share, demand: int) -> tuple[int, int]:
    """80 % of measured servers lay within these shares of what was estimated for everything but the cache."""
    low = math.floor(share.fixed * running.value("fixed_low"))
    high = math.ceil(share.fixed * running.value("fixed_high"))
    return demand - low, demand + high
