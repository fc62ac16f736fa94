"""Results as plotly figures. Pure: values in, a figure out; colours follow the palette of the theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import plotly.graph_objects as go

from app.format import GIB, gib, significant, usd
from app.text import in_figure
from estimators.memory.estimate import MemoryEstimate

# Okabe and Ito's colours, distinguishable with every common colour-vision deficiency.
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#8A949E"
_FONT = 13
Figure: TypeAlias = go.Figure  # for those who hand a figure on


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """The look all figures share; backgrounds are left to the theme."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"size": _FONT},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        hoverlabel={"font": {"size": _FONT}},
        dragmode=False,
    )
    return figure


def worded(figure: Figure, colour: str) -> None:
    """Write every word of a figure in one colour; a line or a mark says by its own colour what a word belongs to."""
    figure.update_layout(font={"color": colour}, legend={"font": {"color": colour}})
    figure.update_xaxes(tickfont={"color": colour}, title={"font": {"color": colour}})
    figure.update_yaxes(tickfont={"color": colour}, title={"font": {"color": colour}})
    figure.update_traces(textfont={"color": colour}, selector={"type": "scatter"})
    figure.update_annotations(font={"color": colour})


def memory_bar(memory: MemoryEstimate, *, compact: bool = False) -> go.Figure:
    """Memory of the fullest GPU, term by term, with the limit drawn in; `compact` for the card."""
    parts = (
        ("Weights", memory.weights_bytes_per_gpu, BLUE),
        ("KV cache", memory.load_bytes_per_gpu, ORANGE),
        ("Activations", memory.activation_bytes_per_gpu, GREEN),
        ("Engine", memory.overhead_bytes_per_gpu, PINK),
    )
    figure = go.Figure()
    for name, size, colour in parts:
        figure.add_bar(
            name=name,
            x=[size / GIB],
            y=[""],
            orientation="h",
            marker_color=colour,
            marker_line_width=0,
            hovertemplate=f"{name}: {gib(size)}<extra></extra>",
        )
    limit = memory.memory_budget_bytes_per_gpu / GIB
    figure.add_vline(x=limit, line_width=3, line_color=RED)
    figure.add_annotation(
        x=limit,
        y=1.0,
        yref="paper",
        text=f"limit {significant(limit)} GiB",
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
        font={"color": RED, "size": _FONT},
    )
    widest = max(limit, memory.memory_bytes_per_gpu / GIB) * 1.03
    figure.update_xaxes(range=[0, widest], ticksuffix=" GiB", nticks=6, fixedrange=True, showgrid=False, zeroline=False)
    figure.update_yaxes(fixedrange=True)
    figure.update_layout(barmode="stack", bargap=0.1)
    if compact:
        figure.update_xaxes(showticklabels=False)
    figure = styled(figure, height=120 if compact else 170)
    return figure.update_layout(
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        legend={"orientation": "h", "yanchor": "top", "y": -0.1 if compact else -0.4, "x": 0, "traceorder": "normal"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """One model on one machine: `billions` of parameters, USD a month."""

    label: str
    billions: float
    usd_per_month: float
    machine: str
    precision: str


def cost_by_size(article: Sequence[CostPoint], cheapest: Sequence[CostPoint], current: CostPoint | None) -> go.Figure:
    """Monthly cost against model size on logarithmic axes, the article's machines beside today's cheapest."""
    figure = go.Figure()
    for low, high, name in ((0.5, 8.5, "small"), (8.5, 75, "medium"), (75, 900, "large")):
        figure.add_vrect(x0=low, x1=high, fillcolor=GREY, opacity=0.10 if name == "medium" else 0.03, line_width=0)
        figure.add_annotation(
            x=_middle(low, high),
            xref="x",
            y=0.02,
            yref="paper",
            text=name,
            showarrow=False,
            font={"size": _FONT},
        )
    series = (
        ("Cheapest machine that fits", cheapest, BLUE, "circle", "lines+markers", "bottom center"),
        ("The article's machine", article, ORANGE, "diamond", "markers+text", "top center"),
        ("Your model", [current] if current else [], RED, "star", "markers", "top center"),
    )
    for name, points, colour, symbol, mode, position in series:
        if points:
            figure.add_scatter(
                name=name,
                mode=mode,
                x=[p.billions for p in points],
                y=[p.usd_per_month for p in points],
                text=[in_figure(f"{p.label.rsplit(' ', 1)[-1]}: {usd(p.usd_per_month)}") for p in points]
                if "text" in mode
                else None,
                textposition=position,
                line={"color": colour, "width": 2, "dash": "dot"},
                marker={"color": colour, "symbol": symbol, "size": 16 if symbol == "star" else 11},
                customdata=[
                    (in_figure(p.label), in_figure(p.machine), p.precision, usd(p.usd_per_month)) for p in points
                ],
                hovertemplate=(
                    "%{customdata[0]} in %{customdata[2]}<br>%{customdata[1]}<br>%{customdata[3]} a month"
                    "<extra></extra>"
                ),
            )
    ticks = [1, 3, 8, 14, 32, 70, 123, 405]
    figure.update_xaxes(
        type="log",
        title="billion parameters",
        tickvals=ticks,
        ticktext=[str(t) for t in ticks],
        range=[-0.35, 3.0],
        fixedrange=True,
    )
    figure.update_yaxes(
        type="log",
        title="USD a month",
        fixedrange=True,
        tickvals=[300, 1000, 3000, 10000, 30000, 100000],
        ticktext=["$300", "$1,000", "$3,000", "$10,000", "$30,000", "$100,000"],
        range=[2.3, 5.2],
    )
    return styled(figure, height=380)


def _middle(low: float, high: float) -> float:
    """Where an annotation stands on a logarithmic axis: plotly wants the exponent."""
    import math

    return (math.log10(low) + math.log10(high)) / 2
