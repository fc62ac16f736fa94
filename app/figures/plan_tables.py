"""The figures of a plan and the machines beside it as plain HTML, which the page's own sheet of styles lays out.

A browser paints them with the words around them. Streamlit's boxes and tables are programs of their own, which a first
visit waits half a second for: the table's alone is 1.5 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.format import percent, usd
from app.text import in_html

MEMORY_USED = "Memory used"


class KeyFigure(NamedTuple):
    """`beside` is its range, or what it is held against; `meaning` what kind of figure it is."""

    name: str
    value: str
    beside: str = ""
    meaning: str = ""


def key_figures(figures: Sequence[KeyFigure]) -> str:
    return f'<dl class="key-figures">{"".join(map(_key_figure, figures))}</dl>'


def _key_figure(figure: KeyFigure) -> str:
    said = {"value": figure.value, "beside": figure.beside, "meaning": figure.meaning}
    told = "".join(f'<dd class="{kind}">{in_html(text)}</dd>' for kind, text in said.items() if text)
    return f"<div><dt>{in_html(figure.name)}</dt>{told}</div>"


def machines_table(rows: Sequence[Mapping[str, object]], *, said: str) -> str:
    """`rows` by column, which all have; `said` is what a screen reader calls it. Dollars under "A month", a share of 1
    under "Memory used", numbers to the right."""
    columns = list(rows[0])
    numeric = {column for column in columns if all(isinstance(row[column], int | float | None) for row in rows)}
    sides = {column: ' class="number"' if column in numeric else "" for column in columns}
    head = "".join(f'<th scope="col"{sides[column]}>{in_html(column)}</th>' for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td{sides[column]}>{_cell(column, row[column])}</td>' for column in columns)}</tr>"
        for row in rows
    )
    return (
        f'<div class="machines" role="region" tabindex="0" aria-label="{in_html(said)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if column == "A month" and isinstance(value, float):
        return usd(value)
    if column == MEMORY_USED and isinstance(value, float):
        return f'<span class="share"><i style="width:{min(100.0, 100 * value):.3g}%"></i></span>{percent(value)}'
    return in_html(f"{value:,}" if isinstance(value, int) else str(value))
