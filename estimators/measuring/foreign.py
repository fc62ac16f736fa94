"""Reading JSON that somebody else wrote: bounded, typed, and refused with a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from estimators.provenance import Refusal

MAX_REPORT_BYTES = 64 << 20  # a GuideLLM report keeps every request: 5,000 of them come to about 40 MB
LONGEST_TEXT = 300  # characters of a name or a note that are kept
LARGEST_NUMBER = 1e15


class ForeignInput(Refusal):
    """A report, measurement or server answer that cannot be used."""


def read_json(text: str | bytes, *, field: str, limit: int = MAX_REPORT_BYTES) -> Mapping[str, object]:
    """The JSON object in `text`; refuses one that is too large, nested beyond Python's limit, not JSON or no object."""
    if len(text) > limit:
        raise ForeignInput(f"The file is larger than {limit >> 20} MiB.", field=field, remedy="Export fewer requests.")
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ForeignInput(
            "The file is not complete JSON.", field=field, remedy="Give the JSON file itself, not CSV or HTML."
        ) from None
    if not isinstance(found, dict):
        raise ForeignInput("The JSON holds no object.", field=field)
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def at(holder: object, *path: str | int) -> object:
    """What lies at a path of keys and positions, or None where the path ends early."""
    for step in path:
        if isinstance(holder, Mapping) and isinstance(step, str):
            holder = holder.get(step)
        elif isinstance(holder, list) and isinstance(step, int) and step < len(holder):
            holder = holder[step]
        else:
            return None
    return holder


def number(value: object) -> float | None:
    """A finite number from zero up, or None for anything else (booleans and text included)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) and 0.0 <= found <= LARGEST_NUMBER else None


def count(value: object) -> int | None:
    """A whole number from zero up, or None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Printable text on one line, cut; empty for anything that is no text."""
    if not isinstance(value, str):
        return ""
    printable = "".join(c if c.isprintable() else " " for c in value[: 4 * longest])
    return " ".join(printable.split())[:longest]
