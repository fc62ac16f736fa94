"""What tasks cost by pool of machines, and what a router costs by its share, as plotly figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, styled
from app.format import usd

COLOURS = (BLUE, ORANGE, GREEN, SKY, PINK, RED)


def cost_of_tasks(bars: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> go.Figure:
    """Dollars a month of each way, stacked by its machines. A bar is its name and (model, dollars) of each pool."""
    figure = go.Figure()
    models = list(dict.fromkeys(model for _, pools in bars for model, _ in pools))
    for number, model in enumerate(models):
        costs = [math.fsum(cost for other, cost in pools if other == model) for _, pools in bars]
        figure.add_bar(
            name=model,
            orientation="h",
            y=[name for name, _ in bars],
            x=costs,
            marker_color=COLOURS[number % len(COLOURS)],
            customdata=[usd(cost) for cost in costs],
            hovertemplate="%{y}: %{customdata} a month<extra>" + model + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.4)
    figure.update_xaxes(title="USD a month", tickprefix="$", tickformat=",", fixedrange=True)
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    return styled(figure, height=110 + 50 * len(bars))


def cost_by_share(curve: Sequence[tuple[float, float]], large: float, share: float) -> go.Figure:
    """Dollars a month of a router over the share that its small model takes, and of the large model alone."""
    figure = go.Figure()
    figure.add_scatter(
        x=[point for point, _ in curve],
        y=[cost for _, cost in curve],
        mode="lines+markers",
        name="routed",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x:g} %: $%{y:,.0f} a month<extra></extra>",
    )
    figure.add_scatter(
        x=[0, 100], y=[large, large], mode="lines", name="the large model alone", line={"color": ORANGE, "width": 2}
    )
    figure.add_vline(x=share, line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(title="share the small model takes, %", range=[-1, 101], fixedrange=True)
    figure.update_yaxes(title="USD a month", tickprefix="$", tickformat=",", rangemode="tozero", fixedrange=True)
    return styled(figure, height=360)
