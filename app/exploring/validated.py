"""Is it validated: whose checkpoint a plan serves, when Red Hat AI validated it, and which heads draft for it. Pure.

Red Hat AI's checkpoints come first, then those of the model's own maker, then others; what the Hub lists beside the
tables comes after them, and only of publishers that the tables know.
"""

from __future__ import annotations

from calendar import month_name
from collections.abc import Iterator
from dataclasses import dataclass

from app.exploring.finding import PageFinding
from app.exploring.start import launch_of
from app.format import plural
from app.planning.plan import Plan
from app.planning.sentences import model_name, precision_name
from estimators.architecture.hub.pages import HubListing
from estimators.launch.checkpoint import loads, published_copy
from estimators.launch.heads import heads
from estimators.precision import DTYPE_OF
from estimators.quality.checkpoints import checkpoints, deployed, published_checkpoints, validated_in
from estimators.quality.models import same_model
from estimators.quality.recipes import recipes_for

MOST = 12  # copies of one table
RED_HAT = "Red Hat AI"
_NAMES = {"RedHatAI": RED_HAT, "neuralmagic": RED_HAT}  # as the organisation was called before


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCopy:
    """One repository. `month` is of the validated collection that names it, "2025-05"; empty where none does."""

    id: str
    scheme: str  # "int4"; of a drafting head how vLLM calls its method
    month: str
    source: str

    @property
    def publisher(self) -> str:
        organisation = self.id.partition("/")[0]
        return _NAMES.get(organisation, organisation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """What is known of a plan's checkpoint. `serves` None: nobody is known to have published one."""

    sentence: str
    quantized: bool
    serves: PublishedCopy | None
    copies: tuple[PublishedCopy, ...]
    heads: tuple[PublishedCopy, ...]

    def as_json(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "checkpoint": self.serves.id if self.serves else None,
            "publisher": self.serves.publisher if self.serves else None,
            "validated": (self.serves.month if self.serves else "") or None,
            "drafting_heads": [head.id for head in self.heads],
            "said": self.sentence,
        }


def validated(plan: Plan, listing: HubListing | None = None) -> Validated | None:
    """By the tables, and by what the Hub was seen to list; None for a plan without a named model."""
    if plan.asked.model is None or plan.precision is None:
        return None
    model, precision = plan.asked.model.partition("@")[0], plan.precision
    base, label = deployed(model, "as-published")[0], precision.weights.value
    known = published_checkpoints(base)
    asis = precision.published or (precision.spec.quantization is None and precision.weights in DTYPE_OF)
    listed = tuple(_listed(plan, base, listing))
    serves = None
    if asis:
        serves = PublishedCopy(
            id=model, scheme=label, month=month_of(model), source="the model as its maker published it"
        )
    elif plan.chosen is not None:
        copy = published_copy(base, precision, plan.chosen.machine.accelerator)
        serves = _copy(copy.id, copy.scheme.value, f"{copy.source}, {copy.as_of}") if copy else None
    serves = serves or next(iter(listed), None)
    copies = [_copy(e.id, e.scheme.value, f"{e.source}, {e.as_of}") for e in known if asis or e.scheme.value == label]
    quantized = not asis or precision.spec.quantization is not None
    return Validated(
        sentence=_sentence(plan, serves, asis=asis, quantized=quantized),
        quantized=quantized,
        serves=serves,
        copies=tuple({copy.id: copy for copy in (*copies, *listed)}.values())[:MOST],
        heads=tuple(_heads(base, listing)),
    )


def month_of(checkpoint: str) -> str:
    found = validated_in(checkpoint)
    return found.month if found else ""


def in_words(month: str) -> str:
    """ "2025-05" -> "May 2025"."""
    year, number = month.split("-")
    return f"{month_name[int(number)]} {year}"


def _copy(name: str, scheme: str, source: str) -> PublishedCopy:
    return PublishedCopy(id=name, scheme=scheme, month=month_of(name), source=source)


def _sentence(plan: Plan, serves: PublishedCopy | None, *, asis: bool, quantized: bool) -> str:
    assert plan.precision is not None  # noqa: S101
    label = precision_name(plan.precision.weights)
    if serves is None:
        return f"Nobody is known to have published {model_name(plan.asked)} in {label}{_made(plan)}."
    seen = "; no validated collection names it"
    if serves.month:
        by = "" if serves.publisher == RED_HAT else f" by {RED_HAT}"
        seen = f", validated{by} in {in_words(serves.month)}"
    if asis and not quantized:
        return f"{serves.id} as {serves.publisher} published it{seen}."
    return f"{serves.id} in {label} by {serves.publisher}{seen}."


def _made(plan: Plan) -> str:
    """How it comes about where nobody published it."""
    start = launch_of(plan)
    if start.command and start.recipe is None:
        return ": vLLM makes it each time it loads"
    if plan.precision is not None and recipes_for(plan.precision.weights.value):
        return ": LLM Compressor makes it, by the recipe that the Memory page writes"
    return ", and no recipe makes it"


def _listed(plan: Plan, base: str, listing: HubListing | None) -> Iterator[PublishedCopy]:
    """Copies on the Hub in the plan's precision, by publishers that vLLM is known to load from: Red Hat AI's first."""
    if listing is None or plan.precision is None or plan.chosen is None:
        return
    maker, label = base.partition("/")[0], plan.precision.weights.value
    publishers = {entry.publisher for entry in checkpoints()} | {maker}
    found = [copy for copy in listing.quantized if copy.label == label and copy.id.partition("/")[0] in publishers]
    found.sort(key=lambda copy: (not copy.id.startswith("RedHatAI/"), not copy.id.startswith(f"{maker}/")))
    for copy in found:
        if loads(copy.id, plan.chosen.machine.accelerator):
            how = "declares the model" if copy.declared else "by its name alone"
            yield _copy(
                copy.id, label, f"the Hub lists it ({how}, {plural(copy.downloads, 'download')}): read its card"
            )


def _heads(base: str, listing: HubListing | None) -> Iterator[PublishedCopy]:
    known = [head for head in heads() if same_model(head.model, base)]
    for head in known:
        yield PublishedCopy(id=head.id, scheme=head.method, month="", source=f"{head.source}, {head.as_of}")
    for name in listing.heads if listing else ():
        if not any(same_model(name, head.id) for head in known):
            yield PublishedCopy(id=name, scheme="by its name", month="", source="the Hub lists it: read its card")


def validated_finding(found: Validated) -> PageFinding:
    """The copies that are known of this precision, and the heads, as rows."""
    rows = [
        (copy.id, copy.scheme, copy.publisher, in_words(copy.month) if copy.month else "no", copy.source)
        for copy in found.copies
    ]
    rows += [(head.id, f"drafts ({head.scheme})", head.publisher, "no", head.source) for head in found.heads]
    return PageFinding(
        title="Is it validated?",
        sentence=found.sentence,
        heads=("Checkpoint", "In", "By", "Validated", "Source"),
        rows=tuple(rows),
    )
