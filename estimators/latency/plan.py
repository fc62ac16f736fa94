"""From what is asked to a server that can be timed: shard, rates, scheduler and request of one replica."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.architecture.spec import ModelSpec
from estimators.engines.defaults import Schedule, schedule
from estimators.engines.paths import Path
from estimators.hardware.accelerator import Accelerator
from estimators.latency.calibration import Context, case_context, case_rates
from estimators.latency.numeric import FLOATS
from estimators.latency.serving import Request, Scheduler, Server
from estimators.latency.sharding import Shard, shard_of
from estimators.latency.speculative import Draft, draft_for
from estimators.latency.step import Rates
from estimators.memory.estimate import HeldMemory
from estimators.precision import Precision, Weights
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaPlan:
    """Everything a step time depends on, resolved."""

    shard: Shard
    context: Context
    steps: Schedule  # how the engine, as started, fills its steps
    scheduler: Scheduler
    request: Request
    server: Server
    draft: Draft | None
    notes: tuple[str, ...]


# Where the default budget leaves next to nothing, people raise it: in 27 of 1,911 measured rows of a stated concurrency
# it holds not one request, yet they ran. Servers of vllm_logs.csv state up to 0.97 to 0.99 of the memory, 0.05 to 0.07
# above the default of their version; the CUDA context (1.8 GB on several GPUs, engine_fits.csv) takes the rest.
_HIGHEST_BUDGET = 0.97  # share of the memory
_RAISE = 0.06  # share of the memory, beyond the default budget

_CALIBRATED: Remembered[tuple[Context, Rates]] = Remembered(4096)


def calibrated(
    accelerator: Accelerator, shard: Shard, steps: Schedule, tp: int, offline: bool
) -> tuple[Context, Rates]:
    """What of a shard its rates depend on, and the rates; many shards of an accelerator share them."""

    def look_up() -> tuple[Context, Rates]:
        context = case_context(accelerator, shard, steps.engine, steps.era, tp, offline)
        return context, case_rates(context)

    flags = shard.has_state, shard.has_indexer, shard.has_experts, shard.layout, shard.cache_form, offline
    paths = shard.linear.path, shard.wide.path, shard.expert.path, shard.head.path
    return _CALIBRATED.of((accelerator,), (steps.engine, steps.era, tp, flags, paths), look_up)


def in_process(engine: str, workload: Workload) -> bool:
    """Whether what is asked runs without a server in front of the engine: batches, and generate() always."""
    return workload.load is Load.BATCH or engine == Engine.TRANSFORMERS


def schedule_of(
    engine: str, settings: EngineSettings, accelerator: Accelerator, workload: Workload, mla: bool
) -> Schedule:
    """How `engine` fills its steps here: AWS chips run Neuron builds whatever the engine is called."""
    longest = settings.max_model_len or workload.tokens_per_request
    name = "neuron" if accelerator.vendor == "AWS" else engine
    return schedule(name, settings, accelerator, accelerator.memory_bytes, longest, mla=mla)


def check(precision: Precision, placement: Placement, workload: Workload) -> tuple[str, ...]:
    """Refuse what has no latency; say what stretches the model."""
    spec = precision.spec
    if workload.prompt_tokens < 1:
        raise Refusal("A request needs at least one prompt token.", field="prompt", remedy="Give 1 or more.")
    if workload.output_tokens < 1:
        raise Refusal("A request needs at least one output token.", field="output", remedy="Give 1 or more.")
    if workload.load in (Load.CONCURRENCY, Load.BATCH) and not (workload.concurrency or 0) > 0:
        raise Refusal("The number of requests in flight must be above zero.", field="concurrency")
    if workload.load is Load.RATE and not (workload.requests_per_second or 0) > 0:
        raise Refusal("The arrival rate must be above zero.", field="rate")
    if placement.tp < 1 or placement.pp < 1:
        raise Refusal("At least one GPU is needed.", field="gpus")
    return tuple(note for note in (_context_note(spec, workload), _heads_note(spec, placement)) if note)


def _context_note(spec: ModelSpec, workload: Workload) -> str:
    asked = workload.tokens_per_request
    if spec.max_positions is None or asked <= spec.max_positions:
        return ""
    return (
        f"{asked} tokens a request are more than the {spec.max_positions} the model's config allows: "
        "it runs only with an extended rotary embedding, if at all."
    )


def _heads_note(spec: ModelSpec, placement: Placement) -> str:
    tp = placement.tp
    if tp == 1:
        return ""
    heads = [g.attention.q_heads for g in spec.groups if g.attention is not None and g.stack == "decoder"]
    if heads and any(h % tp for h in heads):
        return f"{heads[0]} attention heads do not divide over {tp} GPUs: engines refuse this split."
    return ""


def _path_notes(precision: Precision, accelerator: Accelerator, shard: Shard) -> tuple[str, ...]:
    """Say so when a precision meant to be computed in only saves bytes here."""
    path = shard.expert.path if shard.has_experts else shard.linear.path
    native = precision.weights in (Weights.FP8, Weights.INT8, Weights.NVFP4)
    if not native or path not in (Path.W8A16, Path.W4A16):
        return ()
    name = precision.weights.value.upper()
    return (f"{accelerator.name} does not multiply in {name}: weights are stored so and computed in 16 bits.",)


def resolve(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    memory: HeldMemory,
    shard: Shard | None = None,
    draft_model: Precision | None = None,
) -> ReplicaPlan:
    """The replica's parts. `shard`, where it is at hand already, saves building it.

    `draft_model` is the model that drafts, where one does; a model of the catalogue need not be given.
    """
    notes = list(check(precision, placement, workload))
    shard = shard or shard_of(precision, accelerator, placement)
    steps = schedule_of(settings.engine, settings, accelerator, workload, shard.has_mla)
    context, rates = calibrated(accelerator, shard, steps, placement.tp, in_process(settings.engine, workload))
    capacity = running_capacity(memory, workload, accelerator.memory_bytes)
    if capacity < 1.0:
        notes.append("The KV cache does not hold one request of this length: times are as if it did.")
    running = max(1.0, min(capacity, float(steps.max_seqs)))
    if settings.engine is Engine.TRANSFORMERS and workload.concurrency is not None:
        running = max(1.0, workload.concurrency)
    scheduler = Scheduler(
        chunk=float(steps.batched_tokens),
        mixes=1.0 if steps.mixes else 0.0,
        running=running,
        graph_context=float(steps.graph_context),
    )
    computed = max(1.0, workload.prompt_tokens * (1.0 - workload.prefix_share))
    request = Request(prompt=computed, cached=workload.prompt_tokens - computed, output=float(workload.output_tokens))
    draft = None
    if settings.speculation is not None:
        draft = draft_for(settings.speculation, precision, accelerator, placement, shard, rates, draft_model)
        request = draft.request(request)
        notes.extend(draft.notes)
    notes.extend(_path_notes(precision, accelerator, shard))
    if placement.tp > 8:
        notes.append("More than 8 GPUs of tensor parallelism leave one machine: collectives cross its network.")
    server = Server(shard, rates, scheduler, request, FLOATS)
    return ReplicaPlan(
        shard=shard, context=context, steps=steps, scheduler=scheduler, request=request, server=server, draft=draft,
        notes=tuple(notes),
    )  # fmt: skip


def running_capacity(memory: HeldMemory, workload: Workload, memory_bytes: int) -> float:
    """Requests the cache holds while they grow: those of full length x (P + O) / (P + O/2).

    A paged cache is filled by what requests have produced so far, half their output on average; a static batch
    ends with all of it. Where weights leave the default budget next to nothing, whoever runs the model raises the
    share of memory the engine may take: up to `_RAISE` of the memory is then counted on beyond it.
    """
    full = float(memory.max_concurrency)
    per_request = memory.kv_bytes_per_token_per_gpu * workload.tokens_per_request
    if per_request > 0.0:
        used = memory.weights_bytes_per_gpu + memory.activation_bytes_per_gpu + memory.overhead_bytes_per_gpu
        spare = min(_HIGHEST_BUDGET * memory_bytes - used, _RAISE * memory_bytes)
        full = max(full, spare / per_request)
    if full < 1.0 or workload.load is Load.BATCH:
        return full
    return full * workload.tokens_per_request / (workload.prompt_tokens + 0.5 * workload.output_tokens)
