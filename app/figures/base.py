"""Results as plotly figures. Pure: values in, a figure out; colours follow the palette of the theme.

A figure is the plain dictionary that plotly.js reads. Plotly's own object checks each property as it is set, which
took three quarters of the time a small figure costs: here the tests check each figure, and drawing it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import plotly.graph_objects as go
import plotly.io
from plotly.basedatatypes import BaseFigure

from app.format import usd
from app.text import in_figure

# Okabe and Ito's colours, distinguishable with every common colour-vision deficiency.
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
GREY = "#8A949E"
_FONT = 13
Json: TypeAlias = dict[str, Any]
Figure: TypeAlias = Json | go.Figure  # {"data": traces, "layout": ...}, or plotly's own object


def _look(height: int) -> Json:
    """The look all figures share; backgrounds are left to the theme."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"size": _FONT},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hoverlabel": {"font": {"size": _FONT}},
        "dragmode": False,
    }


def drawing(data: Sequence[Json], layout: Json, *, height: int) -> Json:
    """Traces and a layout in the shared look, which `layout` may change."""
    return {"data": list(data), "layout": _look(height) | layout}


def styled(figure: go.Figure, *, height: int) -> go.Figure:
    """The shared look on plotly's own object."""
    figure.update_layout(_look(height))
    return figure


class Drawn(BaseFigure):  # type: ignore[misc]  # plotly has no types
    """A figure ready to be sent, which whoever draws it takes for plotly's own and does not look through again."""

    def __init__(self, plain: Json) -> None:
        self._plain = plain

    def to_dict(self) -> Json:
        return self._plain


@lru_cache(maxsize=4)
def _template(name: str) -> Json:
    """The look that a page gives figures, as plotly adds it to a figure that names none."""
    found: Json = plotly.io.templates[name].to_plotly_json()
    return found


def worded(figure: Figure, colour: str) -> Drawn:
    """The figure as it is drawn, every word in one colour: a line or a mark says by its own what a word belongs to."""
    plain = figure if isinstance(figure, dict) else figure.to_plotly_json()
    font = {"color": colour}
    layout = dict(plain["layout"])
    layout["font"] = layout.get("font", {}) | font
    layout["legend"] = layout.get("legend", {}) | {"font": layout.get("legend", {}).get("font", {}) | font}
    for axis in ("xaxis", "yaxis"):
        given = layout.get(axis, {})
        title = given.get("title", {})
        layout[axis] = given | {
            "tickfont": given.get("tickfont", {}) | font,
            "title": title | {"font": title.get("font", {}) | font},
        }
    layout["annotations"] = [note | {"font": note.get("font", {}) | font} for note in layout.get("annotations", ())]
    data = [
        trace | {"textfont": trace.get("textfont", {}) | font} if trace["type"] == "scatter" else trace
        for trace in plain["data"]
    ]
    layout.setdefault("template", _template(plotly.io.templates.default))
    return Drawn({"data": data, "layout": layout})


def line_across(*, x: float | None = None, y: float | None = None, width: float = 2) -> Json:
    """A red line over the whole height at `x`, or over the whole width at `y`, in the axis's own units."""
    ends = {"x0": x, "x1": x, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    if y is not None:
        ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", "line": {"color": RED, "width": width}, **ends}


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """One model on one machine: `billions` of parameters, USD a month."""

    label: str
    billions: float
    usd_per_month: float
    machine: str
    precision: str


def cost_by_size(article: Sequence[CostPoint], cheapest: Sequence[CostPoint], current: CostPoint | None) -> Json:
    """Monthly cost against model size on logarithmic axes, the article's machines beside today's cheapest."""
    series = (
        ("Cheapest machine that fits", cheapest, BLUE, "circle", "lines+markers", "bottom center"),
        ("The article's machine", article, ORANGE, "diamond", "markers+text", "top center"),
        ("Your model", [current] if current else [], RED, "star", "markers", "top center"),
    )
    data = [
        {
            "type": "scatter",
            "name": name,
            "mode": mode,
            "x": [p.billions for p in points],
            "y": [p.usd_per_month for p in points],
            "textposition": position,
            "line": {"color": colour, "width": 2, "dash": "dot"},
            "marker": {"color": colour, "symbol": symbol, "size": 16 if symbol == "star" else 11},
            "customdata": [
                (in_figure(p.label), in_figure(p.machine), p.precision, usd(p.usd_per_month)) for p in points
            ],
            "hovertemplate": (
                "%{customdata[0]} in %{customdata[2]}<br>%{customdata[1]}<br>%{customdata[3]} a month<extra></extra>"
            ),
        }
        | ({"text": [_size_and_cost(p) for p in points]} if "text" in mode else {})
        for name, points, colour, symbol, mode, position in series
        if points
    ]
    bands = ((0.5, 8.5, "small", 0.03), (8.5, 75, "medium", 0.10), (75, 900, "large", 0.03))
    ticks = [1, 3, 8, 14, 32, 70, 123, 405]
    layout = {
        "shapes": [_band(low, high, opacity) for low, high, _, opacity in bands],
        "annotations": [_band_name(low, high, name) for low, high, name, _ in bands],
        "xaxis": {
            "type": "log",
            "title": {"text": "billion parameters"},
            "tickvals": ticks,
            "ticktext": [str(t) for t in ticks],
            "range": [-0.35, 3.0],
            "fixedrange": True,
        },
        "yaxis": {
            "type": "log",
            "title": {"text": "USD a month"},
            "fixedrange": True,
            "tickvals": [300, 1000, 3000, 10000, 30000, 100000],
            "ticktext": ["$300", "$1,000", "$3,000", "$10,000", "$30,000", "$100,000"],
            "range": [2.3, 5.2],
        },
    }
    return drawing(data, layout, height=380)


def _size_and_cost(point: CostPoint) -> str:
    return in_figure(f"{point.label.rsplit(' ', 1)[-1]}: {usd(point.usd_per_month)}")


def _band(low: float, high: float, opacity: float) -> Json:
    ends = {"x0": low, "x1": high, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    return {"type": "rect", "fillcolor": GREY, "opacity": opacity, "line": {"width": 0}, **ends}


def _band_name(low: float, high: float, name: str) -> Json:
    place = {"x": _middle(low, high), "xref": "x", "y": 0.02, "yref": "paper"}
    return {"text": name, "showarrow": False, "font": {"size": _FONT}, **place}


def _middle(low: float, high: float) -> float:
    """Where an annotation stands on a logarithmic axis: plotly wants the exponent."""
    import math

    return (math.log10(low) + math.log10(high)) / 2
