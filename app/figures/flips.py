"""How far each assumption is from changing the decision, as a plotly figure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.base import BLUE, GREY, ORANGE, styled
from app.text import in_figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One bar each way: `down` and `up` are shares of the way that was looked at, with what stands at their ends; None
    where nothing flips, and 0 where that side was not looked at."""

    name: str
    down: float | None
    up: float | None
    down_said: str = ""
    up_said: str = ""


def reaches_to_flips(reaches: Sequence[Reach]) -> go.Figure:
    """Bars from the present value to the flip, the nearest on top; pale where nothing flips as far as was looked."""
    figure = go.Figure()
    names = [in_figure(reach.name) for reach in reaches]
    sides = (
        ("flips below", BLUE, -1, [(reach.down, reach.down_said) for reach in reaches]),
        ("flips above", ORANGE, 1, [(reach.up, reach.up_said) for reach in reaches]),
    )
    for name, colour, sign, bars in sides:
        figure.add_bar(
            name=name,
            orientation="h",
            y=names,
            x=[sign * (share or 0.0) for share, _ in bars],
            marker_color=colour,
            text=[in_figure(said) if share else "" for share, said in bars],
            textposition="outside",
            cliponaxis=False,
            customdata=[in_figure(said) for _, said in bars],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    for sign in (-1, 1):
        open_ = [reach.down if sign < 0 else reach.up for reach in reaches]
        figure.add_bar(
            name="nothing flips",
            showlegend=sign < 0,
            orientation="h",
            y=names,
            x=[sign if share is None else 0.0 for share in open_],
            marker_color=GREY,
            opacity=0.25,
            hovertemplate="%{y}: nothing flips as far as was looked<extra></extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0.6)
    for name in names:  # above its bar: beside it a phone has no room
        figure.add_annotation(
            x=0, xref="paper", y=name, text=name, showarrow=False, xanchor="left", align="left", yshift=21
        )
    figure.update_xaxes(
        title="times the present value",
        range=[-1.3, 1.3],
        tickvals=[-1, -0.5, 0, 0.5, 1],
        ticktext=["¼", "½", "now", "2", "4"],
        fixedrange=True,
    )
    figure.update_yaxes(autorange="reversed", fixedrange=True, showticklabels=False)
    return styled(figure, height=130 + 54 * max(1, len(reaches)))
