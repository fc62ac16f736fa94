"""The `vllm serve` line that realises an estimate, ready to copy; or the sentence that says why there is none."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from estimators.engines.versions import Version
from estimators.hardware.accelerator import Accelerator
from estimators.launch import neuron
from estimators.launch.arguments import Arguments, Listed, arguments_of, releases
from estimators.launch.checkpoint import Repository, served
from estimators.launch.heads import head_for
from estimators.memory import MemoryEstimate, estimate_memory
from estimators.memory.engine import Running, held_at_once, start
from estimators.memory.footprint import has_mla
from estimators.precision import KvPrecision, Precision
from estimators.provenance import Refusal
from estimators.quality.recipes import RecipeScript
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload

# What a prompt is longer by than people count (chat template, tool schemas, the odd long question): an eighth, and no
# less than 256 tokens. Our own judgement; the sentence beside the command states the figure.
HEADROOM_SHARE, LEAST_HEADROOM = 8, 256
_PAGE = 16  # tokens of a page of cache: lengths are rounded up to whole ones
_NAME = re.compile(r"(\./)?[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_VALUES = {f"--{kind}": kind for kind in Listed if kind not in (Listed.FLAG, Listed.ARCHITECTURE)}
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # vllm/config/lora.py of 0.11.0, 0.21.0 and 0.33.0
MARKOV = "markov_head."  # of the prediction layers of a checkpoint that drafts by DSpark
_DRAFT_MODELS_FROM = Version(0, 21)  # vLLM 0.11.0 lists the method and stops with NotImplementedError
_CACHE_TYPES = {KvPrecision.FP8: "fp8", KvPrecision.BF16: "bfloat16", KvPrecision.FP16: "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How one replica is started. `command` is empty where it cannot be, and then `why` says so."""

    command: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()
    recipe: RecipeScript | None = None  # makes the checkpoint that the command serves
    published: bool = True  # nobody is known to have published a checkpoint of this precision where it is false
    max_model_len: int = 0
    memory: MemoryEstimate | None = None  # as started by the command: what its log will show


@dataclass(frozen=True, slots=True, kw_only=True)
class _Launching:
    """What is to be started."""

    precision: Precision
    accelerator: Accelerator
    placement: Placement
    workload: Workload
    settings: EngineSettings
    memory_bytes: int | None
    draft: Precision | None
    machines: int  # that one replica spans

    def memory(self, **changed: object) -> MemoryEstimate:
        """The estimate with fields of the settings changed."""
        return estimate_memory(
            self.precision,
            self.accelerator,
            self.placement,
            self.workload,
            replace(self.settings, **changed),  # type: ignore[arg-type]
            memory_bytes=self.memory_bytes,
            draft=self.draft,
        )


def launch(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    workload: Workload,
    settings: EngineSettings,
    *,
    memory_bytes: int | None = None,
    draft: Precision | None = None,
    gpus_a_machine: int | None = None,
    found: str | None = None,
) -> Launch:
    """`vllm serve` of one replica with every value of the plan written out.

    Every argument is one that this version is known to take, and every repository one that is known to be published or
    that the script beside the command writes; otherwise there is no command. `gpus_a_machine` is left out where one
    machine holds the replica, `found` is a checkpoint of this precision that the Hub was seen to hold.
    """
    case = _Launching(
        precision=precision, accelerator=accelerator, placement=placement, workload=workload, settings=settings,
        memory_bytes=memory_bytes, draft=draft, machines=math.ceil(placement.gpus / (gpus_a_machine or placement.gpus)),
    )  # fmt: skip
    try:
        return _launch(case, found)
    except Refusal as refusal:
        return Launch(why=str(refusal))


def _launch(case: _Launching, found: str | None) -> Launch:
    known = _known(case)
    longest, memory = _longest(case)
    _check_it_starts(case, memory)
    room = (case.memory_bytes or case.accelerator.memory_bytes) * case.placement.gpus
    checkpoint = served(case.precision, case.accelerator, known, room, found)
    words = ["vllm", "serve", checkpoint.model]
    if checkpoint.revision:
        words += ["--revision", checkpoint.revision]
    on_neuron = case.accelerator.vendor == "AWS"
    words += _on_neuron(case, longest, memory) if on_neuron else _on_gpu(case, longest, memory)
    words += [*checkpoint.words, *_cache(case.precision), *_adapters(case.settings)]
    drafting = _drafting(case, checkpoint, known)
    if drafting:
        words += ["--speculative-config", json.dumps(drafting)]
    _check_words(words, [checkpoint.model, str(drafting.get("model", checkpoint.model))], known)
    notes = (*_notes(case, checkpoint, longest, known), *_drafting_notes(case, checkpoint))
    return Launch(
        command=shlex.join(words),
        notes=notes,
        recipe=checkpoint.recipe,
        published=checkpoint.published,
        max_model_len=longest,
        memory=memory,
    )


def _known(case: _Launching) -> Arguments:
    """What this version can be asked for; refuses what is not served by it at all."""
    spec, settings = case.precision.spec, case.settings
    if settings.engine is not Engine.VLLM:
        raise Refusal(
            f"Commands are written for vLLM; this plan is for {settings.engine.value}.",
            field="engine",
            remedy="Use engine=vllm.",
        )
    if spec.approximate:
        raise Refusal(
            "A parameter count names no model to start.", field="model", remedy="Name a model of the Hub instead."
        )
    on_neuron = case.accelerator.vendor == "AWS"
    version = settings.version or (neuron.VLLM if on_neuron else None)
    known = arguments_of(version)
    if known is None:
        raise Refusal(
            f"The arguments of vLLM {version} are not known here, only those from {releases()[0]} on.",
            field="engine_version",
            remedy=f"Use {releases()[0]} or newer.",
        )
    if on_neuron and neuron.cores(case.accelerator.name) is None:
        raise Refusal(f"vLLM's Neuron plug-in does not serve on {case.accelerator.name}.", field="gpu")
    if on_neuron and not neuron.compiles(spec.architecture):
        raise Refusal(
            f"vLLM's Neuron plug-in is not known to compile {spec.architecture}, the class of {spec.id}.",
            field="model",
            remedy="Choose another model or machine.",
        )
    if not known.has(Listed.ARCHITECTURE, spec.architecture):
        raise Refusal(
            f"vLLM {known.version} is not known to have a model for {spec.architecture}, the class of {spec.id}.",
            field="model",
            remedy="Choose another model, version or engine.",
        )
    return known


def _longest(case: _Launching) -> tuple[int, MemoryEstimate]:
    """(the longest context to set up for, memory under it).

    What was asked for; else prompt + output and headroom, as far as the model's context and one request's room go.
    1,024 + 128 tokens come to 1,152 + 256 = 1,408.
    """
    asked, tokens = case.settings.max_model_len, case.workload.tokens_per_request
    limit = case.precision.spec.max_positions
    if limit is not None and (asked or tokens) > limit:
        raise Refusal(
            f"{asked or tokens:,} tokens are more than the {limit:,} the config of {case.precision.spec.id} allows, "
            "and vLLM refuses to start so.",
            field="max_len" if asked else "prompt",
            remedy=f"Ask for {limit:,} tokens or fewer, or choose a model with a longer context.",
        )
    plain = case.memory()
    if asked is not None:
        return asked, plain
    wanted = tokens + max(LEAST_HEADROOM, tokens // HEADROOM_SHARE)
    wanted = min(math.ceil(wanted / _PAGE) * _PAGE, limit or wanted + _PAGE)
    spacious = case.memory(max_model_len=wanted)
    return (wanted, spacious) if spacious.fits and not _stopped(spacious) else (tokens, plain)


def _stopped(memory: MemoryEstimate) -> bool:
    """The engine does not start, and no fewer requests at once would change that."""
    return memory.engine_starts is False and memory.starts_with_seqs is None


def _check_it_starts(case: _Launching, memory: MemoryEstimate) -> None:
    if not memory.fits:
        need, have = memory.memory_bytes_per_gpu / 2**30, memory.memory_budget_bytes_per_gpu / 2**30
        raise Refusal(
            f"This load does not fit {case.accelerator.name}: it needs {need:.1f} GiB per GPU, and the longest context "
            f"must fit beside the weights in {have:.1f} GiB.",
            field="gpu",
            remedy="Use a larger machine, more GPUs or a smaller load.",
        )
    if _stopped(memory):
        raise Refusal(f"vLLM does not start with these settings: {memory.engine_starts_reason}", field="max_len")


def _running(case: _Launching, longest: int) -> Running:
    return start(
        case.settings,
        case.accelerator,
        case.memory_bytes or case.accelerator.memory_bytes,
        longest,
        mla=has_mla(case.precision),
        requests=held_at_once(case.workload, case.placement.dp),
    )


def _on_gpu(case: _Launching, longest: int, memory: MemoryEstimate) -> list[str]:
    """Placement and scheduler, with no more requests at once than it starts with."""
    running, placement = _running(case, longest), case.placement
    words = ["--tensor-parallel-size", str(placement.tp)]
    if case.machines > 1 and placement.dp > 1:
        raise Refusal(
            "Data-parallel ranks on several machines are started one by one, which one command cannot say.",
            field="dp",
            remedy="Use a machine that holds the replica, or tensor and pipeline parallelism.",
        )
    if case.machines > 1:
        words += ["--distributed-executor-backend", "ray"]
    if placement.pp > 1:
        words += ["--pipeline-parallel-size", str(placement.pp)]
    if placement.dp > 1:
        words += ["--data-parallel-size", str(placement.dp)]
    if placement.ep > 1:
        words.append("--enable-expert-parallel")
    words += ["--max-model-len", str(longest), "--gpu-memory-utilization", f"{running.utilization:g}"]
    words += ["--max-num-batched-tokens", str(running.batched_tokens)]
    words += ["--max-num-seqs", str(memory.starts_with_seqs or running.max_seqs)]
    return [*words, "--enforce-eager"] if case.settings.eager else words


def _on_neuron(case: _Launching, longest: int, memory: MemoryEstimate) -> list[str]:
    """Cores instead of chips, and as many blocks as requests: the plug-in reserves the longest context for each.

    Two Inferentia2 are four cores.
    """
    precision, placement, spec = case.precision, case.placement, case.precision.spec
    if precision.kv is KvPrecision.FP8 or not (precision.published or precision.method == "none") or spec.quantization:
        raise Refusal(
            "vLLM's Neuron plug-in takes quantized weights and caches by a configuration of its own, made for each "
            "model: no command is written for them.",
            field="weights",
            remedy="Use the model in 16 bits, or follow the quantization guide of NxD Inference.",
        )
    if placement.pp > 1 or placement.dp > 1 or placement.ep > 1:
        raise Refusal("vLLM's Neuron plug-in is started with tensor parallelism only here.", field="pp")
    if case.settings.speculation is not None or case.settings.lora_adapters:
        raise Refusal("Drafting and adapters are compiled by hand on Neuron: no command is written.", field="spec")
    asked = held_at_once(case.workload)
    whole = estimate_memory(
        precision,
        case.accelerator,
        placement,
        replace(case.workload, prompt_tokens=longest - case.workload.output_tokens, load=Load.CONCURRENCY,
                concurrency=1, requests_per_second=None),
        replace(case.settings, max_model_len=longest),
        memory_bytes=case.memory_bytes,
    ).max_concurrency  # fmt: skip
    requests = max(1, min(math.ceil(asked) if asked else memory.max_concurrency, whole))
    return [
        *("--tensor-parallel-size", str(placement.tp * (neuron.cores(case.accelerator.name) or 1))),
        *("--max-model-len", str(longest), "--max-num-seqs", str(requests)),
        *neuron.arguments(longest, requests, prefix_cached=case.workload.prefix_share > 0),
    ]


def _cache(precision: Precision) -> list[str]:
    """The cache's type where it is not what the engine takes by itself."""
    own = precision.spec.quantization
    states_fp8 = precision.published and own is not None and own.kv_bits == 8
    if precision.kv is not KvPrecision.FP8 and not states_fp8:
        return []
    return ["--kv-cache-dtype", _CACHE_TYPES[precision.kv]] if precision.kv in _CACHE_TYPES else []


def _adapters(settings: EngineSettings) -> list[str]:
    """Adapters, their rank rounded up to one that vLLM takes: 20 is 32."""
    if not settings.lora_adapters:
        return []
    rank = next((rank for rank in _RANKS if rank >= settings.lora_rank), None)
    if rank is None:
        raise Refusal(f"vLLM takes adapters of ranks of up to {_RANKS[-1]}.", field="lora", remedy="Lower the rank.")
    return ["--enable-lora", "--max-loras", str(settings.lora_adapters), "--max-lora-rank", str(rank)]


def _drafting(case: _Launching, checkpoint: Repository, known: Arguments) -> dict[str, object]:
    """The JSON of `--speculative-config`; refuses a head that nobody is known to have published."""
    how = case.settings.speculation
    if how is None:
        return {}
    own = any(t.name.startswith(MARKOV) for group in case.precision.spec.groups for t in group.tensors)
    made: dict[str, object] = {"method": "dspark" if how.method == "mtp" and own else how.method}
    if how.method == "draft":
        if known.version < _DRAFT_MODELS_FROM:
            raise Refusal(
                f"Draft models are known to run in vLLM from {_DRAFT_MODELS_FROM} on, not in {known.version}.",
                field="spec",
                remedy="Use ngram, eagle or mtp, or a newer version.",
            )
        made = {"method": "draft_model", "model": how.draft_model}
    elif how.method == "eagle":
        head = head_for(checkpoint.base, "eagle")
        if head is None:
            raise Refusal(
                f"No EAGLE head of {checkpoint.base} is known to be published: one would have to be trained first.",
                field="spec",
                remedy="Use ngram or a draft model.",
            )
        made = {"method": head.method, "model": head.id}
    if not known.has(Listed.DRAFTING, str(made["method"])):
        raise Refusal(f"vLLM {known.version} has no drafting method {made['method']}.", field="spec")
    return made | {"num_speculative_tokens": how.tokens}


def _check_words(words: list[str], names: Sequence[str], known: Arguments) -> None:
    """Refuse whatever this version is not known to take, and a name that is none."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise Refusal(f"{name[:80]!r} is not the name of a repository.", field="model")
    unknown = [word for word in words if word.startswith("--") and not known.has(Listed.FLAG, word)]
    if unknown:
        raise Refusal(f"vLLM {known.version} has no {', '.join(unknown)}.", field="engine_version")
    for flag, told in pairwise(words):
        kind = _VALUES.get(flag)
        if kind is not None and not known.has(kind, told):
            raise Refusal(f"vLLM {known.version} has no {flag} {told}.", field="engine_version")


def _notes(case: _Launching, checkpoint: Repository, longest: int, known: Arguments) -> Iterator[str]:
    """What the command stands on, in sentences."""
    tokens, asked = case.workload.tokens_per_request, case.settings.max_model_len
    if checkpoint.said:
        yield f"Checkpoint: {checkpoint.said}"
    if asked is not None:
        yield f"--max-model-len is the longest context asked for; a request here has {tokens:,} tokens."
    elif longest > tokens:
        yield f"--max-model-len leaves {longest - tokens:,} tokens above the {tokens:,} of prompt and output."
    else:
        yield f"--max-model-len is prompt and output exactly, {tokens:,} tokens: there is no room for more."
    if case.machines > 1:
        yield (
            f"One replica spans {case.machines} machines: join them in a Ray cluster first, and start the command on "
            "one of them."
        )
    if case.accelerator.vendor == "AWS":
        yield f"For the Neuron plug-in {neuron.PLUGIN} (NxD Inference) on vLLM {neuron.VLLM}, which compiles it first."
    lists = f"lists of vLLM {' and '.join(map(str, known.read))}, between which {known.version} lies"
    yield f"Every argument is in the {f'list of vLLM {known.version}' if known.version in known.read else lists}."


def _drafting_notes(case: _Launching, checkpoint: Repository) -> Iterator[str]:
    how = case.settings.speculation
    head = head_for(checkpoint.base, "eagle") if how is not None and how.method == "eagle" else None
    if head is not None:
        yield f"Drafting head: {head.id} ({head.source}, {head.as_of})."
