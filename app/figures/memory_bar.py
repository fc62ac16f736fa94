"""Memory of one GPU as a bar of plain HTML, which the page's own sheet of styles lays out.

It is drawn again at every change of an input: plotly took a third of the time until a browser had painted that.
"""

from __future__ import annotations

import math

from app.figures.base import BLUE, GREEN, ORANGE, PINK
from app.format import GIB, gib, significant
from app.text import in_html
from estimators.memory.estimate import MemoryEstimate

MOST_TICKS = 6


def memory_bar(memory: MemoryEstimate, *, said: str, compact: bool = False) -> str:
    """Memory of the fullest GPU, term by term, with the limit drawn in; `said` is what is read out before its parts.
    `compact`, for the card, has no axis, and its sizes only under the pointer."""
    parts = (
        ("Weights", memory.weights_bytes_per_gpu, BLUE),
        ("KV cache", memory.load_bytes_per_gpu, ORANGE),
        ("Activations", memory.activation_bytes_per_gpu, GREEN),
        ("Engine", memory.overhead_bytes_per_gpu, PINK),
    )
    limit = memory.memory_budget_bytes_per_gpu
    widest = max(limit, memory.memory_bytes_per_gpu) * 1.03
    names = [f"{name}: {gib(size)}" for name, size, _ in parts]
    bars = "".join(
        f'<span title="{name}" style="width:{_percent(size, widest)};background:{colour}"></span>'
        for name, (_, size, colour) in zip(names, parts, strict=True)
    )
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{name if compact else sized}</span>'
        for sized, (name, _, colour) in zip(names, parts, strict=True)
    )
    at = _percent(limit, widest)
    return (
        f'<div class="memory-bar" role="img" aria-label="{in_html(said)} {"; ".join(names)}.">'
        f'<div class="limit" style="width:{at}">limit {significant(limit / GIB)} GiB</div>'
        f'<div class="parts">{bars}<b style="left:{at}"></b></div>'
        f'{"" if compact else _axis(widest / GIB)}<div class="legend">{legend}</div></div>'
    )


def _axis(widest: float) -> str:
    step = tick_step(widest)
    marks = (step * n for n in range(int(widest / step) + 1))
    ticks = "".join(f'<span style="left:{_percent(mark, widest)}">{mark:g} GiB</span>' for mark in marks)
    return f'<div class="axis">{ticks}</div>'


def tick_step(widest: float) -> float:
    """1, 2 or 5 times a power of ten, so that at most `MOST_TICKS` of it and 0 lie within `widest`."""
    least = 10.0 ** math.floor(math.log10(widest / MOST_TICKS))
    return next(step for factor in (1, 2, 5, 10) if widest / (step := factor * least) < MOST_TICKS)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%"
