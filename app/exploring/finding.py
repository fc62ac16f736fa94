"""What a page found, in one form for the page, the terminal, the report and JSON: a sentence, a table, notes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFinding:
    """One answer. `sentence` stands alone; every row has a cell for each head."""

    title: str
    sentence: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The same for a program: rows as objects keyed by the heads."""
        rows = [dict(zip(self.heads, row, strict=True)) for row in self.rows]
        return {"title": self.title, "answer": self.sentence, "rows": rows, "notes": list(self.notes)}


def as_lines(finding: PageFinding) -> Iterator[str]:
    """The answer for a terminal: the sentence, the table in columns, the notes."""
    yield finding.sentence
    lines = [finding.heads, *finding.rows] if finding.rows else []
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
    yield from (f"  note: {note}" for note in finding.notes)
