"""Figures and machines as plain HTML: every cell a text, money and shares as people read them."""

from __future__ import annotations

import re

from app.figures.plan_tables import MEMORY_USED, KeyFigure, key_figures, machines_table

ROWS: list[dict[str, object]] = [
    {"A month": 1587.5, "Machine": "2 x g6.xlarge", "Copies": 2, MEMORY_USED: 0.793, "Holds": 35424},
    {"A month": None, "Machine": "<b>ours</b>", "Copies": None, MEMORY_USED: None, "Holds": None},
]


def cells(table: str) -> list[str]:
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", table)]


def test_a_row_is_printed_as_people_read_it_and_what_is_unknown_is_blank() -> None:
    table = machines_table(ROWS, said="Machines")
    assert cells(table) == ["$1,588", "2 x g6.xlarge", "2", "79 %", "35,424", "", "&lt;b&gt;ours&lt;/b&gt;", "", "", ""]
    assert re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', table) == list(ROWS[0])


def test_numbers_stand_to_the_right_and_the_bar_is_as_long_as_its_share() -> None:
    table = machines_table(ROWS, said="Machines")
    assert re.findall(r'<th scope="col" class="number">([^<]+)', table) == [n for n in ROWS[0] if n != "Machine"]
    assert 'style="width:79.3%"' in table
    assert 'style="width:100%"' in machines_table([{MEMORY_USED: 1.7}], said="Machines")


def test_what_a_table_is_called_is_a_text() -> None:
    assert 'aria-label="of &quot;8B&quot;"' in machines_table(ROWS, said='of "8B"')


def test_of_a_figure_only_what_there_is_is_printed() -> None:
    drawn = key_figures([KeyFigure("Monthly cost", "not priced"), KeyFigure("<i>", "1 s", "1 to 2 s", "mean")])
    assert drawn == (
        '<dl class="key-figures"><div><dt>Monthly cost</dt><dd class="value">not priced</dd></div>'
        '<div><dt>&lt;i&gt;</dt><dd class="value">1 s</dd><dd class="beside">1 to 2 s</dd>'
        '<dd class="meaning">mean</dd></div></dl>'
    )
