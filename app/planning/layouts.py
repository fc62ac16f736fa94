"""Every way to lay one replica of a model over an accelerator, its memory and the server it makes. No Streamlit."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from app.planning.loads import settings_of, workload_of
from app.planning.machines import GPU_COUNTS, aws_machines
from app.planning.plan import Machine
from app.planning.question import Question
from app.planning.speculation import Drafting, draftings_for
from estimators.architecture.spec import ModelSpec
from estimators.engines.support import kv_support, support
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import find_accelerator
from estimators.latency.plan import ReplicaPlan, resolve
from estimators.latency.sharding import Shard
from estimators.memory import Sweep
from estimators.memory.assemble import check as check_request
from estimators.memory.drafting import check as check_drafting
from estimators.memory.engine import start
from estimators.precision import KV_BYTES, KvPrecision, Precision, Weights, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import EngineSettings, Load, Placement, Workload

V = TypeVar("V")
VARIANTS_KEPT = 1024  # whose layouts are remembered: a change of limit, price or region needs none anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """An accelerator one may use, and the machines that carry it: EC2 types, or what one owns (`owned_count`)."""

    machine: Machine  # any of them: accelerator and software-visible memory are the same
    carriers: tuple[Machine, ...]
    owned_count: int | None = None
    usd_per_gpu_hour: float = 0.0

    @property
    def most_gpus(self) -> int:
        if self.owned_count is not None:
            return self.owned_count
        return max(m.instance.accelerator_count for m in self.carriers if m.instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model at a precision: what quality is judged on."""

    model: str
    precision: Precision
    asked_weights: Weights  # as the link would say it
    kv: KvPrecision
    own_kv: KvPrecision  # the cache it has when none is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """One replica over `tp` accelerators of a kind. `replica` None: `refused` says why it has no speed."""

    tp: int
    max_concurrency: int = 0
    memory_bytes: float = 0.0  # demand of one request, per GPU
    budget_bytes: float = 0.0
    replica: ReplicaPlan | None = None
    refused: str = ""
    skipped: bool = False  # not estimated: it fails the quality bar whatever its speed


@dataclass(frozen=True, slots=True)
class Layout:
    """A variant laid over a chip of the question, by their places in it; with `drafting` it also drafts."""

    variant: int
    chip: int
    laid: Laid
    drafting: Drafting | None = None

    @property
    def most_running(self) -> float:
        """Requests in flight that it holds, and where it drafts, that drafting is published to pay at."""
        held = float(self.laid.max_concurrency)
        return held if self.drafting is None else min(held, self.drafting.pays_until)


def chips_of(question: Question) -> tuple[Chip, ...]:
    """The accelerators the question allows: whole ones on AWS whose speed is published, by vendor, or those owned."""
    if question.owned:
        return tuple(_owned(owned.gpu, owned.count, float(owned.usd_per_gpu_hour)) for owned in question.owned)
    by_chip: dict[tuple[str, int], list[Machine]] = {}
    for machine in aws_machines():
        chip = machine.accelerator
        timed = chip.bandwidth_bytes_per_s is not None and chip.flops_16bit is not None
        if chip.vendor in question.vendors and machine.partition == 1 and timed:
            by_chip.setdefault((machine.accelerator.name, machine.memory_bytes), []).append(machine)
    return tuple(Chip(machine=carriers[0], carriers=tuple(carriers)) for carriers in by_chip.values())


def _owned(gpu: str, count: int, usd_per_gpu_hour: float) -> Chip:
    accelerator = find_accelerator(gpu)
    machine = Machine(accelerator=accelerator, instance=None, memory_bytes=accelerator.memory_bytes)
    return Chip(machine=machine, carriers=(machine,), owned_count=count, usd_per_gpu_hour=usd_per_gpu_hour)


def variants_of(question: Question, specs: dict[str, ModelSpec]) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """(each model in each precision, each once; notes on what was left out).

    A checkpoint that is quantized already is taken as it is: quantizing it again is not something people publish.
    """
    found: list[Variant] = []
    notes: list[str] = []
    for model, spec in specs.items():
        seen: set[tuple[Weights, KvPrecision]] = set()
        for weights in question.weights:
            if spec.quantization is not None and weights is not Weights.AS_PUBLISHED:
                continue
            for kv in question.kv:
                try:
                    precision = precision_of(spec, weights, kv)
                except Refusal as refusal:
                    notes.append(refusal.message)
                    continue
                if (precision.weights, precision.kv) not in seen:
                    seen.add((precision.weights, precision.kv))
                    asked = Weights.AS_PUBLISHED if precision.published else precision.weights
                    own = precision_of(spec, weights, KvPrecision.AUTO).kv
                    found.append(
                        Variant(model=model, precision=precision, asked_weights=asked, kv=precision.kv, own_kv=own)
                    )
    return tuple(found), tuple(dict.fromkeys(notes))


class _Kept(Generic[V]):
    """A bounded memory, oldest out first. A key may hold an id(): `of` tells whether it is still of that object."""

    def __init__(self, most: int) -> None:
        self._items: OrderedDict[object, tuple[object, V]] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def get(self, key: object, of: object) -> V | None:
        kept = self._items.get(key)
        return kept[1] if kept is not None and kept[0] is of else None

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def put(self, key: object, of: object, value: V) -> V:
        with self._lock:
            self._items[key] = (of, value)
            while len(self._items) > self._most:
                self._items.popitem(last=False)
        return value


_PRECISIONS: _Kept[Precision] = _Kept(4096)
_LAID: _Kept[dict[tuple[str, int, int], Laid]] = _Kept(VARIANTS_KEPT)


def forget_layouts() -> None:
    """Forget every estimate, to time a first question."""
    _LAID.clear()


def precision_of(spec: ModelSpec, weights: Weights, kv: KvPrecision) -> Precision:
    """`resolve_precision`, remembered by the identity of the spec so that what hangs on a precision is too.

    Precisions that differ in the cache alone share what is worked out of their weights' formats.
    """
    key = (id(spec), weights, kv)
    known = _PRECISIONS.get(key, spec)
    if known is not None:
        return known
    if kv is KvPrecision.AUTO:
        return _PRECISIONS.put(key, spec, resolve_precision(spec, weights, kv=kv))
    own = precision_of(spec, weights, KvPrecision.AUTO)
    made = own if own.kv is kv else replace(own, kv=kv, kv_bytes_per_element=KV_BYTES[kv])
    return _PRECISIONS.put(key, spec, made)


@dataclass(frozen=True, slots=True)
class Benches:
    """A variant's layouts, plain and with each way it can draft, under one length of request."""

    plain: Bench
    drafting: Mapping[Drafting, Bench]


def benches_of(question: Question, variants: tuple[Variant, ...]) -> tuple[Benches, ...]:
    """Where the layouts of each variant are worked out; a way to draft that its layers do not allow is left out.

    Raises `Refusal` for lengths and settings that no engine starts with, whatever the model and machine.
    """
    settings = replace(settings_of(question.scenario), speculation=None)
    workload = replace(
        workload_of(question.scenario, 1), load=Load.CONCURRENCY, concurrency=1, requests_per_second=None
    )
    check_request(workload, settings)
    made = []
    wider: dict[tuple[str, Weights], Bench] = {}  # the first cache a model and precision is weighed with
    for variant in variants:
        key = (variant.model, variant.precision.weights)
        plain = Bench(variant.precision, workload, settings, sibling=wider.get(key))
        wider.setdefault(key, plain)
        drafting: dict[Drafting, Bench] = {}
        for how in draftings_for(question.scenario, variant.model):
            with suppress(Refusal):
                check_drafting(how.speculation, variant.precision.spec)
                drafts = replace(settings, speculation=how.speculation)
                drafting[how] = Bench(variant.precision, workload, drafts, plain)
        made.append(Benches(plain, drafting))
    return tuple(made)


def layouts_of(
    question: Question,
    variants: tuple[Variant, ...],
    chips: tuple[Chip, ...],
    benches: tuple[Benches, ...],
    skipped: frozenset[int] = frozenset(),
) -> Iterator[Layout]:
    """Every layout that an engine supports, in order of variant, chip and size; those too big carry no replica.

    Layouts of the variants in `skipped` are counted, not estimated. FP16 is left out where the chip has BF16 units and
    the model is weighed in BF16 too: same bytes, same speed, same price.
    """
    in_bf16 = {variant.model for variant in variants if variant.precision.weights is Weights.BF16}
    settings = settings_of(question.scenario)
    for v, variant in enumerate(variants):
        for c, chip in enumerate(chips):
            if not _runs(variant, chip.machine.accelerator, settings, in_bf16):
                continue
            for tp in GPU_COUNTS:
                if tp <= chip.most_gpus:
                    plain = benches[v].plain
                    yield Layout(v, c, Laid(tp=tp, skipped=True) if v in skipped else plain.laid(chip.machine, tp))


def drafted_layout(plain: Layout, drafting: Drafting, chips: tuple[Chip, ...], benches: tuple[Benches, ...]) -> Layout:
    """The layout once more, drafting."""
    bench = benches[plain.variant].drafting[drafting]
    return Layout(plain.variant, plain.chip, bench.laid(chips[plain.chip].machine, plain.laid.tp), drafting)


def _runs(variant: Variant, accelerator: Accelerator, settings: EngineSettings, in_bf16: set[str]) -> bool:
    precision, engine, version = variant.precision, settings.engine, settings.version
    if precision.weights is Weights.FP16 and accelerator.bf16 and variant.model in in_bf16:
        return False
    runs = support(accelerator, precision.weights, engine, version).runs
    return runs and kv_support(accelerator, precision.kv, engine, version).runs


class Bench:
    """One precision under one length of request: its layouts, worked out once and remembered between questions.

    One that drafts stands on the `plain` one: the model is cut alike, and prompt look-up takes no memory. A `sibling`
    has the same weights and another cache, so that of its shares only the bytes of the cache differ.
    """

    def __init__(
        self,
        precision: Precision,
        workload: Workload,
        settings: EngineSettings,
        plain: Bench | None = None,
        sibling: Bench | None = None,
    ) -> None:
        self._precision, self._workload, self._settings = precision, workload, settings
        self._plain, self._sibling = plain, None if _has_index(precision) else sibling
        key = (id(precision), workload, settings)
        known = _LAID.get(key, precision)
        self._known = _LAID.put(key, precision, {}) if known is None else known
        self._undivided = {tp: _heads_that_do_not_divide(precision, tp) for tp in GPU_COUNTS}
        self._sweep: Sweep | Refusal | None = None

    def laid(self, machine: Machine, tp: int) -> Laid:
        key = (machine.accelerator.name, machine.memory_bytes, tp)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._estimate(machine, tp)
        return found

    def _estimate(self, machine: Machine, tp: int) -> Laid:
        """Memory and server of one replica. A model whose weights alone exceed the chips is not estimated further:
        the fullest GPU holds at least W / tp, and an engine may take at most all of its memory."""
        if heads := self._undivided[tp]:
            return Laid(tp=tp, refused=f"{heads} attention heads do not divide over {tp}")
        least = self._precision.weights_bytes / tp
        if least > machine.memory_bytes:
            return Laid(tp=tp, memory_bytes=least, budget_bytes=self._budget(machine))
        placement = Placement(tp=tp)
        try:
            held = self._memory().held(machine.accelerator, placement, machine.memory_bytes)
            need, have = held.memory_bytes_per_gpu, held.memory_budget_bytes_per_gpu
            if held.max_concurrency < 1:
                return Laid(tp=tp, memory_bytes=need, budget_bytes=have)
            replica = resolve(
                self._precision,
                machine.accelerator,
                placement,
                self._workload,
                self._settings,
                held,
                self._shard(machine, tp),
            )
        except Refusal as refusal:
            return Laid(tp=tp, refused=refusal.message)
        return Laid(
            tp=tp, max_concurrency=held.max_concurrency, memory_bytes=need, budget_bytes=have, replica=replica
        )  # fmt: skip

    def _budget(self, machine: Machine) -> float:
        """What the engine may take of one accelerator's memory: its share, or that of the settings."""
        longest = self._settings.max_model_len or self._workload.tokens_per_request
        running = start(self._settings, machine.accelerator, machine.memory_bytes, longest)
        return float(math.floor(machine.memory_bytes * running.utilization))

    def _shard(self, machine: Machine, tp: int) -> Shard | None:
        """What one GPU reads and computes, where another bench has worked it out."""
        known = self._plain or self._sibling
        base = known.laid(machine, tp).replica if known else None
        if base is None or known is None or known is self._plain:
            return base.shard if base else None
        narrower = self._precision.kv_bytes_per_element / known._precision.kv_bytes_per_element
        shard = base.shard
        return replace(
            shard, kv_bytes=shard.kv_bytes * narrower, window_kv_bytes=shard.window_kv_bytes * narrower
        )  # fmt: skip

    def _memory(self) -> Sweep:
        """The sweep of this precision; raises the `Refusal` it was refused with."""
        how = self._settings.speculation
        if self._plain is not None and how is not None and how.method == "ngram":
            return self._plain._memory()
        if self._sweep is None:
            try:
                self._sweep = Sweep(self._precision, self._workload, self._settings)
            except Refusal as refusal:
                self._sweep = refusal
        if isinstance(self._sweep, Refusal):
            raise self._sweep
        return self._sweep


def _has_index(precision: Precision) -> bool:
    """A sparse-attention index is read beside the cache, in a type of its own."""
    return any(group.attention is not None and group.attention.indexer_dim for group in precision.spec.groups)


def _heads_that_do_not_divide(precision: Precision, tp: int) -> int:
    groups = (group.attention for group in precision.spec.groups if group.stack == "decoder")
    return next((attention.q_heads for attention in groups if attention and attention.q_heads % tp), 0)
