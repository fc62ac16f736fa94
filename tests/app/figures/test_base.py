"""Figures are sent as they are: they have to be what plotly's own object, which checks all, makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import plotly.graph_objects as go
import plotly.io
import pytest
from plotly.tools import return_figure_from_figure_or_data

from app.figures.base import CostPoint, Figure, cost_by_size, worded
from app.figures.serving import throughput_latency
from estimators.latency.estimate import Interval
from estimators.latency.model import CurvePoint


def sizes() -> Figure:
    points = [
        CostPoint(label=f"Llama {b}B", billions=b, usd_per_month=100.0 * b, machine="g6.xlarge", precision="BF16")
        for b in (8, 70)
    ]
    return cost_by_size(points, points, points[0])


def curve() -> Figure:
    time = Interval(value=0.02, low=0.01, high=0.03)
    load = CurvePoint(
        concurrency=1, ttft_s=time, tpot_s=time, e2e_s=time, output_tok_per_s=time, req_per_s=time,
        waits_for_memory=False,
    )  # fmt: skip
    return throughput_latency([load, load], 0.03, 7.0)


def spec(figure: object) -> Figure:
    """What Streamlit sends of a figure it is given."""
    text = plotly.io.to_json(return_figure_from_figure_or_data(figure, validate_figure=True), validate=False)
    found: Figure = json.loads(text)
    return found


@pytest.mark.parametrize("figure", [sizes, curve])
def test_a_figure_is_sent_as_plotly_would_have_sent_it(figure: Callable[[], Figure]) -> None:
    drawn = worded(figure(), "#112233")
    assert spec(drawn) == spec(go.Figure(drawn.to_dict()))


def test_every_word_of_a_drawn_figure_has_the_colour_that_was_asked_for() -> None:
    layout = worded(sizes(), "#112233").to_dict()["layout"]
    words = (layout, layout["legend"], layout["xaxis"]["title"], layout["annotations"][0])
    assert {part["font"]["color"] for part in words} == {"#112233"}
    assert layout["xaxis"]["tickfont"] == layout["yaxis"]["tickfont"] == {"color": "#112233"}
