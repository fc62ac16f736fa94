"""Why each number of a memory estimate is what it is: terms with their formula, numbers and source."""

from __future__ import annotations

from dataclasses import replace

from estimators.hardware.accelerator import Accelerator
from estimators.memory.engine import Running
from estimators.memory.estimate import MemoryEstimate
from estimators.memory.footprint import Replica, Share
from estimators.precision import Precision, Weights
from estimators.provenance import Term
from estimators.workload import Engine, EngineSettings, Placement, Workload

_GIB = 2**30


def with_terms(
    estimate: MemoryEstimate,
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    running: Running,
    replica: Replica,
    share: Share,
) -> MemoryEstimate:
    """The estimate with a term for each of its numbers."""
    terms = (
        *_weight_terms(estimate, precision, placement),
        *_cache_terms(estimate, precision, placement, running, replica, share),
        *_engine_terms(estimate, precision, placement, running),
        *_total_terms(estimate, accelerator, running, replica),
    )
    return replace(estimate, terms=terms)


def notes(
    precision: Precision,
    accelerator: Accelerator,
    workload: Workload,
    settings: EngineSettings,
    running: Running,
    replica: Replica,
    share: Share,
) -> tuple[str, ...]:
    """What a person should know before relying on the numbers."""
    found = [*precision.spec.notes, *precision.notes]
    if not precision.spec.groups:
        found.append("The layers of this model are not described: its weights are exact, its KV cache is unknown.")
    elif not share.cache.uniform and any(kind.window for kind in share.cache.kinds):
        found.append(_window_note(share, running))
    if any(kind.state_bytes for kind in share.cache.kinds):
        found.append("The recurrent state is a fixed size per request, whatever its length.")
    if workload.concurrency is not None and workload.concurrency > running.max_seqs:
        found.append(f"The scheduler runs {running.max_seqs} requests at once; raise --max-num-seqs for this load.")
    longest = settings.max_model_len
    if longest is not None and longest < workload.tokens_per_request:
        found.append(f"max_len {longest} is shorter than a request of {workload.tokens_per_request} tokens.")
    if precision.weights is Weights.FP32 and precision.published and running.engine is Engine.VLLM:
        found.append("vLLM loads a float32 checkpoint in 16 bits unless --dtype float32 is given: see weights=bf16.")
    limit = precision.spec.max_positions
    if limit is not None and workload.tokens_per_request > limit:
        found.append(f"A request of {workload.tokens_per_request} tokens is longer than the {limit} the model states.")
    if share.outside > accelerator.memory_bytes - replica.budget > 0:
        found.append("CUDA graphs and context need more than the engine leaves outside its budget: lower util.")
    if settings.speculation is not None and settings.speculation.method == "draft" and not _has(share, "draft model"):
        found.append("The draft model's own weights and cache are not included.")
    return tuple(found)


def _window_note(share: Share, running: Running) -> str:
    if share.cache.capped:
        return (
            "Sliding layers keep only their window; with --disable-hybrid-kv-cache-manager (or an engine without one) "
            "they keep every page, the ceiling shown."
        )
    return (
        "This engine version keeps every page of sliding layers too; a newer one frees what a window no longer needs."
    )


def _has(share: Share, role: str) -> bool:
    return any(name == role for name, _ in share.stage.bytes_by_role)


def _weight_terms(estimate: MemoryEstimate, precision: Precision, placement: Placement) -> tuple[Term, ...]:
    spec = precision.spec
    parts = " + ".join(f"{role} {_gib(size)}" for role, size in estimate.weights_bytes_per_gpu_by_role)
    return (
        Term(
            label="Weights, whole model",
            value=estimate.weights_bytes,
            unit="byte",
            formula=f"sum over tensors of stored bytes in {precision.weights} = {estimate.weights_bytes:,}",
            source=f"{spec.source.value}: {spec.source_note}",
        ),
        Term(
            label="Weights per GPU",
            value=estimate.weights_bytes_per_gpu,
            unit="byte",
            formula=f"fullest GPU of TP {placement.tp} x PP {placement.pp}: {parts}",
            source="as vLLM cuts layers: by columns, rows and heads, vocabulary padded to 64; the rest is copied",
        ),
    )


def _cache_terms(
    estimate: MemoryEstimate,
    precision: Precision,
    placement: Placement,
    running: Running,
    replica: Replica,
    share: Share,
) -> tuple[Term, ...]:
    width = f"{precision.kv_bytes_per_element:g} B"
    per_layer = " + ".join(
        _kind(kind.layers, kind.bytes_per_token, kind.state_bytes, kind.window) for kind in share.cache.kinds
    )
    block = share.cache.block_tokens
    source = f"{precision.spec.id} config; cache in {precision.kv}, {width} an element"
    return (
        Term(
            label="KV cache per token, whole model",
            value=estimate.kv_bytes_per_token,
            unit="byte/token",
            formula=f"sum over layers of K (H + Hv) x {width}, windows that are full excluded",
            source=source,
        ),
        Term(
            label="KV cache per token per GPU",
            value=estimate.kv_bytes_per_token_per_gpu,
            unit="byte/token",
            formula=f"K/T heads, at least one; MLA is not split: {per_layer or 'no cache'}",
            source=source,
        ),
        Term(
            label="State per request",
            value=estimate.state_bytes_per_request,
            unit="byte",
            formula="sum over recurrent layers of convolution window + state matrix",
            source=f"{precision.spec.id} config",
        ),
        Term(
            label="KV cache and state of the load per GPU",
            value=estimate.load_bytes_per_gpu,
            unit="byte",
            formula=f"{replica.requests} requests x {replica.tokens:,} tokens in pages of {block}; "
            f"at least {_gib(estimate.load_bytes_per_gpu_floor)}, at most {_gib(estimate.load_bytes_per_gpu_ceiling)}",
            source=_evidence(running, "block_tokens"),
        ),
    )


def _kind(layers: int, row: float, state: int, window: int | None) -> str:
    if state:
        return f"{layers} layers x {state:,} B of state"
    return f"{layers} layers x {row:g} B" + (f" (window {window})" if window else "")


def _engine_terms(
    estimate: MemoryEstimate, precision: Precision, placement: Placement, running: Running
) -> tuple[Term, ...]:
    seqs, vocab = running.max_seqs, precision.spec.vocab_size
    if running.engine is Engine.TRANSFORMERS:
        formula, constant = "b F x bytes of the compute type per prompt token", "prompt_inner"
    else:
        formula = (
            f"widest of a layer over {running.batched_tokens:,} tokens and the sampler over "
            f"{seqs:,} requests x {vocab:,} logits x {2 + running.value('sampler_copies'):g} B"
        )
        constant = "sampler_copies"
    overhead = "non_torch_per_rank" if placement.tp > 1 else "non_torch"
    return (
        Term(
            label="Activation peak per GPU",
            value=estimate.activation_bytes_per_gpu,
            unit="byte",
            formula=formula,
            source=_evidence(running, constant),
        ),
        Term(
            label="Engine overhead per GPU",
            value=estimate.overhead_bytes_per_gpu,
            unit="byte",
            formula=f"communication buffers at TP {placement.tp}"
            + (" + CUDA graphs" if running.value("graphs_in_budget") else "")
            + ", LoRA buffers where asked",
            source=_evidence(running, overhead),
        ),
        Term(
            label="Outside the budget per GPU",
            value=estimate.outside_bytes_per_gpu,
            unit="byte",
            formula="CUDA context" + ("" if running.value("graphs_in_budget") else " + CUDA graphs"),
            source=_evidence(running, "context"),
        ),
    )


def _total_terms(
    estimate: MemoryEstimate, accelerator: Accelerator, running: Running, replica: Replica
) -> tuple[Term, ...]:
    return (
        Term(
            label="Demand per GPU",
            value=estimate.memory_bytes_per_gpu,
            unit="byte",
            formula=f"{_gib(estimate.weights_bytes_per_gpu)} weights + {_gib(estimate.load_bytes_per_gpu)} cache + "
            f"{_gib(estimate.activation_bytes_per_gpu)} activations + "
            f"{_gib(estimate.overhead_bytes_per_gpu)} overhead; 80 % interval "
            f"{_gib(estimate.memory_bytes_per_gpu_low)} to {_gib(estimate.memory_bytes_per_gpu_high)}",
            source=_evidence(running, "fixed_high"),
        ),
        Term(
            label="Budget per GPU",
            value=estimate.memory_budget_bytes_per_gpu,
            unit="byte",
            formula=f"memory software sees x {running.utilization:g}",
            source=f"{accelerator.memory_source}; {_evidence(running, 'utilization')}",
        ),
        Term(
            label="KV capacity",
            value=estimate.kv_capacity_tokens,
            unit="token",
            formula="(budget - weights - activations - overhead) in whole pages, on the stage with least room",
            source="solved for, not divided: windows and state make cost per token depend on the context",
        ),
        Term(
            label="Requests held",
            value=estimate.max_concurrency,
            unit="request",
            formula=f"largest n with n requests of {replica.tokens:,} tokens in that room",
            source="solved for",
        ),
        Term(
            label="Longest context",
            value=estimate.max_context,
            unit="token",
            formula=f"longest context at {replica.requests} requests, within the model's own limit",
            source="solved for by bisection",
        ),
    )


def _evidence(running: Running, name: str) -> str:
    constant = running.constants.get(name)
    return constant.evidence if constant is not None else f"{running.engine.value} has no such term in the table"


def _gib(size: float) -> str:
    return f"{size / _GIB:.2f} GiB"
