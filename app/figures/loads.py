"""Lengths of requests and the times they take, as a plotly figure. Pure."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.exploring.load_units import ServedLoad
from app.figures.base import BLUE, ORANGE, RED, SKY, styled


def lengths_and_times(served: ServedLoad) -> go.Figure:
    """Of each class, in its order: new, cached and written tokens as bars, the whole request's p95 as a line."""
    names = [f"{number}" for number, _ in enumerate(served.load.lengths, start=1)]
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    lengths = served.load.lengths
    bars = (
        ("tokens in, new", BLUE, [one.prompt - one.cached for one in lengths]),
        ("cached", SKY, [one.cached for one in lengths]),
        ("tokens out", ORANGE, [one.output for one in lengths]),
    )
    for name, colour, values in bars:
        figure.add_bar(name=name, x=names, y=values, marker_color=colour)
    figure.add_scatter(
        name="whole request, p95",
        x=names,
        y=[times["e2e"] for times in served.times],
        mode="lines+markers",
        line={"color": RED, "width": 2},
        secondary_y=True,
    )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="classes of requests, short to long", fixedrange=True)
    figure.update_yaxes(title="tokens", fixedrange=True, secondary_y=False)
    figure.update_yaxes(title="seconds", fixedrange=True, rangemode="tozero", showgrid=False, secondary_y=True)
    return styled(figure, height=320)
