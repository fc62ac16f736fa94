"""Recommendations as plotly figures: cost against latency and against quality. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import plotly.graph_objects as go

from app.exploring.sensitivity import Swing
from app.figures.base import BLUE, GREY, ORANGE, RED, SKY, styled
from app.format import p95, seconds, usd
from app.planning.recommendation import Point
from app.text import in_figure
from estimators.latency.estimate import TIMES

P = TypeVar("P")

NAMES_APART = 0.09  # of the height: points on the front closer than this share one name
LONGEST_NAME = 15  # characters; what a phone shows beside a point. Hovering names a point in full
ROOM = 0.75  # of the width, beside the front, where its names stand: nothing is cheaper and better there
FEWEST_TICKS = 4
TICKS = ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))
MOST_TIMES_THE_CHEAPEST = 100

LATENCIES: dict[str, tuple[str, float, Callable[[Point], float]]] = {  # title, units a second, seconds of a point
    "ttft": (f"{p95(TIMES['ttft'])}, s", 1.0, lambda point: point.ttft_p95_s),
    "tpot": (f"{p95(TIMES['tpot'])}, ms", 1e3, lambda point: point.tpot_p95_s),
    "e2e": (f"{p95(TIMES['e2e'])}, s", 1.0, lambda point: point.e2e_p95_s),
}


def cost_against_latency(points: Sequence[Point], key: str, limit: float | None) -> go.Figure:
    """Monthly cost over one latency for the plans that meet every limit, those nobody beats on both joined."""
    title, scale, in_seconds = LATENCIES[key]

    def latency(point: Point) -> float:
        return scale * in_seconds(point)

    passing = [point for point in points if point.passes]
    shown = _affordable(passing or list(points))
    figure = go.Figure()
    _add(figure, shown, latency, lambda point: seconds(in_seconds(point)))
    costs = [point.usd_per_month for point in shown]
    best = front([p for p in shown if p.passes], lambda point: point.usd_per_month, latency)
    _add_front(figure, best, latency, costs, "bottom left")
    if limit is not None:
        figure.add_vline(x=scale * limit, line_width=2, line_color=RED)
        _name_line(figure, _log10(scale * limit), f"limit {seconds(limit)}")
    ends = [latency(point) for point in shown] + ([scale * limit] if limit is not None else []) or [1.0]
    ticks = _ticks(min(ends), max(ends))
    low, high = _log10(min(ends)), _log10(max(ends))
    figure.update_xaxes(
        type="log",
        title=title,
        fixedrange=True,
        tickvals=ticks,
        ticktext=[f"{tick:g}" for tick in ticks],
        range=[low - ROOM * max(high - low, 0.1), high + 0.05 * max(high - low, 0.1)],
    )
    return _money(figure, shown)


def cost_against_quality(points: Sequence[Point], bar: float | None, reference: str) -> go.Figure:
    """Monthly cost over published quality relative to the reference, the bar drawn in; unknown quality is left out.

    One point per model and precision, on its cheapest accelerator.
    """
    cheapest: dict[tuple[str, str], Point] = {}
    for point in points:
        held = cheapest.get((point.model, point.precision))
        if point.quality is not None and (held is None or point.usd_per_month < held.usd_per_month):
            cheapest[point.model, point.precision] = point
    shown = _affordable(list(cheapest.values()))
    figure = go.Figure()
    _add(figure, shown, _percent, lambda point: f"{_percent(point):.1f} % of {reference}")
    best = front(shown, lambda point: point.usd_per_month, lambda point: -(point.quality or 0.0))
    _add_front(figure, best, _percent, [point.usd_per_month for point in shown], "bottom right")
    if bar is not None:
        figure.add_vline(x=100 * bar, line_width=2, line_color=RED)
        _name_line(figure, 100 * bar, f"bar {100 * bar:g} %")
    ends = [_percent(point) for point in shown] + ([100 * bar] if bar is not None else [])
    low, high = (min(ends), max(ends)) if ends else (0.0, 100.0)
    span = max(high - low, 1.0)
    figure.update_xaxes(
        title=f"quality, % of {in_figure(reference)}", fixedrange=True, range=[low - 0.05 * span, high + ROOM * span]
    )
    return _money(figure, shown)


def tornado(swings: Sequence[Swing]) -> go.Figure:
    """Monthly cost at the low and the high end of each assumption, around the cost now, the widest on top."""
    figure = go.Figure()
    shown = [swing for swing in reversed(swings) if swing.usd_low is not None and swing.usd_high is not None]
    for name, colour, end in (("a third less", SKY, 0), ("half more", ORANGE, 1)):
        figure.add_bar(
            name=name,
            orientation="h",
            y=[swing.assumption.name for swing in shown],
            base=[swing.usd_now for swing in shown],
            x=[((swing.usd_low, swing.usd_high)[end] or 0.0) - swing.usd_now for swing in shown],
            marker_color=colour,
            customdata=[usd((swing.usd_low, swing.usd_high)[end] or 0.0) for swing in shown],
            hovertemplate="%{y}, " + name + ": %{customdata} a month<extra></extra>",
        )
    figure.update_layout(barmode="overlay", bargap=0.35)
    figure.update_xaxes(title="USD a month", tickprefix="$", tickformat=",", fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return styled(figure, height=90 + 40 * max(1, len(shown)))


def _affordable(points: Sequence[Point]) -> list[Point]:
    """What costs up to a hundred times the cheapest: dearer points only flatten the picture. What costs nothing has no
    place on a logarithmic axis."""
    costing = [point for point in points if point.usd_per_month > 0]
    least = min((point.usd_per_month for point in costing), default=0.0)
    return [point for point in costing if point.usd_per_month <= MOST_TIMES_THE_CHEAPEST * least]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers of a logarithmic axis: as coarse as leaves four between the ends; on a short axis, even steps."""
    exponents = range(math.floor(_log10(max(low, 1e-9))) - 1, math.ceil(_log10(max(high, 1e-9))) + 1)
    for digits in TICKS:
        ticks = [digit * 10.0**exponent for exponent in exponents for digit in digits]
        if sum(low <= tick <= high for tick in ticks) >= FEWEST_TICKS:
            break
    else:
        ticks = _steps(low, high)
    inside = [tick for tick in ticks if low <= tick <= high]
    below = [tick for tick in ticks if tick < low][-1:]
    above = [tick for tick in ticks if tick > high][:1]
    return below + inside + above


def _steps(low: float, high: float) -> list[float]:
    """Even steps of 1, 2 or 5 in their decade, some four between the ends."""
    least = max((high - low) / FEWEST_TICKS, 1e-3 * high, 1e-12)
    power = 10.0 ** math.floor(_log10(least))
    step = min(power * digit for digit in (1, 2, 5, 10) if power * digit >= 0.999 * least)
    return [round(n * step, 12) for n in range(math.floor(low / step), math.ceil(high / step) + 1)]


def _name_line(figure: go.Figure, x: float, text: str) -> None:
    """The name of a limit above the picture, where no point is."""
    figure.add_annotation(
        x=x, y=1, yref="paper", text=text, showarrow=False, xanchor="right", yanchor="bottom", font={"color": RED}
    )


def _percent(point: Point) -> float:
    return 100 * (point.quality or 0.0)


def _add(figure: go.Figure, points: Sequence[Point], x: Callable[[Point], float], said: Callable[[Point], str]) -> None:
    groups = (
        ("Fails the quality bar or the budget", [p for p in points if not p.passes], GREY, "circle-open"),
        ("Meets every limit", [p for p in points if p.passes], BLUE, "circle"),
    )
    for name, members, colour, symbol in groups:
        if members:
            figure.add_scatter(
                name=name,
                mode="markers",
                x=[x(p) for p in members],
                y=[p.usd_per_month for p in members],
                marker={"color": colour, "symbol": symbol, "size": 8},
                customdata=[
                    (in_figure(_short(p.model)), p.precision, p.accelerator, usd(p.usd_per_month), said(p))
                    for p in members
                ],
                hovertemplate=(
                    "%{customdata[0]} in %{customdata[1]}<br>%{customdata[2]}<br>%{customdata[3]} a month<br>"
                    "%{customdata[4]}<extra></extra>"
                ),
            )


def _add_front(
    figure: go.Figure, best: Sequence[Point], x: Callable[[Point], float], costs: Sequence[float], side: str
) -> None:
    """The points nobody beats, joined; their names stand on the side of the front where nothing can be."""
    if not best:
        return
    figure.add_scatter(
        name="Nothing is cheaper and better",
        mode="lines+text",
        x=[x(p) for p in best],
        y=[p.usd_per_month for p in best],
        text=_names(best, costs),
        textposition=side,
        textfont={"size": 12},
        cliponaxis=False,
        line={"color": ORANGE, "width": 2},
        hoverinfo="skip",
    )


def front(points: Iterable[P], cost: Callable[[P], float], harm: Callable[[P], float]) -> tuple[P, ...]:
    """The points that are cheaper than every other of no more harm, dearest harm last: walk by cost, keep each that
    harms less than all before it.

    (1, 9), (2, 5), (3, 7), (4, 1) -> (1, 9), (2, 5), (4, 1).
    """
    kept: list[P] = []
    least = float("inf")
    for point in sorted(points, key=lambda p: (cost(p), harm(p))):
        if harm(point) < least:
            kept.append(point)
            least = harm(point)
    return tuple(kept)


def _names(best: Sequence[Point], costs: Sequence[float]) -> list[str]:
    """Names of the points of a front, leaving out those too near one that is named: plans that pass come first, the
    cheapest before the others."""
    height = max(_log10(max(costs)) - _log10(min(costs)), 0.1)
    named: list[float] = []
    names = [""] * len(best)
    twins = Counter((point.model, point.precision) for point in best)
    for i in sorted(range(len(best)), key=lambda i: (not best[i].passes, best[i].usd_per_month)):
        at = _log10(best[i].usd_per_month) / height
        if all(abs(at - other) >= NAMES_APART for other in named):
            named.append(at)
            name = _short(best[i].model)
            name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
            called = f"{name} {best[i].precision}"
            if twins[best[i].model, best[i].precision] > 1:  # told apart by where they run
                called += f" {best[i].accelerator.split('-')[0]}"
            names[i] = f"  {in_figure(called)}  "  # clear of the marker
    return names


def _short(model: str) -> str:
    return model.rsplit("/", 1)[-1].replace("-Instruct", "").replace("Meta-", "")


def _money(figure: go.Figure, points: Sequence[Point]) -> go.Figure:
    costs = [point.usd_per_month for point in points if point.usd_per_month > 0]
    ticks = _ticks(min(costs), max(costs)) if costs else []
    figure.update_yaxes(
        type="log", title="USD a month", fixedrange=True, tickvals=ticks, ticktext=[f"${tick:,.0f}" for tick in ticks]
    )
    figure = styled(figure, height=440)
    figure.update_layout(legend={"y": 1.08})
    return figure


def _log10(value: float) -> float:
    return math.log10(value)
