"""Is a smaller or another model good enough, and what does it save: one benchmark, one row a model. Pure.

Every score of the table was taken by one suite on one benchmark; a model without a score there says so. Dollars are the
cheapest plan of the model as published, as that is what was scored, under the limits of the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.exploring.api_or_machines import api_usd
from app.exploring.token_cost import SECONDS_PER_MONTH
from app.format import usd
from app.planning.answer import Grade, speed_grade
from app.planning.costs import requests_per_second
from app.planning.plan import Candidate, Plan
from app.planning.question import Question
from app.planning.recommendation import Ranked, Recommendation
from app.planning.sentences import model_name
from app.scenario import Scenario
from estimators.architecture import catalogue
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.models import family_of, params_of, same_model, size_class
from estimators.quality.scores import Ruler, Score, ScorePair, ruler_of, scores_by
from estimators.quality.tasks import Benchmark, Task, benchmarks, tasks_of_preset
from pricing.api_prices import ApiTier, standard_tiers
from pricing.cost import HOURS_PER_MONTH

MOST_ROWS = 20
DEAR = 3  # times the reference: what costs more is no alternative to it
ELSE = (Task.INSTRUCTION_FOLLOWING, Task.KNOWLEDGE)  # asked of a model that nobody measured on the use itself
NEAR = 0.95  # of the reference: what the sentence above the table calls good enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One model: its score beside the reference's, and what it costs under the same limits. None: not known."""

    model: str
    params: float
    pair: ScorePair | None
    candidate: Candidate | None  # the cheapest plan that meets every limit
    speed: Grade | None
    saving_usd: Decimal | None  # a month, against the reference's row
    api: ApiTier | None  # the cheapest for these requests
    api_usd_month: Decimal | None

    @property
    def usd_month(self) -> Decimal | None:
        return self.candidate.usd_per_month if self.candidate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodEnough:
    """The table, and the ruler all its scores are of. `wanted` is the task that was asked for."""

    reference: str
    wanted: Task
    task: Task
    ruler: Ruler
    source: str  # of the scores, with its date
    rows: tuple[Alternative, ...]

    @property
    def benchmark(self) -> Benchmark:
        return benchmarks()[self.ruler[0]]


def good_enough(
    reference: str,
    tasks: Sequence[Task],
    question: Question,
    asked: Plan,
    recommended: Callable[[Question], Recommendation],
) -> GoodEnough:
    """The reference, the sizes of its family and the best other model of each size, cheapest first.

    `asked` is the plan of the load, for how many requests an API would be paid; `recommended` answers a question.
    Raises `Refusal` where nobody has measured the reference beside another model.
    """
    known = tuple(entry.id for name, entry in catalogue.names().items() if "/" in name)
    for task in tasks:
        ruler = ruler_of(reference, task, known)
        if ruler is not None:
            break
    else:
        said = " or ".join(task.value.replace("-", " ") for task in tasks)
        raise Refusal(f"Nobody has measured {reference} beside other models on {said}.", field="quality_on")
    scores = {model: score for score in scores_by(ruler) if (model := _among(score.model, known))}
    theirs = next(score for model, score in scores.items() if same_model(model, reference))
    requests = _requests_a_month(asked)
    rows = []
    for model in _shown(reference, scores, known):
        score = scores.get(model)
        ranked = _cheapest(replace(question, models=(model,)), recommended)
        hosted = (
            {tier: api_usd(tier, asked.asked, requests * asked.asked.output / 1e6) for tier in standard_tiers(model)}
            if requests
            else {}
        )
        api = min(hosted, key=lambda tier: hosted[tier], default=None)
        rows.append(
            Alternative(
                model=model,
                params=_size(model),
                pair=ScorePair(candidate=score, reference=theirs) if score else None,
                candidate=ranked.candidate if ranked else None,
                speed=speed_grade(ranked.plan.chosen.latency if ranked and ranked.plan.chosen else None),
                saving_usd=None,
                api=api,
                api_usd_month=hosted[api] if api else None,
            )
        )
    own = next(row.usd_month for row in rows if same_model(row.model, reference))
    return GoodEnough(
        reference=reference,
        wanted=tasks[0],
        task=task,
        ruler=ruler,
        source=f"{theirs.source}, {theirs.as_of}",
        rows=tuple(sorted((_against(row, own) for row in rows if not _dear(row, own)), key=_order)),
    )


def sentence(table: GoodEnough) -> str:
    """The cheapest that comes near the reference without reasoning, or the nearest that is cheaper."""
    reference, bench = model_name(Scenario(model=table.reference)), table.benchmark.name
    others = [
        (row, row.pair.ratio)
        for row in table.rows
        if row.pair and row.saving_usd and row.saving_usd > 0 and not row.pair.candidate.reasons
    ]
    near = [(row, ratio) for row, ratio in others if ratio >= NEAR]
    if near:
        row, ratio = near[0]
        return f"{_name(row)} reaches {100 * ratio:.0f} % of {reference} on {bench} and saves {_saved(row)}."
    if others:
        row, ratio = max(others, key=lambda found: found[1])
        said = f"the nearest, {_name(row)}, reaches {100 * ratio:.0f} % and saves {_saved(row)}"
        return f"No cheaper model comes within {100 * (1 - NEAR):.0f} % of {reference} on {bench}: {said}."
    return f"No model that was measured beside {reference} on {bench} is cheaper under these limits."


def machines_of(row: Alternative) -> str:
    """ "2 x g7e.2xlarge"."""
    if row.candidate is None:
        return "none meets the limits"
    count = row.candidate.instances
    return f"{count} x {row.candidate.label}" if count > 1 else row.candidate.label


def evidence(row: Alternative) -> str:
    """How near the figures are to this case, and at what the score was taken."""
    said = [f"speed {row.speed.value}"] if row.speed else []
    if row.pair is not None and row.pair.candidate.reasons:
        said.append("scored while reasoning")
    return "; ".join(said)


def tasks_of(use: str, task: Task | None) -> tuple[Task, ...]:
    """The tasks to look for a benchmark of: the bar's, else those of the use, then what most models are measured on."""
    named = (task,) if task is not None else tuple(row.task for row in tasks_of_preset(use.lower().replace(" ", "-")))
    return tuple(dict.fromkeys((*named, *ELSE)))


def _shown(reference: str, scores: Mapping[str, Score], known: Sequence[str]) -> list[str]:
    """The reference; each size of its family; of every size the best scored, dense and of experts, reasoning or not,
    apart; and the sizes of the family that nobody scored."""
    own = next(model for model in scores if same_model(model, reference))
    family = family_of(reference)
    best_last = sorted(scores, key=lambda model: scores[model].score)
    kin = {_size(model): model for model in best_last if family is not None and family_of(model) == family}
    best = {
        (scores[model].reasons, size_class(_size(model)), _of_experts(model)): model
        for model in sorted(best_last, key=lambda model: scores[model].reasons)
    }
    unscored = {_size(model): model for model in known if family is not None and family_of(model) == family}
    sizes = {_size(model) for model in (*kin.values(), *best.values())}
    others = [model for size, model in unscored.items() if size not in sizes]
    return list(dict.fromkeys([own, *kin.values(), *best.values(), *others]))[:MOST_ROWS]


def _size(model: str) -> float:
    return params_of(model) or catalogue.names()[model.lower()].params or 0.0


def _of_experts(model: str) -> bool:
    entry = catalogue.names()[model.lower()]
    return entry.active_params is not None and entry.active_params != entry.params


def _among(model: str, known: Iterable[str]) -> str | None:
    return next((own for own in known if same_model(own, model)), None)


def _cheapest(question: Question, recommended: Callable[[Question], Recommendation]) -> Ranked | None:
    """What the score was taken of: weights and cache as published, no drafting, whatever the budget."""
    plain = replace(
        question,
        weights=(Weights.AS_PUBLISHED,),
        kv=(question.scenario.kv,),
        bar=None,
        budget_usd_per_month=None,
        drafting=False,
    )
    try:
        plans = recommended(plain).plans
    except Refusal:
        return None
    return plans[0] if plans else None


def _requests_a_month(asked: Plan) -> float | None:
    chosen = asked.chosen
    if chosen is None or chosen.latency is None:
        return None
    share = float(asked.asked.hours / HOURS_PER_MONTH)
    return requests_per_second(asked.asked, max(1, chosen.replicas), chosen.latency) * SECONDS_PER_MONTH * share


def _against(row: Alternative, own: Decimal | None) -> Alternative:
    if own is None or row.usd_month is None:
        return row
    return replace(row, saving_usd=own - row.usd_month)


def _dear(row: Alternative, own: Decimal | None) -> bool:
    return own is not None and row.usd_month is not None and row.usd_month > DEAR * own


def _order(row: Alternative) -> tuple[bool, Decimal, str]:
    return row.usd_month is None, row.usd_month or Decimal(0), row.model


def _name(row: Alternative) -> str:
    return model_name(Scenario(model=row.model))


def _saved(row: Alternative) -> str:
    return f"{usd(row.saving_usd)} a month" if row.saving_usd is not None else "an unknown amount"
