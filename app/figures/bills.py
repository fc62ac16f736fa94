"""A month's bill from list price to everything counted, as a plotly figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, styled
from app.format import usd


def waterfall(listed: float, lines: Sequence[tuple[str, float]]) -> go.Figure:
    """Steps of dollars a month: the machines at list and what was negotiated off them where they differ, then each
    line of the bill, the machines first, and the whole."""
    name, machines = lines[0]
    steps = [(name, machines, "absolute")]
    if listed != machines:
        steps = [("At list price", listed, "absolute"), ("Negotiated", machines - listed, "relative")]
    steps += [(label, dollars, "relative") for label, dollars in lines[1:]]
    whole = sum(dollars for _, dollars in lines)
    steps.append(("Whole bill", whole, "total"))
    figure = go.Figure()
    figure.add_waterfall(
        x=[label for label, _, _ in steps],
        y=[dollars for _, dollars, _ in steps],
        measure=[kind for _, _, kind in steps],
        text=[usd(dollars) if dollars >= 0 else f"−{usd(-dollars)}" for _, dollars, _ in steps],
        textposition="outside",
        connector={"line": {"color": GREY, "width": 1}},
        increasing={"marker": {"color": ORANGE}},
        decreasing={"marker": {"color": GREEN}},
        totals={"marker": {"color": BLUE}},
        hovertemplate="%{x}: %{text}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(
        title="USD a month",
        tickprefix="$",
        tickformat=",",
        range=[0, 1.15 * max(listed, whole, 1e-9)],
        fixedrange=True,
    )
    figure.update_xaxes(fixedrange=True)
    return styled(figure, height=320)
