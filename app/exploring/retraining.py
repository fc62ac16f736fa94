"""Levers that need training or another model: distillation and pruning with their payback, sparsity, experts, size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from app.exploring.decision_link import unpinned
from app.exploring.drafting_load import overloaded
from app.format import usd
from app.planning.market import book_of
from app.planning.plan import Candidate, Plan
from app.planning.quality_bar import comparable
from app.planning.question import QualityBar, Question
from app.planning.remembered import VersionedSources, remembered_plan, remembered_recommendation
from app.scenario import Scenario
from estimators.architecture import catalogue
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators
from estimators.latency.sharding import Product, Shard
from estimators.latency.step import touched_share
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal, Term
from estimators.quality.compression import (
    CompressionFact,
    TrainingLever,
    compression_facts,
    facts_for,
    one_off_gpu_hours,
    payback_months,
)
from estimators.quality.tasks import Task
from pricing.explorer import cheapest_regions
from pricing.instances import find_instance
from pricing.offers import Offer, PurchaseOption

TRAINING_INSTANCE = "p5.48xlarge"  # what the published recipe with a printed cost ran on

ONE_RECIPE = Decimal(2)  # half to double: our allowance where one published recipe is all there is, not a measurement
AT_EQUAL_QUALITY = 0.99  # of the score


@dataclass(frozen=True, slots=True, kw_only=True)
class Payback:
    """Making a smaller model once against serving it every month."""

    gpu_hours: Term
    usd_per_gpu_hour: Decimal
    trained_in: str  # region
    one_off_usd: Decimal
    one_off_low_usd: Decimal  # equal to one another where the person knows the cost
    one_off_high_usd: Decimal
    own_cost: bool  # typed by the person rather than taken from the recipe
    saving_usd_per_month: Decimal
    months: Decimal | None  # None: it never pays
    months_low: Decimal | None
    months_high: Decimal | None
    student: Plan
    facts: tuple[CompressionFact, ...]  # published on this very model; empty is missing evidence


def payback(
    plan: Plan, student_params: float, sources: VersionedSources, *, one_off_usd: Decimal | None = None
) -> Payback:
    """One-off cost of pruning and distilling to `student_params`, monthly saving, and the months between.

    The cost is GPU time by the one published recipe that prints its own; one point has no spread, so half and double of
    it are shown as its range. `one_off_usd` is the person's own cost and has none. The student is a typical
    architecture of its size in the same precision. Raises `Refusal` where something it needs is missing, and for a
    plan that cannot serve its load, whose cost is no yardstick.
    """
    if overloaded(plan):
        raise Refusal(
            "The plan's machine is overloaded, so its cost is not that of serving this load.",
            field="rate",
            remedy="Leave replicas on auto, or lower the rate.",
        )
    if plan.spec is None or plan.chosen is None or plan.chosen.cost is None or plan.precision is None:
        raise Refusal("The plan has no cost to save on.", field="model")
    if not 0 < student_params < plan.spec.resident_params:
        raise Refusal("A student is smaller than its teacher.", field="student", remedy="Give fewer parameters.")
    machine = find_instance(TRAINING_INSTANCE)
    hours = _training_hours(student_params, float(plan.spec.active_params), accelerators()[machine.accelerator])
    offer = training_offer(plan.asked, sources)
    per_gpu = offer.usd_per_hour / machine.accelerator_count
    one_off = one_off_usd
    if one_off is None:
        one_off = (Decimal(repr(hours.value)) * per_gpu).quantize(Decimal("0.01"))
    spread = ONE_RECIPE if one_off_usd is None else Decimal(1)
    student, student_usd = _served(plan.asked, student_params, plan.precision.weights, sources)
    saving = plan.chosen.cost.usd_per_month - student_usd
    name = plan.asked.model or ""
    return Payback(
        gpu_hours=hours,
        usd_per_gpu_hour=per_gpu,
        trained_in=offer.region,
        one_off_usd=one_off,
        one_off_low_usd=one_off / spread,
        one_off_high_usd=one_off * spread,
        own_cost=one_off_usd is not None,
        saving_usd_per_month=saving,
        months=payback_months(one_off, saving),
        months_low=payback_months(one_off / spread, saving),
        months_high=payback_months(one_off * spread, saving),
        student=student,
        facts=(*facts_for(name, TrainingLever.PRUNE_AND_DISTIL), *facts_for(name, TrainingLever.DISTIL))
        if name
        else (),
    )


def payback_sentence(found: Payback) -> str:
    """What it costs once, what it saves a month, and after how long it is paid back."""
    low, high = found.one_off_low_usd, found.one_off_high_usd
    cost = usd(found.one_off_usd) if found.own_cost else f"{usd(low)} to {usd(high)}"
    if found.months is None or found.months_low is None or found.months_high is None:
        return f"{cost} once saves nothing a month here: the smaller model runs on no cheaper machine."
    months = f"{found.months_low:.1f} to {found.months_high:.1f}" if low != high else f"{found.months:.1f}"
    saved = f"{usd(found.saving_usd_per_month)} a month on {found.student.resolved.instance or 'its cheapest machine'}"
    return f"{cost} once saves {saved}: paid back in {months} months."


def _training_hours(student_params: float, teacher_params: float, trainer: Accelerator) -> Term:
    """GPU hours on the tokens of the one published recipe that prints its cost."""
    recipe = next(fact for fact in compression_facts() if fact.gpu_hours and fact.tokens)
    return one_off_gpu_hours(
        student_params=student_params,
        teacher_params=teacher_params,
        tokens=recipe.tokens or 0.0,
        peak_flops_per_second=trainer.flops_16bit or 0.0,
    )


def training_offer(asked: Scenario, sources: VersionedSources) -> Offer:
    """The training machine on demand: in the plan's region, else where it is cheapest."""
    option = PurchaseOption.ON_DEMAND
    book = book_of(asked, sources.book)
    here = book.get(TRAINING_INSTANCE, asked.region, option)
    offer = here or next(iter(cheapest_regions(book, TRAINING_INSTANCE, option)), None)
    if offer is None:
        raise Refusal(f"No price of {TRAINING_INSTANCE} to train on.", field="region")
    return offer


def _served(asked: Scenario, params: float, weights: Weights, sources: VersionedSources) -> tuple[Plan, Decimal]:
    """The student on its cheapest machine, and what that costs a month."""
    billions = round(params / 1e9, 3)
    small = replace(unpinned(asked), model=None, params=billions, active=None, weights=weights)
    student = remembered_plan(small, sources)
    if student.chosen is None or not student.chosen.eligible or student.chosen.cost is None:
        raise Refusal(str(student.refusal or "The student fits no machine."), field="student")
    return student, student.chosen.cost.usd_per_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """2:4 sparsity: half of the weights are zero, and neither disk nor vLLM stores less for it."""

    facts: tuple[CompressionFact, ...]  # of this model
    elsewhere: tuple[CompressionFact, ...]  # speed on other models, with their setting

    said = (
        "Saves no memory, on disk or in vLLM: zeros are stored like other values. It can speed up large products on "
        "chips with sparse units, and costs a retraining to keep the quality."
    )


def sparsity(plan: Plan) -> Sparsity:
    """What is published on 2:4 sparsity, of this model and of others."""
    name = plan.asked.model or ""
    own = facts_for(name, TrainingLever.SPARSITY_2_4) if name else ()
    speed = tuple(
        fact for fact in compression_facts() if fact.lever is TrainingLever.SPARSITY_2_4 and fact.speedup is not None
    )
    return Sparsity(facts=own, elsewhere=tuple(fact for fact in speed if fact not in own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A mixture of experts at this load. Resident parameters decide what fits, touched ones what a step reads."""

    resident: int
    active: int
    experts: int
    per_token: int
    batch: float
    touched: float  # experts read by a step of this batch, of each layer

    @property
    def said(self) -> str:
        return (
            f"{self.resident / 1e9:.3g} B must be loaded, {self.active / 1e9:.3g} B are active per token. A step of "
            f"{self.batch:.3g} requests touches {self.touched:.0f} of {self.experts} experts a layer, not "
            f"{self.per_token}: E[u] = n (1 - (1 - k/n)^B), routing taken as uniform."
        )


def experts(plan: Plan) -> Experts | None:
    """Experts touched by the plan's batch; None for a dense model. n = 128, k = 8, B = 16 touch 82."""
    if plan.spec is None or plan.precision is None:
        return None
    routed = next((group.ffn for group in plan.spec.groups if group.ffn is not None and group.ffn.experts), None)
    if routed is None:
        return None
    running = plan.chosen.latency.running_requests if plan.chosen and plan.chosen.latency else 1.0
    batch = max(1.0, running)
    return Experts(
        resident=plan.spec.resident_params,
        active=plan.spec.active_params,
        experts=routed.experts,
        per_token=routed.experts_per_token,
        batch=batch,
        touched=routed.experts * expected_share(routed.experts, routed.experts_per_token, batch),
    )


def expected_share(count: int, per_token: int, batch: float) -> float:
    """Share of `count` experts that a batch touches, by the formula a step time uses."""
    empty = Product()
    shard = Shard(linear=empty, wide=empty, expert=empty, head=empty, experts=count, experts_per_token=per_token)
    return float(touched_share(shard, batch))


def smaller_model(plan: Plan, task: Task, sources: VersionedSources) -> Candidate | None:
    """The cheapest smaller model whose published score on the task is within a percent of this one's, or None.

    Only models that a suite measured beside it count, as published.
    """
    if plan.asked.model is None or plan.spec is None:
        return None
    own = plan.spec.resident_params
    ids = tuple(entry.id for entry in catalogue.entries() if entry.params and entry.params < 0.9 * own)
    models = comparable(ids, plan.asked.model.partition("@")[0], task)
    if not models:
        return None
    bar = QualityBar(task=task, reference=plan.asked.model.partition("@")[0], minimum_ratio=AT_EQUAL_QUALITY)
    question = Question(
        scenario=_open(plan.asked),
        models=models[:60],
        weights=(Weights.AS_PUBLISHED,),
        kv=(KvPrecision.AUTO,),
        regions=(plan.asked.region,),
        options=(plan.asked.buy,),
        bar=bar,
    )
    answer = remembered_recommendation(question, sources)
    return answer.plans[0].candidate if answer.plans else None


def _open(scenario: Scenario) -> Scenario:
    return replace(unpinned(scenario), model=None, params=None, active=None, replicas=None)
