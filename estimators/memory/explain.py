"""Why each number of a memory estimate is what it is: terms with their formula, numbers and source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from estimators.architecture.spec import Role
from estimators.hardware.accelerator import Accelerator
from estimators.memory import drafting
from estimators.memory.engine import Running
from estimators.memory.estimate import MemoryEstimate
from estimators.memory.footprint import Replica, Share
from estimators.precision import Precision, Weights
from estimators.provenance import Term
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryExplanation:
    """What stands behind one estimate: nothing of it is put into words before somebody reads it."""

    precision: Precision
    accelerator: Accelerator
    placement: Placement
    workload: Workload
    settings: EngineSettings
    running: Running
    replica: Replica
    share: Share  # of the fullest GPU
    requests: int  # of the load, at once
    draft: Precision | None

    def longest_concurrency(self) -> int:
        """Requests of the longest context asked for that the replica holds; of prompt + output where none was."""
        longest = self.settings.max_model_len or self.replica.tokens
        return self.replica.most_at(longest) * self.replica.ranks if self.precision.spec.groups else 0

    def max_context(self) -> int:
        spec = self.precision.spec
        return self.replica.max_context(spec.max_positions) if spec.groups else 0

    def least_load_bytes(self) -> int:
        return self.requests * self.share.cache.floor_bytes(self.replica.tokens)

    def most_load_bytes(self) -> int:
        return self.requests * self.share.cache.ceiling_bytes(self.replica.tokens)

    def terms(self, estimate: MemoryEstimate) -> tuple[Term, ...]:
        """A term for each of the estimate's numbers."""
        return (
            *_weight_terms(estimate, self.precision, self.placement),
            *_cache_terms(estimate, self.precision, self.running, self.replica, self.share),
            *_engine_terms(estimate, self.precision, self.placement, self.running),
            *_total_terms(estimate, self.accelerator, self.running, self.replica),
        )

    def notes(self) -> tuple[str, ...]:
        """What a person should know before relying on the numbers."""
        precision, share, running = self.precision, self.share, self.running
        found = [*precision.spec.notes, *precision.notes]
        if not precision.spec.groups:
            found.append("The layers of this model are not described: its weights are exact, its KV cache is unknown.")
        elif not share.cache.uniform and any(kind.window for kind in share.cache.kinds):
            found.append(_window_note(share))
        if any(kind.state_bytes for kind in share.cache.kinds):
            found.append("The recurrent state is a fixed size per request, whatever its length.")
        found.extend(_load_notes(precision, self.workload, running, self.replica))
        if precision.weights is Weights.FP32 and precision.published and running.engine is Engine.VLLM:
            found.append(
                "vLLM loads a float32 checkpoint in 16 bits unless --dtype float32 is given: see weights=bf16."
            )
        limit, asked = precision.spec.max_positions, self.workload.tokens_per_request
        if limit is not None and asked > limit:
            found.append(f"A request of {asked} tokens is longer than the {limit} the model states.")
        if share.outside > self.accelerator.memory_bytes - self.replica.budget > 0:
            found.append("CUDA graphs and context need more than the engine leaves outside its budget: lower util.")
        if self.settings.speculation is not None:
            found.extend(_drafting_notes(precision, share, running, self.draft))
        return tuple(found)


def _window_note(share: Share) -> str:
    if share.cache.capped:
        return (
            "Sliding layers keep only their window; with --disable-hybrid-kv-cache-manager (or an engine without one) "
            "they keep every page, the ceiling shown."
        )
    return (
        "This engine version keeps every page of sliding layers too; a newer one frees what a window no longer needs."
    )


def _load_notes(precision: Precision, workload: Workload, running: Running, replica: Replica) -> Iterator[str]:
    """How the engine takes more requests than it runs at once."""
    asked = math.ceil(workload.concurrency or 1)
    if workload.load is not Load.BATCH:
        if asked > running.max_seqs:
            yield f"The scheduler runs {running.max_seqs} requests at once; raise --max-num-seqs for this load."
        return
    held = replica.max_concurrency
    if not precision.spec.groups or held < 1 or asked <= min(held, replica.requests):
        return
    if running.engine is Engine.TRANSFORMERS:
        yield f"Plain transformers runs a batch whole: split the {asked:,} requests into calls of {held:,} at most."
        return
    waves = math.ceil(asked / replica.requests)
    limit = "fit the cache" if replica.requests == held else "are what the scheduler runs"
    yield f"The batch of {asked:,} requests runs in {waves:,} waves: {replica.requests:,} at once {limit}."


def _drafting_notes(precision: Precision, share: Share, running: Running, draft: Precision | None) -> Iterator[str]:
    for role, size in share.stage.bytes_by_role:
        if role in (drafting.DRAFT_MODEL, drafting.EAGLE_HEAD, Role.MTP.value):
            yield f"Drafting ({role}) takes {_gib(size)} of weights on these GPUs and a cache of its own."
    if draft is None:
        return
    if not draft.spec.groups:
        yield f"The layers of {draft.spec.id} are not described: its weights are counted, its cache is unknown."
    ours, theirs = precision.spec.vocab_size, draft.spec.vocab_size
    if ours != theirs and running.engine is Engine.VLLM:
        yield f"vLLM refuses a draft of another vocabulary: {draft.spec.id} has {theirs:,} entries, the model {ours:,}."


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
    estimate: MemoryEstimate, precision: Precision, running: Running, replica: Replica, share: Share
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
    seqs, vocab = running.sampled_seqs, precision.spec.vocab_size
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
            label="Requests held at the longest context",
            value=estimate.longest_concurrency,
            unit="request",
            formula="the same of requests as long as the longest context asked for; without one they are alike",
            source="solved for; where the machine or its copies are open, a plan is sized for these",
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
