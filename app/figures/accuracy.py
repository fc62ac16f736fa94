"""Predicted against published as a plotly figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, PINK, SKY, styled
from estimators.fitting.held_out import Checked

_COLOURS = {
    "single_stream": BLUE,
    "static_batch": ORANGE,
    "concurrency": GREEN,
    "max_throughput": PINK,
    "open_loop": SKY,
}

MOST_POINTS = 1500


def predicted_against_published(figures: Sequence[Checked]) -> go.Figure:
    """Published times and their held-out predictions on logarithmic axes; the band is 20 % either way.

    Evenly thinned to `MOST_POINTS`: drawn as vectors, since not every browser has WebGL.
    """
    figure = go.Figure()
    times = [f for f in figures if f.metric != "throughput"]
    times = times[:: 1 + len(times) // MOST_POINTS]
    if not times:
        return styled(figure, height=420)
    low, high = min(f.published for f in times), max(f.published for f in times)
    figure.add_scatter(
        x=[low, high, high, low],
        y=[low * 0.8, high * 0.8, high * 1.2, low * 1.2],
        fill="toself",
        fillcolor="rgba(138,148,158,0.25)",
        line={"width": 0},
        mode="lines",
        name="within 20 %",
        hoverinfo="skip",
    )
    for kind, colour in _COLOURS.items():
        members = [f for f in times if f.kind == kind]
        if members:
            figure.add_scatter(
                x=[f.published for f in members],
                y=[f.without_publication for f in members],
                mode="markers",
                name=kind.replace("_", " "),
                marker={"color": colour, "size": 5, "opacity": 0.55},
                customdata=[(f.model, f.precision, f.accelerator, f.metric) for f in members],
                hovertemplate="%{customdata[0]} %{customdata[1]} on %{customdata[2]}, %{customdata[3]}<br>"
                "published %{x:.3g} s, predicted %{y:.3g} s<extra></extra>",
            )
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": GREY, "width": 1}, showlegend=False, hoverinfo="skip"
    )
    figure.update_xaxes(type="log", dtick=1, title="published, seconds", fixedrange=True)
    figure.update_yaxes(type="log", dtick=1, title="predicted, seconds", fixedrange=True)
    return styled(figure, height=460)
