"""The memory bar: parts and limit to scale, each said in words, none of them more than text."""

from __future__ import annotations

import re

import pytest

from app.figures.memory_bar import MOST_TICKS, memory_bar, tick_step
from app.planning.planner import CHEAPEST, plan
from app.scenario import Scenario, with_page_defaults
from app.sources import shared_sources
from estimators.memory.estimate import MemoryEstimate


def memory(**fields: object) -> MemoryEstimate:
    scenario = Scenario(**{"instance": "g6.xlarge", **fields})  # type: ignore[arg-type]
    chosen = plan(with_page_defaults(scenario), shared_sources(), within=CHEAPEST).chosen
    assert chosen is not None
    assert chosen.memory is not None
    return chosen.memory


@pytest.mark.parametrize("fields", [{}, {"model": "meta-llama/Llama-3.1-70B-Instruct"}])
def test_parts_and_limit_are_to_one_scale_whether_they_fit_or_not(fields: dict[str, object]) -> None:
    held = memory(**fields)
    bar = memory_bar(held, said="")
    widths = [float(width) for width in re.findall(r'<span title="[^"]*" style="width:([\d.]+)%', bar)]
    (limit,) = re.findall(r'class="limit" style="width:([\d.]+)%', bar)
    used = held.memory_bytes_per_gpu / held.memory_budget_bytes_per_gpu
    assert sum(widths) / float(limit) == pytest.approx(used, rel=1e-3)
    assert max(sum(widths), float(limit)) == pytest.approx(100 / 1.03, abs=0.05)
    assert widths[0] / sum(widths) == pytest.approx(held.weights_bytes_per_gpu / held.memory_bytes_per_gpu, rel=1e-3)


def test_every_part_is_said_beside_it_and_read_out_with_its_size() -> None:
    bar, card = (memory_bar(memory(), said="It's <16> of 20.", compact=compact) for compact in (False, True))
    read = re.search(r'role="img" aria-label="([^"]*)"', bar)
    assert read is not None
    assert read[1].startswith("It&#x27;s &lt;16&gt; of 20. Weights: 15.0 GiB; KV cache: ")
    for name in ("Weights", "KV cache", "Activations", "Engine"):
        assert re.search(rf"</i>{name}: [\d.]+ GiB</span>", bar)
        assert f"</i>{name}</span>" in card
    assert "limit 20.3 GiB" in bar
    assert "0 GiB" in bar
    assert "axis" not in card


def test_a_load_beyond_every_machine_is_drawn_too() -> None:
    """A million requests of 33,768 tokens: 3.9 million GiB."""
    bar = memory_bar(memory(concurrency=1_000_000, prompt=32_768, output=1_000), said="")
    assert "1e+06 GiB" in bar


@pytest.mark.parametrize(
    ("widest", "step"), [(20.9, 5), (9.9, 2), (0.5, 0.1), (180, 50), (6, 2), (1.2e5, 5e4), (4e6, 1e6), (1e12, 2e11)]
)
def test_an_axis_has_a_few_round_ticks(widest: float, step: float) -> None:
    assert tick_step(widest) == pytest.approx(step)
    assert widest / step < MOST_TICKS
