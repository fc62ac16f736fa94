"""Layouts of one model on the machines a test sells, as the planner weighs them."""

from __future__ import annotations

from app.planning.market import chips_of, market_of, placements
from app.planning.quality_bar import NO_BAR
from app.planning.question import Question
from app.planning.ways import Layout, Variant, benches_of
from app.planning.weigher import Weigher
from app.scenario import Scenario
from app.sources import LocalSources
from estimators.precision import resolve_precision


def layouts_of(scenario: Scenario, sources: LocalSources) -> tuple[Weigher, list[Layout]]:
    """A weigher with nothing on its scales yet, and every layout of the scenario's model."""
    question = Question.of(scenario)
    chips = chips_of(question)
    precision = resolve_precision(sources.spec(scenario.model or ""), scenario.weights, kv=scenario.kv)
    variant = Variant(
        model=scenario.model or "",
        precision=precision,
        asked_weights=scenario.weights,
        kv=precision.kv,
        own_kv=precision.kv,
    )
    bench = benches_of(question, (variant,))[0].plain
    layouts = [
        Layout(0, number, bench.laid(chip.machine, placement))
        for number, chip in enumerate(chips)
        for placement in placements(scenario, chip)
    ]
    return Weigher(question, (variant,), chips, market_of(question, chips, sources.book), (NO_BAR,)), layouts
