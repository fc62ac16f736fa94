"""Prices over regions and time, and rented tokens against rented machines, as plotly figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import plotly.graph_objects as go

from app.exploring.token_cost import VolumeCost
from app.figures.base import BLUE, GREEN, ORANGE, RED, styled
from app.format import usd
from app.text import in_figure
from pricing.offers import Offer
from pricing.snapshot import PricePoint

MOST_DAYS_NAMED = 3


def region_ranking(offers: Sequence[Offer], current: str) -> go.Figure:
    """Hourly price by region, cheapest at the top, the scenario's own region marked."""
    figure = go.Figure(
        go.Bar(
            x=[float(offer.usd_per_hour) for offer in offers],
            y=[in_figure(offer.region) for offer in offers],
            orientation="h",
            marker_color=[ORANGE if offer.region == current else BLUE for offer in offers],
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


def rent_tokens_or_machines(points: Sequence[VolumeCost], first: float | None) -> go.Figure:
    """Monthly cost of an API and of machines against output tokens a month, on logarithmic axes."""
    figure = go.Figure()
    volumes = [point.output_millions for point in points]
    figure.add_scatter(
        x=volumes,
        y=[point.api_usd for point in points],
        mode="lines",
        name="renting tokens",
        line={"color": ORANGE, "width": 2},
        hovertemplate="%{x:,.0f} M tokens: $%{y:,.0f}<extra>tokens</extra>",
    )
    figure.add_scatter(
        x=volumes,
        y=[point.machines_usd for point in points],
        mode="lines",
        name="renting machines",
        line={"color": BLUE, "width": 2, "shape": "hv"},
        hovertemplate="%{x:,.0f} M tokens: $%{y:,.0f}<extra>machines</extra>",
    )
    if points:
        figure.add_vline(x=points[0].planned_output_millions, line={"color": GREEN, "dash": "dot"})
        figure.add_annotation(
            x=_log10(points[0].planned_output_millions),
            y=1,
            yref="paper",
            text="your load, all hours",
            showarrow=False,
            font={"color": GREEN},
            yanchor="top",
            xanchor="left",
        )
    if first is not None:
        figure.add_vline(x=first, line={"color": RED, "dash": "dash"})
        figure.add_annotation(
            x=_log10(first),
            y=0,
            yref="paper",
            text="break-even",
            showarrow=False,
            font={"color": RED},
            yanchor="bottom",
            xanchor="left",
        )
    figure.update_xaxes(type="log", dtick=1, title="million output tokens a month", fixedrange=True)
    figure.update_yaxes(type="log", dtick=1, title="USD a month", tickprefix="$", fixedrange=True)
    return styled(figure, height=380)


def equal_cost(line: tuple[float | None, float | None], load: tuple[float, float]) -> go.Figure:
    """Where an API's month costs what one replica's does, input and output tokens apart; the load is the marked point.

    `line` holds its ends in millions of tokens, all input and all output; an end is None where the API charges nothing.
    """
    all_input, all_output = line
    wide = max(all_input or 0.0, load[0]) * 1.15 or 1.0
    high = max(all_output or 0.0, load[1]) * 1.15 or 1.0
    start = (0.0, all_output) if all_output is not None else (all_input or 0.0, high)
    end = (all_input, 0.0) if all_input is not None else (wide, all_output or 0.0)
    figure = go.Figure(
        go.Scatter(
            x=[start[0], end[0]], y=[start[1], end[1]], mode="lines", name="equal cost", line={"color": RED, "width": 2}
        )
    )
    figure.add_scatter(
        x=[load[0]],
        y=[load[1]],
        mode="markers",
        name="your load, all hours",
        marker={"color": GREEN, "size": 13, "symbol": "diamond"},
    )
    for x, y, text in ((0.97, 0.97, "machines cheaper, if a replica serves it"), (0.03, 0.03, "tokens cheaper")):
        figure.add_annotation(x=x, y=y, xref="paper", yref="paper", text=text, showarrow=False)
    figure.update_xaxes(title="million input tokens a month", range=[0, wide], fixedrange=True)
    figure.update_yaxes(title="million output tokens a month", range=[0, high], fixedrange=True)
    return styled(figure, height=360)


def _log10(value: float) -> float:
    """An annotation on a logarithmic axis is placed by its exponent."""
    import math

    return math.log10(max(value, 1e-9))
