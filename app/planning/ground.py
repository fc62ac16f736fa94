"""What a question is weighed over: its variants, chips and verdicts, and, once laid and served, its scales. No own I/O.

`recommend` weighs a question once. Who asks the same question again with one thing changed keeps the ground, and of it
only the cells (a variant over a chip, in one layout) that could still come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.planning.market import Chip, chips_of, market_of, placements
from app.planning.planner import Sources
from app.planning.quality_bar import Judgement, judge, on_one_ruler
from app.planning.question import Question
from app.planning.replicas import serve
from app.planning.ways import Benches, Cell, Layout, Variant, benches_of, layouts_of, variants_of
from app.planning.weigher import Weigher
from app.scenario import decode
from estimators.architecture.spec import ModelSpec
from estimators.architecture.typical import spec_from_parameter_count
from estimators.hardware.catalogue import read_as
from estimators.provenance import Refusal
from pricing.offers import PriceBook

NEARLY = 0.05  # of the reference's quality below the bar: who would loosen it by more asks another question
MOST_LAYOUTS = 30_000  # at a fifth of a millisecond each; 45 models in the usual precisions are 24,396


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """`cells` None: every layout of every variant over every chip. `skipped`: variants that fail the bar whatever their
    speed, whose layouts are counted and not estimated."""

    question: Question
    variants: tuple[Variant, ...]
    chips: tuple[Chip, ...]
    judgements: tuple[Judgement, ...]
    skipped: frozenset[int]
    notes: tuple[str, ...]
    cells: frozenset[Cell] | None = None

    def asking(self, question: Question) -> Ground:
        """The same ground under another load, other limits on time, other hours or prices of what one has: nothing that
        judges quality or adds a machine."""
        return replace(self, question=question, chips=chips_of(question))

    def narrowed(self, cells: AbstractSet[Cell]) -> Ground:
        """These cells alone, of the variants they are of."""
        kept = sorted({cell.variant for cell in cells})
        place = {old: new for new, old in enumerate(kept)}
        return replace(
            self,
            variants=tuple(self.variants[old] for old in kept),
            judgements=tuple(self.judgements[old] for old in kept),
            skipped=frozenset(place[old] for old in self.skipped if old in place),
            cells=frozenset(cell._replace(variant=place[cell.variant]) for cell in cells),
        )

    def weighed(self, book: PriceBook) -> tuple[Weigher, tuple[Benches, ...]]:
        """Every layout served and held against every limit. Raises `Refusal` for a load that no engine takes."""
        scales = self.laid(book)
        _serve([scales])
        return scales.weigher, scales.benches

    def laid(self, book: PriceBook) -> Scales:
        """The layouts and prices, nothing served yet."""
        benches = benches_of(self.question, self.variants)
        layouts = layouts_of(self.question, self.variants, self.chips, benches, self.skipped, self.cells)
        if not layouts:
            raise Refusal("No accelerator runs these precisions.", field="weights", remedy="Allow another precision.")
        market = market_of(self.question, self.chips, book)
        weigher = Weigher(self.question, self.variants, self.chips, market, self.judgements)
        return Scales(weigher, benches, layouts)


class Scales(NamedTuple):
    """A weigher, and what is to be put on it, or was."""

    weigher: Weigher
    benches: tuple[Benches, ...]
    layouts: tuple[Layout, ...]


def weighed_together(grounds: Sequence[Ground], book: PriceBook) -> list[Weigher | None]:
    """Each ground weighed, all served together in arrays; None for a load that no engine takes."""
    return [one and one.weigher for one in scales_of(grounds, book)]


def scales_of(grounds: Sequence[Ground], book: PriceBook) -> list[Scales | None]:
    """The same with the benches beside each weigher."""
    scales: list[Scales | None] = []
    for ground in grounds:
        try:
            scales.append(ground.laid(book))
        except Refusal:
            scales.append(None)
    _serve([one for one in scales if one is not None])
    return scales


def _serve(scales: Sequence[Scales]) -> None:
    """The plain layouts, then those that draft and could come out ahead of them."""
    asks = [s.weigher.asking(s.layouts, bounds=any(bench.drafting for bench in s.benches)) for s in scales]
    for one, served in zip(scales, serve(asks), strict=True):
        one.weigher.add(one.layouts, served)
    drafting = [(s.weigher, s.weigher.worth_drafting(s.benches)) for s in scales]
    some = [(weigher, layouts) for weigher, layouts in drafting if layouts]
    for (weigher, layouts), served in zip(some, serve([w.asking(layouts) for w, layouts in some]), strict=True):
        weigher.add(layouts, served)


def ground_of(question: Question, sources: Sources) -> Ground:
    """The ground of a question. Raises `Refusal` when nothing that was named can be weighed, or it is too much."""
    question = replace(question, bar=on_one_ruler(question.bar, question.models))
    specs, notes = _specs(question, sources)
    variants, left_out = variants_of(question, specs, sources.logs)
    chips = chips_of(question)
    if not variants or not chips:
        raise Refusal("Nothing is left to weigh.", field="model", remedy="Allow another model, precision or vendor.")
    _check_size(question, variants, chips)
    judgements = tuple(judge(v.model, v.precision, v.kv, question.bar) for v in variants)
    return Ground(
        question=question,
        variants=variants,
        chips=chips,
        judgements=judgements,
        skipped=_hopeless(variants, judgements),
        notes=(*notes, *_read_as(question), *left_out),
    )


def _check_size(question: Question, variants: Sequence[Variant], chips: Sequence[Chip]) -> None:
    """Refuses what is too much for one question, before any of it is worked out: V variants over chips of p layouts
    each are V x sum of p; 60 models in every precision, 1,018 variants, over the 76 layouts of 18 chips are 77,368."""
    most = len(variants) * sum(len(placements(question.scenario, chip)) for chip in chips)
    if most > MOST_LAYOUTS:
        raise Refusal(
            f"{len(question.models)} models in {len(question.weights)} precisions over {len(chips)} accelerators are "
            f"{most:,} layouts, and one question weighs up to {MOST_LAYOUTS:,}.",
            field="models",
            remedy="Name fewer models or precisions, or fewer vendors.",
        )


def _hopeless(variants: Sequence[Variant], judgements: Sequence[Judgement]) -> frozenset[int]:
    """Variants that nobody has published a comparison for or that fall far short of the bar, but for one per model: no
    speed or price makes them pass.

    The one, as published, stays to show what its model would cost; those just short stay to be named as ways out.
    """
    return frozenset(
        index
        for index, (variant, judged) in enumerate(zip(variants, judgements, strict=True))
        if not (variant.precision.published and variant.own_cache) and (not judged.known or _far_short(judged))
    )


def _far_short(judged: Judgement) -> bool:
    margin = judged.result.margin if judged.result is not None else None
    return margin is not None and margin < -NEARLY


def _specs(question: Question, sources: Sources) -> tuple[dict[str, ModelSpec], list[str]]:
    specs: dict[str, ModelSpec] = {}
    notes: list[str] = []
    for model in question.models:
        try:
            specs[model] = sources.spec(model) if "/" in model else _typical(model)
        except Refusal as refusal:
            notes.append(str(refusal))
    return specs, notes


def _read_as(question: Question) -> Iterator[str]:
    names = {own.gpu for own in question.owned} | ({question.scenario.gpu} if question.scenario.gpu else set())
    yield from (f"{read}." for name in sorted(names) if (read := read_as(name)))


def _typical(count: str) -> ModelSpec:
    asked = decode({"model": count}).scenario
    if asked.params is None:
        raise Refusal(f"{count[:60]!r} is neither a Hub id nor a size.", field="model")
    return spec_from_parameter_count(asked.params * 1e9, asked.active * 1e9 if asked.active else None)
