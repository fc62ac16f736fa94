"""Text from outside, made harmless for the place that shows it: a page, inline code, a figure, the report, a
spreadsheet. Pure.

A model's name, a refusal that quotes a link, a price's origin, a note of a report or of a database's row may hold
anything. Every string that our own code did not write passes through here on its way out.
"""

from __future__ import annotations

import re
from html import escape

# A word joiner: no width, no break, and no part of a word. Streamlit makes links of bare addresses, and icons and
# emoji of colons, after backslashes are gone; with this in the middle they are none any more.
_APART = "\u2060"
_SYNTAX = re.compile(r"[\\`*_\[\]<>~$&|]")
_WORDS = re.compile(r"(:(?=[^\W\d]|[+/:{\[-]|\w+:)|www(?=\.)|@(?=[\w-]+\.))", re.I)
_LINE_START = re.compile(r"^(?:[#+=-]|\d{1,9}(?=[.)](?:\s|$)))")
_ADDRESS = re.compile(r"(https://[\w./~%&=?#+-]+)")


def plain(text: str) -> str:
    """One line of what can be seen: line ends, controls and marks that turn the order of letters are spaces."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def in_markdown(text: str) -> str:
    """As words of a sentence: "costs $5, not $6" stays that, "[here](//x)" and "www.x.example" are no links, and "# x"
    is no heading."""
    return _LINE_START.sub(_escaped_start, _inert(plain(text).lstrip()))


def in_markdown_with_links(text: str) -> str:
    """The same of our own tables, whose rows name their sources: a bare https address leads where it says."""
    return "".join(part if i % 2 else _inert(plain(part)) for i, part in enumerate(_ADDRESS.split(text)))


def in_code(text: str) -> str:
    """As inline code, where neither Markdown nor HTML nor links act on it."""
    return f"`{plain(text).replace('`', ' ') or ' '}`"


def in_figure(text: str) -> str:
    """In a label or under the pointer of a figure: plotly reads tags, links among them."""
    return escape(plain(text), quote=False)


def in_html(text: str) -> str:
    """In an element or a quoted attribute."""
    return escape(plain(text))


def in_spreadsheet(text: str) -> str:
    """In a cell of a CSV: a spreadsheet runs what starts like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def _inert(text: str) -> str:
    return _WORDS.sub(rf"\1{_APART}", _SYNTAX.sub(r"\\\g<0>", text))


def _escaped_start(found: re.Match[str]) -> str:
    """ "# x" and "- x" by a backslash before; "1. x" by one before its point."""
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"
