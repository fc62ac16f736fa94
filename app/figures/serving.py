"""Memory and speed of one plan as plotly figures. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from app.exploring.what_if import MemoryPoint
from app.figures.base import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, styled
from app.format import GIB, gib, seconds, significant
from estimators.latency.estimate import OperatorTime
from estimators.latency.model import CurvePoint
from estimators.memory import MemoryEstimate

_ROLE_COLOURS = (BLUE, SKY, "#005580", "#7FB3D5", "#3E8EC4", "#9CC9E3", GREY)
_BOUND_COLOURS = {"bandwidth": BLUE, "compute": ORANGE, "link": PINK, "launch": GREY, "host": GREEN}


def memory_by_role(memory: MemoryEstimate) -> go.Figure:
    """Every term of the fullest GPU as one bar per group, weights split by what they are for."""
    roles = [(role.replace("_", " "), size) for role, size in memory.weights_bytes_per_gpu_by_role if size]
    roles.sort(key=lambda item: -item[1])
    rest = [
        ("KV cache and state", memory.load_bytes_per_gpu, ORANGE),
        ("activations", memory.activation_bytes_per_gpu, GREEN),
        ("engine", memory.overhead_bytes_per_gpu, PINK),
    ]
    bars = [(f"weights: {name}", size, _ROLE_COLOURS[min(i, 6)]) for i, (name, size) in enumerate(roles)] + rest
    figure = go.Figure(
        go.Bar(
            x=[size / GIB for _, size, _ in bars],
            y=[name for name, _, _ in bars],
            orientation="h",
            marker_color=[colour for _, _, colour in bars],
            text=[gib(size) for _, size, _ in bars],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", fixedrange=True)
    figure.update_xaxes(ticksuffix=" GiB", fixedrange=True, range=[0, max(size for _, size, _ in bars) / GIB * 1.2])
    return styled(figure, height=60 + 34 * len(bars))


def memory_line(points: Sequence[MemoryPoint], limit_bytes: int, axis: str) -> go.Figure:
    """Demand per GPU against a growing load, with the limit drawn in."""
    figure = go.Figure(
        go.Scatter(
            x=[point.amount for point in points],
            y=[point.bytes_per_gpu / GIB for point in points],
            mode="lines+markers",
            line={"color": BLUE, "width": 2},
            name="needed",
            hovertemplate="%{x:,}: %{y:.1f} GiB<extra></extra>",
        )
    )
    limit = limit_bytes / GIB
    figure.add_hline(y=limit, line_color=RED, line_width=2)
    figure.add_annotation(
        x=0,
        xref="paper",
        y=limit,
        text=f"limit {significant(limit)} GiB",
        showarrow=False,
        xanchor="left",
        yanchor="bottom",
        font={"color": RED},
    )
    ticks = [point.amount for point in points]
    figure.update_xaxes(type="log", title=axis, tickvals=ticks, ticktext=[f"{t:,}" for t in ticks], fixedrange=True)
    top = min(max(max(p.bytes_per_gpu for p in points) / GIB, limit), 3 * limit)
    figure.update_yaxes(title="GiB per GPU", range=[0, top * 1.1], fixedrange=True)
    return styled(figure, height=300)


def throughput_latency(points: Sequence[CurvePoint], objective_s: float | None, current: float | None) -> go.Figure:
    """Time per token against tokens per second of one replica, from one request to a full cache."""
    figure = go.Figure()
    rates = [point.output_tok_per_s.value for point in points]
    figure.add_scatter(
        x=[*rates, *reversed(rates)],
        y=[*(p.tpot_s.high * 1e3 for p in points), *(p.tpot_s.low * 1e3 for p in reversed(points))],
        fill="toself",
        mode="lines",
        fillcolor="rgba(0,114,178,0.15)",
        line={"width": 0},
        hoverinfo="skip",
        name="80 % interval",
    )
    figure.add_scatter(
        x=rates,
        y=[p.tpot_s.value * 1e3 for p in points],
        mode="lines+markers+text",
        text=[f"{p.concurrency:g}" for p in points],
        textposition="top center",
        name="requests at a time",
        line={"color": BLUE, "width": 2},
        customdata=[(p.concurrency, seconds(p.ttft_s.value), seconds(p.tpot_s.value)) for p in points],
        hovertemplate="%{customdata[0]:g} at a time: %{x:,.0f} tokens/s, %{customdata[2]} per token, "
        "first token after %{customdata[1]}<extra></extra>",
    )
    if objective_s is not None:
        figure.add_hline(y=objective_s * 1e3, line_color=RED, line_width=2)
        figure.add_annotation(
            x=0,
            xref="paper",
            y=objective_s * 1e3,
            text=f"objective {seconds(objective_s)}",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"color": RED},
        )
    if current is not None:
        nearest = min(points, key=lambda point: abs(point.concurrency - current))
        figure.add_scatter(
            x=[nearest.output_tok_per_s.value],
            y=[nearest.tpot_s.value * 1e3],
            mode="markers",
            name="near your load",
            marker={"color": ORANGE, "size": 14, "symbol": "diamond"},
            hoverinfo="skip",
        )
    figure.update_xaxes(title="output tokens per second, one replica", rangemode="tozero", fixedrange=True)
    figure.update_yaxes(title="ms per token", rangemode="tozero", fixedrange=True)
    return styled(figure, height=380)


def step_bound(decode: Sequence[OperatorTime], prefill: Sequence[OperatorTime]) -> go.Figure:
    """Where the time of a decode step and of a prompt goes, coloured by the ceiling that binds each part."""
    figure = go.Figure()
    shown: set[str] = set()
    for label, operators in (("a prompt", prefill), ("a token", decode)):
        total = sum(operator.seconds for operator in operators) or 1.0
        for operator in sorted(operators, key=lambda item: (item.bound, -item.seconds)):
            share = operator.seconds / total
            figure.add_bar(
                x=[share],
                y=[label],
                orientation="h",
                legendgroup=operator.bound,
                name=operator.bound,
                showlegend=operator.bound not in shown,
                marker_color=_BOUND_COLOURS.get(operator.bound, GREY),
                marker_line={"color": "rgba(255,255,255,0.8)", "width": 1},
                text=operator.name if share > 0.12 else "",
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate=f"{operator.name}: {seconds(operator.seconds)}, bound by {operator.bound}<extra></extra>",
            )
            shown.add(operator.bound)
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(tickformat=".0%", range=[0, 1], fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    return styled(figure, height=230)
