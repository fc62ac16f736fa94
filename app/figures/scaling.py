"""Size against data at one loss, as a plotly figure. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from app.figures.base import BLUE, GREEN, GREY, ORANGE, RED, styled
from app.format import count
from estimators.quality.scaling_laws import LARGEST_FITTED, Optimum, ScalingLaw, Trained, iso_loss

POINTS = 120
MOST_TOKENS = 4e13  # drawn; the longest trained of the known models has 36e12


def smaller_trained_longer(law: ScalingLaw, trained: Optimum, served: Optimum, known: Sequence[Trained]) -> go.Figure:
    """The curve of one loss over parameters and tokens, its two optima, and known models wherever they are."""
    low, high = min(served.params / 3, 1e9), max(trained.params * 6, 5e11)
    sizes = [low * (high / low) ** (step / (POINTS - 1)) for step in range(POINTS)]
    curve = [(n, d) for n, d in iso_loss(trained.loss, law, sizes) if d <= 3 * max(served.tokens, MOST_TOKENS)]
    figure = go.Figure()
    figure.add_scatter(
        x=[n for n, _ in curve],
        y=[d for _, d in curve],
        mode="lines",
        name=f"the same loss, {trained.loss:.3f}",
        line={"color": BLUE, "width": 2},
        customdata=[(count(n), count(d)) for n, d in curve],
        hovertemplate="%{customdata[0]} on %{customdata[1]} tokens<extra></extra>",
    )
    ends = (("best for training", trained, ORANGE, "circle"), ("best with serving", served, GREEN, "diamond"))
    for name, optimum, colour, symbol in ends:
        figure.add_scatter(
            x=[optimum.params],
            y=[optimum.tokens],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 13, "symbol": symbol},
            customdata=[(count(optimum.params), count(optimum.tokens))],
            hovertemplate="%{customdata[0]} on %{customdata[1]} tokens<extra>" + name + "</extra>",
        )
    figure.add_scatter(
        x=[model.params for model in known],
        y=[model.tokens for model in known],
        mode="markers+text",
        name="known models",
        text=[f" {model.label}" for model in known],
        textposition=["top right" if step % 2 else "bottom right" for step, _ in enumerate(known)],
        textfont={"size": 11},
        marker={"color": GREY, "size": 8, "symbol": "circle-open"},
        customdata=[(count(model.params), count(model.tokens)) for model in known],
        hovertemplate="%{text}: %{customdata[0]} on %{customdata[1]} tokens<extra></extra>",
    )
    figure.add_vline(x=LARGEST_FITTED, line={"color": RED, "dash": "dot"})
    _axis(figure.update_xaxes, "parameters", low, 2 * high)
    _axis(figure.update_yaxes, "training tokens", min(served.tokens, 3e11) / 3, 3 * max(served.tokens, MOST_TOKENS))
    return styled(figure, height=460)


def _axis(update: Callable[..., object], title: str, low: float, high: float) -> None:
    """A logarithmic axis with a tick at every 1 and 3, in billions and trillions as people say them."""
    ends = [math.log10(low), math.log10(high)]
    ticks = [digit * 10.0**power for power in range(math.floor(ends[0]), math.ceil(ends[1]) + 1) for digit in (1, 3)]
    texts = [f"{tick / 1e12:g} T" if tick >= 1e12 else f"{tick / 1e9:g} B" for tick in ticks]
    update(type="log", title=title, fixedrange=True, range=ends, tickvals=ticks, ticktext=texts)
