"""Ways to pay over the share of hours used, as a plotly figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, styled

MOST_LINES = 6  # more would hide each other
COLOURS = (ORANGE, BLUE, GREEN, PINK, SKY, RED)


def over_hours_used(lines: Sequence[tuple[str, float, bool]], used: Decimal) -> go.Figure:
    """Monthly cost of each way over the share of the month's hours its machines work; `used` is marked.

    A line is a name, its cost for every hour, and whether it is billed for them all: then it is flat.
    """
    figure = go.Figure()
    for colour, (name, full, flat) in zip(COLOURS, lines[:MOST_LINES], strict=False):
        figure.add_scatter(
            x=[0, 100],
            y=[full if flat else 0, full],
            mode="lines",
            name=name,
            line={"color": colour, "width": 2, "dash": "solid" if flat else "dot"},
            hovertemplate="%{x:.0f} % of the hours: $%{y:,.0f}<extra>" + name + "</extra>",
        )
    figure.add_vline(x=float(100 * used), line={"color": GREY, "dash": "dash"})
    figure.add_annotation(
        x=float(100 * used), y=1, yref="paper", text="you use", showarrow=False, xanchor="right", yanchor="top"
    )
    figure.update_xaxes(title="share of the month's hours used, %", range=[0, 102], fixedrange=True)
    figure.update_yaxes(title="USD a month", tickprefix="$", tickformat=",", rangemode="tozero", fixedrange=True)
    return styled(figure, height=380)
