"""The question of the first screen as flat text, for a link: what may be chosen from, the bar, the budget. Pure.

Load and objectives are the scenario's own keys. Everything that comes in is hostile until parsed: `decode_question`
never raises, reads bounded text, and names what it could not use.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar
from urllib.parse import urlencode

from app.kinds import Rejected
from app.planning.quality_bar import comparable
from app.planning.question import MOST_MODELS, USUAL_KV, USUAL_WEIGHTS, QualityBar, Question, owned_from
from app.presets import PRESETS
from app.scenario import QUESTION_KEYS, Problem, Scenario, decode, encode, model_text
from app.vocabulary import VOCABULARY
from estimators.precision import KvPrecision, Weights
from estimators.provenance import Refusal
from estimators.quality.scores import Score
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption

T = TypeVar("T")
REFERENCE = VOCABULARY["quality_of"].default
LONGEST = {"models": 6_000, "owned": 800}  # characters; everything else fits in 2,000
LONGEST_LINK = 2_000  # characters that every browser and mail program passes on whole
MOST_UNLISTED = 5  # models outside the catalogue in one link: each may be a question to the Hub
MOST_NAMED = 5  # things that could not be used, of one key


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What may be chosen, the bar and the budget. Empty means what the box says: the usual ones, or the scenario's."""

    use: str = ""
    models: tuple[str, ...] = ()
    weights: tuple[Weights, ...] = ()
    regions: tuple[str, ...] = ()
    options: tuple[PurchaseOption, ...] = ()
    vendors: tuple[str, ...] = ()
    percent: float | None = None  # of the reference's quality; None: no bar
    reference: str = REFERENCE
    task: Task = Task.INSTRUCTION_FOLLOWING
    reasoning: bool = False
    budget: Decimal | None = None
    owned: str = ""  # lines of hardware one has


def question_of(asked: Asked, scenario: Scenario, known: Collection[str], own: tuple[Score, ...] = ()) -> Question:
    """The question the boxes hold under a scenario. `known` are the catalogue's models. Raises `Refusal`."""
    bar = None
    if asked.percent is not None:
        bar = QualityBar(
            task=asked.task,
            reference=asked.reference,
            minimum_ratio=asked.percent / 100,
            reasoning=asked.reasoning,
            own=own,
        )
    pinned = scenario.weights is not Weights.AS_PUBLISHED
    return Question(
        scenario=open_scenario(scenario) if asked.owned else asked_scenario(scenario),
        models=_models(asked, bar, scenario, known),
        weights=asked.weights or ((scenario.weights,) if pinned else USUAL_WEIGHTS),
        kv=USUAL_KV if scenario.kv is KvPrecision.AUTO else (scenario.kv,),
        regions=asked.regions or (scenario.region,),
        options=asked.options or (scenario.buy,),
        vendors=frozenset(asked.vendors or ("NVIDIA",)),
        bar=bar,
        budget_usd_per_month=asked.budget,
        owned=owned_from(asked.owned),
    )


def asked_scenario(scenario: Scenario) -> Scenario:
    """The scenario without what the question's own axes are; a machine that it names stays named."""
    return replace(scenario, model=None, params=None, active=None, price=None, price_as_of=None)


def open_scenario(scenario: Scenario) -> Scenario:
    """The scenario without what a recommendation chooses."""
    return replace(
        scenario, model=None, params=None, active=None, gpu=None, instance=None, gpus=None, replicas=None,
        price=None, price_as_of=None, spec=None, spec_tokens=None, accept=None,
    )  # fmt: skip


def _models(asked: Asked, bar: QualityBar | None, scenario: Scenario, known: Collection[str]) -> tuple[str, ...]:
    """The models to weigh: those named, else all that were measured beside the reference, else the scenario's."""
    if asked.models:
        for model in asked.models:
            read = decode({"model": model}).scenario
            if read.model is None and read.params is None:
                raise Refusal(f"{model[:60]!r} is neither a Hub id nor a size.", field="model")
        return tuple(dict.fromkeys(asked.models))
    if bar is not None:
        return comparable(tuple(known), bar.reference, bar.task)[:MOST_MODELS] or (bar.reference,)
    return (model_text(scenario),)


def encode_question(asked: Asked) -> dict[str, str]:
    """The question's own keys; what is as the page starts is left out."""
    flat = {
        "use": asked.use,
        "models": ",".join(asked.models),
        "precisions": ",".join(asked.weights),
        "regions": ",".join(asked.regions),
        "ways": ",".join(asked.options),
        "vendors": ",".join(asked.vendors),
        "budget": "" if asked.budget is None else format(asked.budget.normalize(), "f"),
        "owned": ";".join(line.strip() for line in asked.owned.splitlines() if line.strip()),
    }
    if asked.percent is not None:
        flat |= {"quality": f"{asked.percent:g}", "quality_of": asked.reference, "quality_on": asked.task.value}
        flat["reasoning"] = "1" if asked.reasoning else ""
    return {key: flat[key] for key in QUESTION_KEYS if flat.get(key)}


def link_of(asked: Asked, scenario: Scenario) -> dict[str, str]:
    """The whole question: its own keys, and every field of the scenario it is asked under."""
    frozen = replace(scenario, price=None, price_as_of=None)
    return encode(frozen, every_field=True) | encode_question(asked)


def with_question(link: Mapping[str, str], question: Mapping[str, str]) -> str:
    """The query of a plan's link that also asks the question it answers, so that it opens alike on either page; of the
    plan alone where the two together are longer than an address should be."""
    both = urlencode({**link, **question})
    return both if len(both) <= LONGEST_LINK else urlencode(link)


class _Reader:
    """Reads one key after another, keeping what could not be used."""

    def __init__(self, raw: Mapping[str, str]) -> None:
        self._raw = raw
        self.problems: list[Problem] = []

    def text(self, key: str) -> str:
        text = self._raw.get(key, "").strip()
        if len(text) > LONGEST.get(key, 2_000):
            self.reject(key, text, "is too long")
            return ""
        return text

    def reject(self, key: str, text: str, reason: str) -> None:
        if sum(problem.key == key for problem in self.problems) >= MOST_NAMED:
            return
        shown = text if len(text) <= 60 else text[:57] + "..."
        self.problems.append(Problem(key, f"{key}={shown}", reason))

    def parts(self, key: str, between: str = ",") -> list[str]:
        return [part for text in self.text(key).split(between) if (part := text.strip())]

    def several(self, key: str, allowed: Collection[T], reason: str) -> tuple[T, ...]:
        """The values of a list that are allowed, each once; the others are named."""
        texts = self.parts(key)
        if not texts:  # as most are: the names of all models are many
            return ()
        names = {str(value).lower(): value for value in allowed}
        found: list[T] = []
        for text in texts:
            if text.lower() in names:
                found.append(names[text.lower()])
            else:
                self.reject(key, text, reason)
        return tuple(dict.fromkeys(found))

    def one(self, key: str, allowed: Collection[T], reason: str) -> T | None:
        found = self.several(key, allowed, reason)
        return found[0] if found else None

    def number(self, key: str) -> Decimal | None:
        text = self.text(key)
        if not text:
            return None
        try:
            return Decimal(str(VOCABULARY[key].kind(text)))
        except Rejected as problem:
            self.reject(key, text, str(problem))
            return None


def decode_question(
    raw: Mapping[str, str], *, models: Collection[str], regions: Collection[str], vendors: Collection[str]
) -> tuple[Asked, tuple[Problem, ...]]:
    """The question of a link, and what of it could not be used, by name. Never raises."""
    reader = _Reader(raw)
    percent = reader.number("quality")
    asked = Asked(
        use=reader.one("use", PRESETS, "is no use known here") or "",
        models=_named_models(reader, models),
        weights=tuple(
            weights
            for weights in reader.several("precisions", list(Weights), "is no precision")
            if weights is not Weights.FP32
        ),
        regions=reader.several("regions", regions, "is no region with known prices"),
        options=reader.several("ways", list(PurchaseOption), "is no way to pay"),
        vendors=reader.several("vendors", vendors, "makes no accelerator known here"),
        percent=None if percent is None else float(percent),
        reference=reader.one("quality_of", models, "is not in the catalogue, so it has no published quality here")
        or REFERENCE,
        task=reader.one("quality_on", list(Task), "is no task with published quality") or Task.INSTRUCTION_FOLLOWING,
        reasoning=reader.text("reasoning").lower() in ("1", "true"),
        budget=reader.number("budget"),
        owned=_owned(reader),
    )
    if percent is None:  # no bar, so nothing it would be held to
        asked = replace(asked, reference=REFERENCE, task=Task.INSTRUCTION_FOLLOWING, reasoning=False)
    return asked, tuple(reader.problems)


def _named_models(reader: _Reader, known: Collection[str]) -> tuple[str, ...]:
    """Hub ids and counts such as 8B. Few outside the catalogue, so that a link cannot send the page around the Hub."""
    texts = reader.parts("models")
    if not texts:
        return ()
    ids = {model.lower(): model for model in known}
    found: list[str] = []
    unlisted = 0
    for text in texts:
        name = ids.get(text.lower())
        if name is None:
            read = decode({"model": text})
            if read.problems or (read.scenario.model is None and read.scenario.params is None):
                reader.reject("models", text, "is not a Hub id such as org/name, or a count such as 8B")
                continue
            unlisted += read.scenario.model is not None
            if unlisted > MOST_UNLISTED:
                reader.reject("models", text, f"is one of more than {MOST_UNLISTED} models outside the catalogue")
                continue
            name = model_text(read.scenario)
        if len(found) == MOST_MODELS:
            reader.reject("models", text, f"is one of more than {MOST_MODELS} models")
            break
        found.append(name)
    return tuple(dict.fromkeys(found))


def _owned(reader: _Reader) -> str:
    """The lines that name hardware; the others are named."""
    kept: list[str] = []
    for line in reader.parts("owned", ";"):
        try:
            owned_from("\n".join([*kept, line]))
        except Refusal as refusal:
            reason = refusal.message.removeprefix(f"{line[:60]!r} ").removesuffix(".")
            reader.reject(
                "owned", line, reason if reason != refusal.message.removesuffix(".") else f"is left out: {reason}"
            )
            continue
        kept.append(line)
    return "\n".join(kept)
