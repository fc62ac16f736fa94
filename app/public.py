"""What `from rightsize import ...` gives: questions as keyword arguments, answers as typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from estimators.provenance import Refusal

if TYPE_CHECKING:
    from app.exploring.asking import Asking
    from app.planning.plan import Plan
    from app.planning.recommendation import Ranked

DISTRIBUTION = "rightsize-llm"  # on package indexes; the package and the command are called rightsize

__all__ = ["Estimate", "Ranking", "Refusal", "__version__", "estimate", "recommend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One plan. Times are 95th percentiles in seconds, memory is bytes of the fullest GPU; None where unknown.

    `columns` is everything a batch gives of it, `link` the parameters that open it in the dashboard.
    """

    verdict: str
    model: str
    weights: str
    accelerator: str
    instance: str | None  # None: an accelerator that AWS does not sell
    gpus: int
    instances: int
    replicas: int
    fits: bool | None
    usd_per_month: Decimal | None
    memory_bytes_per_gpu: float | None
    memory_budget_bytes_per_gpu: float | None
    ttft_p95_s: float | None
    tpot_p95_s: float | None
    e2e_p95_s: float | None
    quality: float | None  # of the bar's reference, where there is a bar
    notes: tuple[str, ...]
    columns: Mapping[str, Any]
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Plans that meet every limit, the cheapest first; none, with what would have to give, in `ways_out`."""

    verdict: str
    plans: tuple[Estimate, ...]
    weighed: int
    failed_by_limit: Mapping[str, int]
    ways_out: tuple[str, ...]
    notes: tuple[str, ...]


def estimate(**keys: object) -> Estimate:
    """The plan of a scenario: `estimate(model="8B", gpu="L4", concurrency=8)`. Raises `Refusal`."""
    from app import answers
    from app.scenario import KEYS
    from app.sources import shared_sources

    found = answers.estimate(_asking(keys, KEYS), shared_sources())
    if found.refusal is not None:
        raise found.refusal
    return _estimate(found.plans[0])


def recommend(**keys: object) -> Ranking:
    """The plans that meet every limit: `recommend(models=["8B", "14B"], rate=5, ttft=1, budget=5000)`.

    Raises `Refusal` for a question that cannot be asked; one that nothing answers has no plans.
    """
    from app import answers
    from app.exploring.asking import asked_question
    from app.planning.remembered import remembered_recommendation
    from app.planning.words import headline, ways_out
    from app.sources import shared_sources
    from app.vocabulary import MOST_PLANS, RECOMMEND_KEYS, VOCABULARY

    asking = _asking(keys, RECOMMEND_KEYS)
    answers.checked(asking)
    most = VOCABULARY["plans"].kind(str(keys.get("plans", MOST_PLANS)))
    found = remembered_recommendation(asked_question(asking, shared_sources()), shared_sources())
    return Ranking(
        verdict=headline(found),
        plans=tuple(_estimate(ranked.plan, ranked) for ranked in found.plans[:most]),
        weighed=found.weighed,
        failed_by_limit=dict(found.killed),
        ways_out=tuple(ways_out(found.loosenings)),
        notes=found.notes,
    )


def _asking(keys: Mapping[str, object], allowed: tuple[str, ...]) -> Asking:
    from app.answers import BadInput
    from app.documents import flat_of
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    flat, problems = flat_of({name: _plain(value) for name, value in keys.items()}, allowed, texts=True)
    if problems:
        raise BadInput(problems)
    return read_asking(flat, shared_sources(), allowed)


def _plain(value: object) -> Any:
    """As a document would have it: money, days and members of an enum as text, a tuple as a list."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Decimal | date | str) else value


def _estimate(plan: Plan, ranked: Ranked | None = None) -> Estimate:
    from app.columns import columns_of
    from app.planning.sentences import verdict
    from app.scenario import encode

    chosen = plan.chosen
    if chosen is None or plan.precision is None:
        raise plan.refusal or Refusal("There is no plan.", field="model")
    memory, latency = chosen.memory, chosen.latency
    judged = ranked.candidate.quality.verdict if ranked else None
    return Estimate(
        verdict=verdict(plan),
        model=chosen.model,
        weights=plan.precision.weights.value,
        accelerator=chosen.accelerator,
        instance=chosen.machine.instance.instance_type if chosen.machine.instance else None,
        gpus=chosen.placement.gpus if chosen.placement else 1,
        instances=chosen.instances,
        replicas=chosen.replicas,
        fits=chosen.fits,
        usd_per_month=chosen.usd_per_month,
        memory_bytes_per_gpu=memory.memory_bytes_per_gpu if memory else None,
        memory_budget_bytes_per_gpu=memory.memory_budget_bytes_per_gpu if memory else None,
        ttft_p95_s=latency.ttft_p95_s if latency else None,
        tpot_p95_s=latency.tpot_p95_s if latency else None,
        e2e_p95_s=latency.e2e_p95_s if latency else None,
        quality=judged.ratio if judged else None,
        notes=plan.all_notes,
        columns=columns_of(plan),
        link=urlencode(encode(plan.resolved, every_field=True)),
    )


def _version() -> str:
    """Of what is installed; in a checkout, what its `pyproject.toml` says; "unknown" where neither is at hand."""
    import tomllib

    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


__version__ = _version()
