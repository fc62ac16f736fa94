"""What size to train, and the dollars of serving it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from app.exploring.scaling import Training, finding_of, known_of, sizes, tokens_served, usd_per_flop, verdict_of
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.provenance import Refusal

SOURCES = shared_sources()
ASKED = plan(Scenario(model="meta-llama/Llama-3.1-70B-Instruct", rate=8), SOURCES)


def test_an_h100_hour_buys_so_many_operations() -> None:
    """$55.04 / 8 an hour, 989.4e12 a second, 40 % of them: 6.88 / (3600 x 989.4e12 x 0.4)."""
    assert float(usd_per_flop(40, Scenario(), SOURCES)) == pytest.approx(4.829e-18, rel=1e-3)


def test_dollars_and_operations_are_one_budget() -> None:
    by_flop = sizes(ASKED, Training(budget="5.76e23"), SOURCES)
    dollars = round(Decimal("5.76e23") * by_flop.usd_per_flop)
    by_dollar = sizes(ASKED, Training(budget=f"${dollars}"), SOURCES)
    assert by_dollar.flops == pytest.approx(5.76e23, rel=1e-6)


def test_three_published_sets_of_constants_each_with_its_optimum() -> None:
    found = sizes(ASKED, Training(served=2e12), SOURCES)
    trained = {pair.law.name: round(pair.trained.params / 1e9, 1) for pair in found.pairs}
    assert trained == {"epoch": 72.4, "hoffmann-printed": 32.2, "hoffmann-unrounded": 40.4}
    assert found.pair.lifetime_share == pytest.approx(0.935, abs=0.001)  # as worked in the laws' own tests


def test_the_dollars_are_the_planners_for_typical_models_of_either_size() -> None:
    found = sizes(ASKED, Training(served=2e12), SOURCES)
    ends = [
        plan(Scenario(params=params, rate=8), SOURCES).chosen for params in (72.399, 49.986)
    ]  # billions, by the default law
    costs = [end.usd_per_month for end in ends if end is not None and end.usd_per_month is not None]
    assert found.saving_usd == costs[0] - costs[1]
    assert found.saving_usd > 0
    assert "a month to serve" in verdict_of(found)


def test_the_more_is_served_the_smaller_and_the_more_is_saved() -> None:
    found = [sizes(ASKED, Training(served=tokens), SOURCES).pair for tokens in (1e11, 1e12, 1e13)]
    assert found[0].served.params > found[1].served.params > found[2].served.params
    assert found[0].lifetime_share > found[1].lifetime_share > found[2].lifetime_share


def test_tokens_of_the_load() -> None:
    """8 requests a second of 1,024 in and 128 out for 730 hours: 8 x 1152 x 3600 x 730; half cached, 640 of 1,152."""
    assert tokens_served(ASKED, 1) == pytest.approx(8 * 1152 * 3600 * 730)
    cached = plan(replace(ASKED.asked, prefix=0.5), SOURCES)
    assert tokens_served(cached, 2) == pytest.approx(2 * 8 * 640 * 3600 * 730)


def test_nothing_served_is_the_training_optimum() -> None:
    assert "nothing is served" in verdict_of(sizes(ASKED, Training(served=0.0), SOURCES))


def test_the_limits_of_the_fit_are_said() -> None:
    notes = " ".join(finding_of(sizes(ASKED, Training(served=1e19), SOURCES)).notes)
    assert "up to 16.0 B parameters and 500 B tokens" in notes
    assert "nobody has trained so long to check" in notes
    assert "within 6.0 % of either" in notes
    small = " ".join(finding_of(sizes(ASKED, Training(budget="1e20", served=1e9), SOURCES)).notes)
    assert "Beyond the fit" not in small


def test_sizes_nobody_can_lay_out_cost_nothing_and_say_why() -> None:
    found = sizes(ASKED, Training(budget="1e28", served=1e12), SOURCES)
    assert found.saving_usd is None
    assert any(note.startswith("No saving in dollars: ") for note in finding_of(found).notes)


def test_known_models_stand_beside_the_size_their_training_alone_would_choose() -> None:
    rows = {row[0]: row for row in known_of().rows}
    assert rows["Chinchilla 70B"][5] == "73.1 B on 1.34 T"  # within 6 % of 70 B on 1.4 T
    assert rows["Llama 3.1 8B"][3] == "1,870"


@pytest.mark.parametrize("budget", ["0", "$0", "1e16", "$999999999999"])
def test_a_budget_outside_the_range_is_refused(budget: str) -> None:
    with pytest.raises(Refusal) as refusal:
        sizes(ASKED, Training(budget=budget), SOURCES)
    assert refusal.value.field == "law_budget"
