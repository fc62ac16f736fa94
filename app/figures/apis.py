"""Renting tokens and running machines over the volume, as a plotly figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, styled

COLOURS = (ORANGE, GREEN, PINK, SKY, RED)
MOST_LINES = len(COLOURS)


def over_volume(
    machines: Sequence[tuple[float, float]], apis: Sequence[tuple[str, float]], millions: float
) -> go.Figure:
    """Dollars a month over million output tokens a month, both logarithmic; an API is (name, dollars a million)."""
    figure = go.Figure()
    figure.add_scatter(
        x=[volume for volume, _ in machines],
        y=[cost for _, cost in machines],
        mode="lines+markers",
        name="machines",
        line={"color": BLUE, "width": 3},
        hovertemplate="%{x:,.3s} M tokens: $%{y:,.0f}<extra>machines</extra>",
    )
    for colour, (name, rate) in zip(COLOURS, apis[:MOST_LINES], strict=False):
        figure.add_scatter(
            x=[volume for volume, _ in machines],
            y=[rate * volume for volume, _ in machines],
            mode="lines",
            name=name,
            line={"color": colour, "width": 2},
            hovertemplate="%{x:,.3s} M tokens: $%{y:,.0f}<extra>" + name + "</extra>",
        )
    figure.add_vline(x=millions, line={"color": GREY, "dash": "dash"})
    figure.update_xaxes(type="log", dtick=1, title="million output tokens a month", tickformat=",~r", fixedrange=True)
    figure.update_yaxes(type="log", dtick=1, title="USD a month", tickprefix="$", tickformat=",~r", fixedrange=True)
    return styled(figure, height=400)
