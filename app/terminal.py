"""What a terminal is shown: letters. Names from the Hub, notes of a kept measurement or of a plan may hold what moves
its cursor, renames its window or turns the order of what is read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

from app.text import plain


def visible(text: str) -> str:
    """Every line of the text as it can be seen; its ends and tabs stay."""
    return "".join(part if part in "\n\t" else plain(part) for part in _parts(text))


def _parts(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n")):
        yield from ("\n",) if number else ()
        for cell, piece in enumerate(line.split("\t")):
            yield from ("\t",) if cell else ()
            yield piece


class Shown:
    """A stream that writes what is visible; a write may begin with the return that our own progress draws over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        start = "\r" if text.startswith("\r") else ""
        self._stream.write(start + visible(text[len(start) :]))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def only_visible() -> Iterator[None]:
    """Whatever is printed in the block, to either stream."""
    with redirect_stdout(cast(TextIO, Shown(sys.stdout))), redirect_stderr(cast(TextIO, Shown(sys.stderr))):
        yield
