"""Prices over regions and time, and rented tokens against rented machines, as plotly figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import plotly.graph_objects as go

from app.figures.base import BLUE, ORANGE, styled
from app.format import usd
from app.text import in_figure
from pricing.offers import Offer
from pricing.snapshot import PricePoint

MOST_DAYS_NAMED = 3


def region_ranking(offers: Sequence[Offer], current: str) -> go.Figure:
    """Hourly price by region in the order given, the scenario's own region marked, old prices faint."""
    figure = go.Figure(
        go.Bar(
            x=[float(offer.usd_per_hour) for offer in offers],
            y=[in_figure(offer.region) for offer in offers],
            orientation="h",
            marker_color=[ORANGE if offer.region == current else BLUE for offer in offers],
            marker_opacity=[0.45 if offer.stale else 1 for offer in offers],
            text=[f"{usd(offer.usd_per_hour)}" for offer in offers],
            textposition="outside",
            cliponaxis=False,
            customdata=[offer.as_of.isoformat() for offer in offers],
            hovertemplate="%{y}: $%{x:.4f} an hour, %{customdata}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    top = max(float(offer.usd_per_hour) for offer in offers)
    figure.update_xaxes(tickprefix="$", title="USD an hour", range=[0, top * 1.18], fixedrange=True)
    return styled(figure, height=100 + 26 * len(offers))


def price_history(points: Sequence[PricePoint]) -> go.Figure:
    """Dated prices as steps: a price holds until the next row says otherwise."""
    figure = go.Figure(
        go.Scatter(
            x=[point.as_of for point in points],
            y=[float(point.usd_per_hour) for point in points],
            mode="lines+markers",
            line={"shape": "hv", "color": BLUE, "width": 2},
            customdata=[in_figure(point.origin) for point in points],
            hovertemplate="%{x|%Y-%m-%d}: $%{y:.4f} an hour<br>%{customdata}<extra></extra>",
        )
    )
    figure.update_yaxes(tickprefix="$", tickformat=".2f", title="USD an hour", rangemode="tozero", fixedrange=True)
    days = sorted({point.as_of for point in points})
    if len(days) <= MOST_DAYS_NAMED:
        figure.update_xaxes(tickvals=days, ticktext=[day.isoformat() for day in days])
    figure.update_xaxes(type="date", tickformat="%Y-%m-%d", fixedrange=True)
    if len(days) == 1:  # left alone, the axis of one day counts its milliseconds
        figure.update_xaxes(range=[days[0] - timedelta(days=30), days[0] + timedelta(days=30)])
    return styled(figure, height=330)
