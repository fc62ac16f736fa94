"""What size to train: a budget's optimum by every published law, and the smaller one that serving asks for.

Training and serving are counted in FLOP (6 N D + 2 N T); what serving the two sizes costs is the planner's answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.exploring.decision_link import unpinned
from app.exploring.finding import PageFinding
from app.exploring.retraining import TRAINING_INSTANCE, training_offer
from app.format import count, percent, plural, significant, usd
from app.planning.costs import requests_per_second
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import machine_phrase
from app.scenario import Scenario
from estimators.hardware.catalogue import accelerators
from estimators.provenance import Refusal
from estimators.quality.scaling_laws import (
    CHINCHILLA,
    CHINCHILLA_TOLERANCE,
    INFERENCE_FLOPS,
    LARGEST_FITTED,
    MOST_TOKENS_FITTED,
    TOKENS_PER_PARAMETER_CHECKED,
    Optimum,
    ScalingLaw,
    Trained,
    compute_optimal,
    default_law,
    laws,
    lifetime_optimal,
    trained_models,
)
from pricing.cost import SECONDS_PER_HOUR
from pricing.instances import find_instance

NAMES = {
    "epoch": "Epoch AI's re-fit (2024), the default",
    "hoffmann-printed": "Hoffmann et al. (2022), as printed",
    "hoffmann-unrounded": "Hoffmann et al. (2022), unrounded",
}
CHINCHILLA_BUDGET = "5.76e23"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is asked: a budget, and how many tokens the model will serve."""

    budget: str = CHINCHILLA_BUDGET  # FLOP, or dollars as "$1000000"
    mfu: int = 40  # percent of the peak that training reaches; Llama 3 405B reached 38 to 43 (arXiv:2407.21783)
    served: float | None = None  # tokens over its life; None: those of the plan's load
    months: int = 24  # of the plan's load


def training_of(values: Mapping[str, Any]) -> Training:
    """What the page's keys hold, the rest as it starts."""
    start = Training()
    return Training(
        budget=values.get("law_budget", start.budget),
        mfu=values.get("law_mfu", start.mfu),
        served=values.get("law_served"),
        months=values.get("law_months", start.months),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """By one law: the optimum of the training budget, and of its loss with serving counted."""

    law: ScalingLaw
    trained: Optimum  # of training alone
    served: Optimum  # of the same loss, over its life

    @property
    def lifetime_share(self) -> float:
        """FLOP of a life of the smaller in those of the larger: 0.935 for Chinchilla's budget and 2e12 served."""
        return self.served.lifetime_flops / self.trained.lifetime_flops


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Everything the page shows. Plans are those of typical models of the two sizes under the plan's own load."""

    asked: Training
    flops: float
    usd_per_flop: Decimal
    served_tokens: float
    pairs: tuple[Pair, ...]
    larger: Plan | None
    smaller: Plan | None
    problem: str  # why there is no saving in dollars

    @property
    def pair(self) -> Pair:
        """By the default law."""
        return next(pair for pair in self.pairs if pair.law == default_law())

    @property
    def saving_usd(self) -> Decimal | None:
        """A month's serving: of the larger less of the smaller."""
        ends = [plan.chosen.usd_per_month if plan and plan.chosen else None for plan in (self.larger, self.smaller)]
        return None if ends[0] is None or ends[1] is None else ends[0] - ends[1]

    @property
    def extra_training_usd(self) -> Decimal:
        """What the longer training of the smaller costs more."""
        pair = self.pair
        return Decimal(repr(pair.served.training_flops - pair.trained.training_flops)) * self.usd_per_flop


def usd_per_flop(mfu: int, asked: Scenario, sources: VersionedSources) -> Decimal:
    """p / (3600 x peak x MFU), on the machine that training is priced on everywhere here, on demand.

    $6.88 an H100 hour at 989.4e12 FLOP/s and 40 % of it: $4.83e-18, so $2.78 million for 5.76e23.
    """
    machine = find_instance(TRAINING_INSTANCE)
    peak = accelerators()[machine.accelerator].flops_16bit
    if not peak:
        raise Refusal(f"{machine.accelerator} has no published peak.", field="law_budget")
    per_gpu = training_offer(asked, sources).usd_per_hour / machine.accelerator_count
    return per_gpu / (SECONDS_PER_HOUR * Decimal(repr(peak)) * mfu / 100)


def sizes(plan: Plan, asked: Training, sources: VersionedSources) -> Sizes:
    """The optima of a budget, and what serving them costs. Raises `Refusal` for a budget the laws cannot speak of."""
    price = usd_per_flop(asked.mfu, plan.asked, sources)
    flops = float(Decimal(asked.budget[1:]) / price) if asked.budget.startswith("$") else float(asked.budget)
    served = tokens_served(plan, asked.months) if asked.served is None else asked.served
    pairs = []
    for law in laws().values():
        trained = compute_optimal(flops, law)
        counted = replace(trained, lifetime_flops=trained.training_flops + INFERENCE_FLOPS * trained.params * served)
        pairs.append(Pair(law=law, trained=counted, served=lifetime_optimal(trained.loss, served, law)))
    pair = next(pair for pair in pairs if pair.law == default_law())
    larger, smaller, problem = _plans(plan.asked, pair, sources)
    return Sizes(
        asked=asked,
        flops=flops,
        usd_per_flop=price,
        served_tokens=served,
        pairs=tuple(pairs),
        larger=larger,
        smaller=smaller,
        problem=problem,
    )


def tokens_served(plan: Plan, months: int) -> float:
    """Tokens in and out that the plan's load makes in so many months of its hours; cached ones are not computed."""
    chosen = plan.chosen
    if chosen is None or chosen.latency is None:
        return 0.0
    scenario = plan.asked
    requests = requests_per_second(scenario, max(1, chosen.replicas), chosen.latency)
    a_request = scenario.prompt * (1 - scenario.prefix) + scenario.output
    return requests * a_request * SECONDS_PER_HOUR * float(scenario.hours) * months


def _plans(scenario: Scenario, pair: Pair, sources: VersionedSources) -> tuple[Plan | None, Plan | None, str]:
    found = []
    for params in (pair.trained.params, pair.served.params):
        typical = replace(unpinned(scenario), model=None, params=round(params / 1e9, 3), active=None, spec=None)
        made = remembered_plan(typical, sources)
        if made.refusal is not None or made.chosen is None or made.chosen.cost is None:
            return None, None, f"{count(params)}: {made.refusal or 'no machine was found.'}"
        found.append(made)
    return found[0], found[1], ""


def verdict_of(found: Sizes) -> str:
    """The one sentence: the optimum of the budget, the one that serving asks for, and the dollars between them."""
    pair = found.pair
    trained, served = pair.trained, pair.served
    first = (
        f"{_flop(found.flops)} of training make the best model at {count(trained.params)} parameters on "
        f"{_tokens(trained.tokens)} tokens"
    )
    if not found.served_tokens:
        return f"{first}; nothing is served, so that is the size to train."
    same = (
        f"{first}; counting {_tokens(found.served_tokens)} tokens served, {count(served.params)} on "
        f"{_tokens(served.tokens)} reach the same loss with {percent(1 - pair.lifetime_share)} less computing over a "
        "life."
    )
    saving = found.saving_usd
    if saving is None:
        return same
    extra = usd(found.extra_training_usd)
    if saving <= 0:
        return f"{same} Served as asked it saves nothing a month: both take the same machines."
    return f"{same} It costs {extra} more to train and saves {usd(saving)} a month to serve."


def _flop(flops: float) -> str:
    return f"{flops:.3g} FLOP".replace("e+", "e")


def _tokens(tokens: float) -> str:
    """1.33e12 -> "1.33 T"."""
    return count(tokens)


def finding_of(found: Sizes) -> PageFinding:
    """The three laws as the page, the terminal and the report show them."""
    heads = (
        "Constants",
        "Best for training",
        "Tokens",
        "Tokens a parameter",
        "Best with serving",
        "Its tokens",
        "Its tokens a parameter",
        "Loss",
        "Computing of a life",
    )
    return PageFinding(
        title="Scaling laws: what size to train",
        sentence=verdict_of(found),
        heads=heads,
        rows=tuple(_row(pair) for pair in found.pairs),
        notes=tuple(_notes(found)),
    )


def _row(pair: Pair) -> tuple[str, ...]:
    cells = [NAMES.get(pair.law.name, pair.law.name)]
    for optimum in (pair.trained, pair.served):
        ratio = significant(optimum.tokens_per_parameter)
        cells += [count(optimum.params), _tokens(optimum.tokens), f"{ratio}, unchecked" * optimum.extrapolated or ratio]
    return (*cells, f"{pair.trained.loss:.3f}", percent(pair.lifetime_share))


def _notes(found: Sizes) -> Iterator[str]:
    if found.problem:
        yield f"No saving in dollars: {found.problem}"
    elif found.larger and found.smaller and found.larger.chosen and found.smaller.chosen:
        pairs = ((found.larger.chosen, found.pair.trained), (found.smaller.chosen, found.pair.served))
        said = [
            f"{count(optimum.params)} on {machine_phrase(chosen)}, {usd(chosen.usd_per_month or Decimal(0))} a month"
            for chosen, optimum in pairs
        ]
        yield f"Served as asked, as typical models of their size: {said[0]}; {said[1]}."
    budget = Decimal(repr(found.flops)) * found.usd_per_flop
    yield (
        f"The budget is {usd(budget)} of H100 hours on demand at {found.asked.mfu} % of their peak in BF16 "
        "(Llama 3 405B reached 38 to 43 %, arXiv:2407.21783)."
    )
    if found.asked.served is None:
        yield f"Tokens served: the plan's load over {plural(found.asked.months, 'month')}, cached input left out."
    own = compute_optimal(float(CHINCHILLA_BUDGET))
    yield (
        f"Chinchilla itself, {count(CHINCHILLA[0])} on {_tokens(CHINCHILLA[1])}, comes out at {count(own.params)} on "
        f"{_tokens(own.tokens)} by the default constants, within {percent(CHINCHILLA_TOLERANCE)} of either; the "
        "printed ones contradict the 20 tokens a parameter they are quoted for."
    )
    if found.pair.trained.beyond_the_fit or found.pair.served.beyond_the_fit:
        yield (
            f"Beyond the fit: its models have up to {count(LARGEST_FITTED)} parameters and "
            f"{_tokens(MOST_TOKENS_FITTED)} tokens; what is larger is extrapolated."
        )
    if found.pair.served.extrapolated:
        yield (
            f"More than {TOKENS_PER_PARAMETER_CHECKED:,} tokens a parameter: nobody has trained so long to check "
            "(Sardana et al. 2024)."
        )
    yield (
        "Such fits speak of the loss of dense models on one mixture of text. They say nothing of benchmarks, of other "
        "data, of distillation or mixtures of experts, and they overstate what extra tokens are worth at high ratios."
    )


def known_of() -> PageFinding:
    """Known models by the default law: how long they were trained, and the best size for their loss."""
    rows = tuple(_known(model, default_law()) for model in trained_models())
    return PageFinding(
        title="Known models on the law",
        sentence="Models that are served are trained far longer than their training alone would ask for.",
        heads=(
            "Model",
            "Parameters",
            "Tokens",
            "Tokens a parameter",
            "Loss by the law",
            "Best for training alone",
            "Source",
        ),
        rows=rows,
    )


def _known(model: Trained, law: ScalingLaw) -> tuple[str, ...]:
    loss = law.loss(model.params, model.tokens)
    best = lifetime_optimal(loss, 0.0, law)
    source = f"{model.source}; {model.note}" if model.note else model.source
    return (
        model.label,
        count(model.params),
        _tokens(model.tokens),
        significant(model.tokens_per_parameter),
        f"{loss:.3f}",
        f"{count(best.params)} on {_tokens(best.tokens)}",
        source,
    )
