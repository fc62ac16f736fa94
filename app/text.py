"""Text from outside, made harmless for the place that shows it: a page, inline code, the report, a spreadsheet. Pure.

A model's name, a refusal that quotes a link, a source or a note of a table may hold anything.
"""

from __future__ import annotations

import re
from html import escape

# Emphasis, code, links, images, tags, and Streamlit's colours, icons, mathematics; a bare address leads where it says.
_ACTIVE = re.compile(r"(?P<address>https?://[\w./~%&=?#:@+-]+)|[\\`*_\[\]<>~$]|:(?=\w)")


def in_markdown(text: str) -> str:
    """As words of a sentence: "costs $5, not $6" stays that, and "[here](//x)" is no link."""
    return _ACTIVE.sub(lambda found: found[0] if found["address"] else f"\\{found[0]}", text.replace("\n", " "))


def in_code(text: str) -> str:
    """As inline code, where neither Markdown nor HTML nor links act on it."""
    return "`" + "".join(c if c.isprintable() and c != "`" else " " for c in text) + "`"


def in_html(text: str) -> str:
    """In an element or a quoted attribute."""
    return escape(text)


def in_spreadsheet(text: str) -> str:
    """In a cell of a CSV: a spreadsheet runs what starts like a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
