"""What can be done to a plan to make it cheaper or faster, side by side, and several at once. No Streamlit, no own I/O.

Memory and latency are compared on the machine of the plan, cost on the cheapest machine that then does the job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from app.exploring.decision_link import unpinned
from app.exploring.drafting_load import acceptance_of, evidence_of, overloaded, pays_until
from app.format import gib, usd
from app.planning.drafting import NAMES
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import precision_name
from app.scenario import Scenario
from estimators.architecture.hub.client import HubOffline, HubUnavailable
from estimators.latency.speculative import acceptances
from estimators.launch.heads import head_for
from estimators.precision import KvPrecision, Method, Weights
from estimators.provenance import Refusal
from estimators.quality.checkpoints import names_to_try, published_checkpoint
from estimators.quality.recipes import recipes_for
from estimators.quality.recovery import Recovery, recovery
from estimators.quality.suggestions import int4_methods
from estimators.quality.tasks import Task
from estimators.workload import NAMED_DRAFTERS


class LeverKind(StrEnum):
    """Kinds of lever. Two of one kind exclude each other."""

    QUANTIZATION = "quantization"
    CACHE = "KV cache"
    SPECULATION = "speculative decoding"
    PREFIX = "prefix caching"


# INT8 first: among the published averages of whole suites it keeps most after FP8 and runs on every chip since Turing.
QUANTIZATIONS = (Weights.INT8, Weights.FP8, Weights.INT4, Weights.NVFP4)
MOST_NAMES = 6  # repositories asked for at one press of a button
PREFIX_SHARE = 0.5  # shown when the scenario has none; half the prompt repeats, as in a chat with long instructions


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Quality kept on a task, as ratios; `ratio` None is missing evidence, never "no loss"."""

    ratio: float | None
    low: float | None
    said: str
    sources: tuple[str, ...] = ()


LOSSLESS = Kept(ratio=1.0, low=1.0, said="unchanged by construction: the same tokens come out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One change to a scenario, what is known of its quality, and what it takes."""

    key: str
    name: str
    group: LeverKind
    change: Callable[[Scenario], Scenario]
    kept: Kept
    evidence: str
    effort: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Levers applied: `same` is the plan on its own machine, `cheapest` on the cheapest machine that does the job."""

    name: str
    same: Plan
    cheapest: Plan
    kept: Kept
    problem: str = ""

    @property
    def memory_bytes(self) -> float | None:
        memory = self.same.chosen.memory if self.same.chosen else None
        return memory.memory_bytes_per_gpu if memory else None

    @property
    def usd_per_month(self) -> float | None:
        chosen = self.cheapest.chosen
        usable = chosen is not None and chosen.eligible and chosen.cost is not None
        return float(chosen.cost.usd_per_month) if usable and chosen and chosen.cost else None

    def latency(self, key: str) -> float | None:
        """The 95th percentile of "ttft", "tpot" or "e2e" on the plan's own machine, in seconds; None where its queue
        grows without end."""
        found = self.same.chosen.latency if self.same.chosen else None
        return None if found is None or self.overloaded else float(getattr(found, f"{key}_p95_s"))

    @property
    def overloaded(self) -> bool:
        """The plan's own machine cannot serve the rate with this."""
        return overloaded(self.same)


def levers_for(plan: Plan, task: Task) -> tuple[Lever, ...]:
    """The levers that change this plan; what it has already is left out."""
    if plan.precision is None or plan.chosen is None:
        return ()
    found: list[Lever] = []
    published = plan.precision.spec.quantization is not None
    if plan.asked.model is not None and not published:
        others = (weights for weights in QUANTIZATIONS if weights is not plan.precision.weights)
        found += [_quantization(plan.asked.model, weights, task) for weights in others]
    if plan.precision.kv is not KvPrecision.FP8:
        found.append(_cache(plan, task))
    if plan.asked.spec is None:
        drafters = (method for method in NAMED_DRAFTERS if method != "mtp" or _has_mtp(plan))
        found += [_speculation(plan, method) for method in drafters]
    if plan.asked.prefix == 0:
        found.append(_prefix())
    return tuple(found)


def _has_mtp(plan: Plan) -> bool:
    return plan.spec is not None and any(group.stack == "mtp" for group in plan.spec.groups)


def _quantization(model: str, weights: Weights, task: Task) -> Lever:
    ready = published_checkpoint(model, weights.value)
    effort = f"Published ready to use: {ready.id}" if ready else "Hours on one GPU with the script below"
    if not ready and not recipes_for(weights.value):
        effort = "No published checkpoint, and LLM Compressor has no recipe"
    note = ""
    if weights is Weights.INT4:
        order = int4_methods(model, task)
        note = f"Offer first: {'AWQ or GPTQ' if order.first == 'either' else order.first.upper()}. {order.label}"
    return Lever(
        key=weights.value,
        name=f"Weights in {precision_name(weights)}",
        group=LeverKind.QUANTIZATION,
        change=lambda scenario: replace(scenario, weights=weights, method=Method.AUTO),
        kept=_kept(
            recovery(model, weights.value, None, task), recovery(model, weights.value), precision_name(weights), task
        ),
        evidence="published recoveries of the task, this model first, then its kin",
        effort=effort,
        note=note,
    )


def _cache(plan: Plan, task: Task) -> Lever:
    model = plan.asked.model
    found = recovery(model, "kv-fp8", None, task) if model else None
    overall = recovery(model, "kv-fp8") if model else None
    return Lever(
        key="kv-fp8",
        name="KV cache in FP8",
        group=LeverKind.CACHE,
        change=lambda scenario: replace(scenario, kv=KvPrecision.FP8),
        kept=_kept(found, overall, "an FP8 cache", task),
        evidence="published recoveries of the task",
        effort="One flag: --kv-cache-dtype fp8",
    )


def _kept(found: Recovery | None, overall: Recovery | None, scheme: str, task: Task) -> Kept:
    """Quality kept on the task; beside it, what the averages over suites of tasks keep, which the estimate names."""
    if task is Task.GENERAL:
        on, beside = "over suites of tasks", ""
    else:
        on, beside = f"on {task.value.replace('-', ' ')}", _over_suites(overall)
    if found is None:
        return Kept(ratio=None, low=None, said=f"no published recovery of {scheme} {on}{beside}")
    middle = "only a worst case" if found.median is None else f"{100 * found.median:.1f} %"
    said = f"{middle} kept {on}, down to {100 * found.low:.1f} %; {found.label}{beside}"
    return Kept(ratio=found.median, low=found.low, said=said, sources=found.sources)


def _over_suites(overall: Recovery | None) -> str:
    if overall is None or overall.median is None:
        return ""
    return f"; averages over suites of tasks keep {100 * overall.median:.1f} % ({overall.label})"


def _speculation(plan: Plan, method: str) -> Lever:
    efforts = {
        "ngram": "One setting: no extra model",
        "eagle": "A head to be trained for this very model: none is known to be published",
        "mtp": "One setting: the checkpoint brings it",
    }
    row = acceptance_of(plan, method)
    usual = acceptances()[method]
    evidence = (
        f"acceptance {row.said}; {row.note}"
        if row
        else f"no acceptance is published for this model; {usual.per_token:.2f} a token of others, {usual.source}"
    )
    tokens = row.tokens if row else 1 if method == "mtp" else 3
    accept = row.per_token if row else None
    head = head_for(plan.asked.model, method) if plan.asked.model else None

    def change(scenario: Scenario) -> Scenario:
        return replace(scenario, spec=method, spec_tokens=tokens, accept=accept)

    return Lever(
        key=method,
        name=f"Speculative decoding, {NAMES[method]}",
        group=LeverKind.SPECULATION,
        change=change,
        kept=LOSSLESS,
        evidence=f"{evidence}. {_capital(evidence_of(plan, method))}",
        effort=f"Published head: {head.id}" if head else efforts[method],
        note=pays_until(plan, change(plan.asked)),
    )


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def ready_on_the_hub(model: str, scheme: str, sources: VersionedSources) -> tuple[tuple[str, ...], str]:
    """(repositories of the usual publishers' names that the Hub has, why it could not be asked).

    The names are guesses by convention: a repository found is to be read before it is used.
    """
    found: list[str] = []
    for name in names_to_try(model, scheme)[:MOST_NAMES]:
        try:
            sources.spec(name)
        except (HubUnavailable, HubOffline) as refusal:
            return tuple(found), refusal.message
        except Refusal:
            continue
        found.append(name)
    return tuple(found), ""


def _prefix() -> Lever:
    return Lever(
        key="prefix",
        name=f"Prefix caching, {100 * PREFIX_SHARE:.0f} % of the prompt shared",
        group=LeverKind.PREFIX,
        change=lambda scenario: replace(scenario, prefix=PREFIX_SHARE),
        kept=LOSSLESS,
        evidence="arithmetic: tokens served from the cache are not computed again",
        effort="On by default in vLLM; put what repeats first in the prompt",
        note="The saving is that of your own share: set Prefix cache hits under More to what your logs show.",
    )


def effect_of(plan: Plan, levers: Sequence[Lever], sources: VersionedSources) -> Effect:
    """The plan with levers applied together; of two in one group the last stands. Qualities multiply: an estimate."""
    standing = {lever.group: lever for lever in levers}
    scenario = plan.asked
    for lever in standing.values():
        scenario = lever.change(scenario)
    pinned = _on_the_same_machine(scenario, plan)
    same = remembered_plan(pinned, sources)
    named = plan.asked.instance is not None or plan.asked.gpu is not None
    cheapest = remembered_plan(
        unpinned(scenario) if named else replace(scenario, price=None, price_as_of=None), sources
    )
    return Effect(
        name=" and ".join(lever.name for lever in standing.values()) or "as it is",
        same=same,
        cheapest=cheapest,
        kept=together([lever.kept for lever in standing.values()]),
        problem=_problem(same, cheapest),
    )


def _on_the_same_machine(scenario: Scenario, plan: Plan) -> Scenario:
    chosen = plan.chosen
    if chosen is None or chosen.placement is None:
        return scenario
    instance = chosen.machine.instance
    return replace(
        scenario,
        instance=instance.instance_type if instance else None,
        gpu=None if instance else chosen.machine.accelerator.name,
        gpus=chosen.placement.tp,
        replicas=max(1, chosen.replicas),
    )


def _problem(same: Plan, cheapest: Plan) -> str:
    if same.chosen is None or same.chosen.memory is None:
        return str(same.refusal or "cannot be estimated")
    if same.refusal is not None:
        return str(same.refusal)
    if not same.chosen.memory.fits:
        need, have = same.chosen.memory.memory_bytes_per_gpu, same.chosen.memory.memory_budget_bytes_per_gpu
        return f"Does not fit the plan's own machine: needs {gib(need)} per GPU, {gib(have)} usable."
    if overloaded(same) and same.chosen.latency is not None:
        able = same.chosen.latency.req_per_s.value * max(1, same.chosen.replicas)
        return f"Overloaded: the plan's machine serves {able:.3g} of {same.asked.rate:g} requests a second like this."
    return str(cheapest.refusal) if cheapest.refusal is not None else ""


def combined_sentence(before: Effect, after: Effect) -> str:
    """What levers come to together, beside the plan as it is."""
    name = after.name[0].upper() + after.name[1:]
    if after.usd_per_month is None:
        return f"{name}: no machine does the job."
    parts = [f"{usd(after.usd_per_month)} a month"]
    if before.usd_per_month:
        change = after.usd_per_month / before.usd_per_month - 1
        parts.append("the same cost" if abs(change) < 0.0005 else f"{100 * change:+.0f} %")
    if before.memory_bytes and after.memory_bytes:
        parts.append(f"{gib(after.memory_bytes)} per GPU instead of {gib(before.memory_bytes)}")
    return f"{name}: {', '.join(parts)}."


def together(parts: Iterable[Kept]) -> Kept:
    """Quality of several changes: the product of what each keeps, unknown as soon as one is.

    0.99 and 0.98 make 0.970; the publications are different ones, so it is an estimate and said to be.
    """
    known = [part for part in parts if part is not LOSSLESS]
    if not known:
        return LOSSLESS
    if len(known) == 1:
        return known[0]
    missing = [part.said for part in known if part.ratio is None or part.low is None]
    sources = tuple(dict.fromkeys(source for part in known for source in part.sources))
    if missing:
        return Kept(ratio=None, low=None, said="; ".join(missing), sources=sources)
    ratio = low = 1.0
    for part in known:
        ratio *= part.ratio or 0.0
        low *= part.low or 0.0
    said = f"{100 * ratio:.1f} % kept, down to {100 * low:.1f} %: the product of separate publications, an estimate"
    return Kept(ratio=ratio, low=low, said=said, sources=sources)
