"""Every way to serve a model: its precisions, and each laid over an accelerator, with its memory and its server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.planning.budget import checkpoint
from app.planning.drafting import Drafting, draftings_for
from app.planning.engine_support import Reasons
from app.planning.loads import searches_replicas, settings_of, workload_of
from app.planning.logged import case_of, narrowed
from app.planning.market import Chip, placements
from app.planning.plan import Machine
from app.planning.question import Question
from app.scenario import Scenario
from estimators.architecture.spec import ModelSpec
from estimators.engines.support import precision_in
from estimators.latency.plan import ReplicaPlan, resolve
from estimators.latency.sharding import Shard, cache_form
from estimators.measuring.measurement import Measurement
from estimators.measuring.narrowing import same_bench
from estimators.memory import Held, Sweep, estimate_memory
from estimators.memory.assemble import check as check_request
from estimators.memory.drafting import check as check_drafting
from estimators.memory.engine import start
from estimators.memory.footprint import layout
from estimators.memory.partition import check as check_cut
from estimators.precision import KvPrecision, Precision, Weights
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload

QUESTIONS_KEPT = 32
VARIANTS_KEPT = 512  # whose layouts are remembered: a change of limit, price or region needs none anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A model at a precision: what quality is judged on."""

    model: str
    precision: Precision
    asked_weights: Weights  # as the link would say it
    kv: KvPrecision
    own_kv: KvPrecision  # the cache it has when none is asked for
    draft: Precision | None = None  # of the model that drafts, where the scenario names one
    logs: tuple[Measurement, ...] = ()  # start-up logs that somebody kept, of any server

    @property
    def own_cache(self) -> bool:
        return self.kv is self.own_kv


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """One replica over accelerators of a kind. `replica` None: it does not fit, or `refusal` says why not."""

    placement: Placement
    held: Held | None = None
    least_bytes: float = 0.0  # of the weights on the fullest GPU, where nothing more was worked out
    budget_bytes: float = 0.0
    replica: ReplicaPlan | None = None
    refusal: Refusal | None = None
    skipped: bool = False  # not estimated: it fails the quality bar whatever its speed

    @property
    def refused(self) -> str:
        return self.refusal.message if self.refusal else ""

    @property
    def unsized(self) -> bool:
        """Whether its weights alone were too big, and nothing more was worked out."""
        return self.held is None and self.refusal is None and not self.skipped

    @property
    def max_concurrency(self) -> int:
        return self.held.max_concurrency if self.held else 0

    @property
    def longest_concurrency(self) -> int:
        """Requests that may all grow to the longest context the engine admits: what a plan is sized for."""
        return self.held.longest_concurrency if self.held else 0

    @property
    def starts(self) -> bool:
        """Whether the engine does: it refuses where one request of the longest context it admits would not fit."""
        return self.held is not None and self.held.starts

    @property
    def engine_starts(self) -> bool:
        """Nor does any other of its checks stop it, where those are known."""
        return self.starts and self.held is not None and self.held.engine_starts is not False

    def demand(self, requests: int) -> float:
        return float(self.held.demand(requests)) if self.held else self.least_bytes


class Cell(NamedTuple):
    """One layout of a question, by the places of its variant and chip in it."""

    variant: int
    chip: int
    placement: Placement


@dataclass(frozen=True, slots=True)
class Layout:
    """A variant laid over a chip of the question, by their places in it; with `drafting` it also drafts."""

    variant: int
    chip: int
    laid: Laid
    drafting: Drafting | None = None
    unsupported: tuple[str, ...] = ()  # why the engine does not run the precision or the cache on this accelerator

    @property
    def may_run(self) -> float:
        """Requests in flight up to which it may be used: where it drafts, as many as a gain is published for."""
        return math.inf if self.drafting is None else self.drafting.pays_until


def variants_of(
    question: Question, specs: Mapping[str, ModelSpec], logs: tuple[Measurement, ...] = ()
) -> tuple[tuple[Variant, ...], tuple[str, ...]]:
    """(each model in each precision, each once; notes on what was left out).

    A checkpoint that is quantized already is taken as it is: quantizing it again is not something people publish.
    """
    found: list[Variant] = []
    notes: list[str] = []
    for model, spec in specs.items():
        seen: set[tuple[Weights, KvPrecision]] = set()
        for weights in question.weights:
            checkpoint()
            if spec.quantization is not None and weights is not Weights.AS_PUBLISHED:
                continue
            for kv in question.kv:
                try:
                    precision = precision_in(question.scenario.engine, spec, weights, kv=kv)
                except Refusal as refusal:
                    notes.append(refusal.message)
                    continue
                if (precision.weights, precision.kv) not in seen:
                    seen.add((precision.weights, precision.kv))
                    asked = Weights.AS_PUBLISHED if precision.published else precision.weights
                    own = precision_in(question.scenario.engine, spec, weights).kv
                    found.append(
                        Variant(
                            model=model,
                            precision=precision,
                            asked_weights=asked,
                            kv=precision.kv,
                            own_kv=own,
                            logs=logs,
                        )
                    )
    return tuple(found), tuple(dict.fromkeys(notes))


_LAID: Remembered[dict[tuple[str, int, Placement], Laid]] = Remembered(VARIANTS_KEPT)


@dataclass(frozen=True, slots=True)
class Benches:
    """A variant's layouts, plain and with each way it can draft, under one length of request."""

    plain: Bench
    drafting: Mapping[Drafting, Bench]


def benches_of(question: Question, variants: Sequence[Variant]) -> tuple[Benches, ...]:
    """Where the layouts of each variant are worked out; a way to draft that its layers do not allow is left out.

    Raises `Refusal` for lengths and settings that no engine starts with, whatever the model and machine.
    """
    scenario = question.scenario
    settings, workload = settings_of(scenario), one_request(scenario)
    check_request(workload, settings)
    opened = question.drafting and settings.speculation is None
    made = []
    wider: dict[tuple[str, Weights], Bench] = {}  # the first cache a model and precision is weighed with
    for variant in variants:
        checkpoint()
        key = (variant.model, variant.precision.weights)
        plain = Bench(variant, workload, settings, sibling=wider.get(key), every=question.fixed)
        wider.setdefault(key, plain)
        drafting: dict[Drafting, Bench] = {}
        for how in draftings_for(scenario, variant.model) if opened else ():
            with suppress(Refusal):
                check_drafting(how.speculation, variant.precision.spec)
                drafts = replace(settings, speculation=how.speculation)
                drafting[how] = Bench(variant, workload, drafts, plain)
        made.append(Benches(plain, drafting))
    return tuple(made)


def one_request(scenario: Scenario) -> Workload:
    """The load of a replica as far as its memory and server depend on it: one request of a population whose share the
    weigher finds, the share itself where the copies are given; of a rate or a maximum nothing but the lengths."""
    share = workload_of(scenario, scenario.replicas or 1)
    if share.load in (Load.RATE, Load.MAX) or scenario.engine is Engine.TRANSFORMERS:
        return replace(share, load=Load.MAX, concurrency=None, requests_per_second=None)
    return replace(share, concurrency=1) if searches_replicas(scenario) else share


_LAYOUTS: Remembered[tuple[Layout, ...]] = Remembered(QUESTIONS_KEPT)


def layouts_of(
    question: Question,
    variants: Sequence[Variant],
    chips: Sequence[Chip],
    benches: Sequence[Benches],
    skipped: frozenset[int] = frozenset(),
    only: frozenset[Cell] | None = None,
) -> tuple[Layout, ...]:
    """Every layout that an engine supports, in order of variant, chip and size; those too big carry no replica.

    Layouts of the variants in `skipped` are counted, not estimated; with `only`, no others than these are laid. No
    load, limit or price changes them.
    """
    if only is not None:
        return tuple(_layouts(question, variants, chips, benches, skipped, only))
    s = question.scenario
    owners = (*chips, *(part for v in variants for part in (v.precision, v.draft) if part is not None))
    cut = s.instance, s.gpus, s.pp, s.ep, s.dp
    models = tuple((v.model, v.own_cache, v.draft is None, ids_of(v.logs)) for v in variants)
    key = (one_request(s), settings_of(s), s.kv, cut, models, question.fixed, skipped)
    return _LAYOUTS.of(owners, key, lambda: tuple(_layouts(question, variants, chips, benches, skipped, None)))


def _layouts(
    question: Question,
    variants: Sequence[Variant],
    chips: Sequence[Chip],
    benches: Sequence[Benches],
    skipped: frozenset[int],
    only: frozenset[Cell] | None,
) -> Iterator[Layout]:
    run = Reasons(question.scenario, variants)
    pairs = None if only is None else {(cell.variant, cell.chip) for cell in only}
    for v, variant in enumerate(variants):
        for c, chip in enumerate(chips):
            if (pairs is not None and (v, c) not in pairs) or run(variant, chip.machine.accelerator):
                continue
            checkpoint()
            for placement in placements(question.scenario, chip):
                if only is not None and Cell(v, c, placement) not in only:
                    continue
                laid = (
                    Laid(placement=placement, skipped=True)
                    if v in skipped
                    else benches[v].plain.laid(chip.machine, placement)
                )
                yield Layout(v, c, laid)


class Bench:
    """One precision under one length of request: its layouts, worked out once and remembered between questions.

    One that drafts stands on the `plain` one: the model is cut alike, and prompt look-up takes no memory. A `sibling`
    has the same weights and another cache, so that of its shares only the bytes of the cache differ.
    """

    def __init__(
        self,
        variant: Variant,
        workload: Workload,
        settings: EngineSettings,
        plain: Bench | None = None,
        sibling: Bench | None = None,
        every: bool = False,
    ) -> None:
        precision, draft = variant.precision, variant.draft
        self._variant, self._workload, self._settings = variant, workload, settings
        self._precision, self._draft = precision, draft
        self._every = every  # those that cannot hold the weights are sized in full as well
        self._plain, self._sibling = plain, None if sibling is None or _has_index(precision) else sibling
        owners = (precision,) if draft is None else (precision, draft)
        # whose log it is matters by the model's name, where there are logs
        of = (workload, settings, variant.model if variant.logs else "", ids_of(variant.logs))
        self._known: dict[tuple[str, int, Placement], Laid] = _LAID.of(owners, (*of, False), dict)
        self._sized: dict[tuple[str, int, Placement], Laid] = _LAID.of(owners, (*of, True), dict)
        self._sweep: Sweep | Refusal | None = None
        self._cuts: dict[Placement, Refusal | None] = {}

    def laid(self, machine: Machine, placement: Placement) -> Laid:
        key = (machine.accelerator.name, machine.memory_bytes, placement)
        found = self._known.get(key)
        if found is None:
            checkpoint()
            found = self._known[key] = self._estimate(machine, placement, sized=False)
        if self._every and found.unsized:
            found = self._sized.get(key)
            if found is None:
                found = self._sized[key] = self._estimate(machine, placement, sized=True)
        return found

    def _estimate(self, machine: Machine, placement: Placement, *, sized: bool) -> Laid:
        """Memory and server of one replica. A model whose weights alone exceed the chips is not estimated further:
        the fullest GPU holds at least W / gpus, and an engine may take at most all of its memory."""
        least = self._precision.weights_bytes / placement.gpus
        try:
            self._check_cut(placement)
            if least > machine.memory_bytes and not sized:
                return Laid(placement=placement, least_bytes=least, budget_bytes=self._budget(machine))
            ratio = self._logged_over_estimated(machine, placement)
            held = self._memory().held(machine.accelerator, placement, machine.memory_bytes, fixed_ratio=ratio)
            budget = float(held.memory_budget_bytes_per_gpu)
            if held.max_concurrency < 1:
                return Laid(placement=placement, held=held, budget_bytes=budget)
            replica = resolve(
                self._precision,
                machine.accelerator,
                placement,
                self._workload,
                self._settings,
                held,
                self._shard(machine, placement),
                self._draft,
            )
        except Refusal as refusal:
            return Laid(placement=placement, refusal=refusal.kept())
        return Laid(placement=placement, held=held, budget_bytes=budget, replica=replica)

    def _logged_over_estimated(self, machine: Machine, placement: Placement) -> float:
        """Of everything but the cache, where start-up logs of such servers are kept; 1 where none are."""
        if not self._variant.logs:
            return 1.0
        case = case_of(self._variant.model, self._precision, machine.accelerator, placement, self._settings)
        logs = [made for made in self._variant.logs if same_bench(made, case)]
        if not logs:
            return 1.0
        memory = estimate_memory(
            self._precision,
            machine.accelerator,
            placement,
            self._workload,
            self._settings,
            memory_bytes=machine.memory_bytes,
            draft=self._draft,
        )
        found = narrowed(
            memory,
            logs,
            model=self._variant.model,
            precision=self._precision,
            accelerator=machine.accelerator,
            placement=placement,
            settings=self._settings,
        )
        return found.fixed_bytes_per_gpu / memory.fixed_bytes_per_gpu

    def _check_cut(self, placement: Placement) -> None:
        """Raises the refusal of a cut the engine would refuse, whatever the chip."""
        if placement not in self._cuts:
            try:
                check_cut(self._precision.spec, layout(placement, self._settings.engine))
                self._cuts[placement] = None
            except Refusal as refusal:
                self._cuts[placement] = refusal.kept()
        if (known := self._cuts[placement]) is not None:
            raise known

    def _budget(self, machine: Machine) -> float:
        """What the engine may take of one accelerator's memory: its share, or that of the settings."""
        longest = self._settings.max_model_len or self._workload.tokens_per_request
        running = start(self._settings, machine.accelerator, machine.memory_bytes, longest)
        return float(math.floor(machine.memory_bytes * running.utilization))

    def _shard(self, machine: Machine, placement: Placement) -> Shard | None:
        """What one GPU reads and computes, where another bench has worked it out."""
        known = self._plain or self._sibling
        base = known.laid(machine, placement).replica if known else None
        if base is None or known is None or known is self._plain:
            return base.shard if base else None
        narrower = self._precision.kv_bytes_per_element / known._precision.kv_bytes_per_element
        shard = base.shard
        return replace(
            shard, kv_bytes=shard.kv_bytes * narrower, window_kv_bytes=shard.window_kv_bytes * narrower,
            cache_form=cache_form(shard.has_mla, self._precision.kv_bytes_per_element),
        )  # fmt: skip

    def _memory(self) -> Sweep:
        """The sweep of this precision; raises the `Refusal` it was refused with."""
        how = self._settings.speculation
        if self._plain is not None and how is not None and how.method == "ngram":
            return self._plain._memory()
        if self._sweep is None:
            try:
                self._sweep = Sweep(self._precision, self._workload, self._settings, self._draft)
            except Refusal as refusal:
                self._sweep = refusal.kept()
        if isinstance(self._sweep, Refusal):
            raise self._sweep
        return self._sweep


def ids_of(logs: Sequence[Measurement]) -> tuple[str, ...]:
    return tuple(made.id for made in logs)


def _has_index(precision: Precision) -> bool:
    """A sparse-attention index is read beside the cache, in a type of its own."""
    return any(group.attention is not None and group.attention.indexer_dim for group in precision.spec.groups)
