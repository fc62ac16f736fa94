"""Questions as JSON or YAML: bounded readers, and the flat text that a document's values are. Pure.

What comes in is hostile until parsed. A document never costs more than its bytes: no alias multiplies it, no tag makes
an object of it, nothing nests deeply, and a name stated twice is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from app.kinds import ValueKind
from app.scenario import Problem
from app.vocabulary import VOCABULARY, nearest
from estimators.provenance import Refusal

Parsed: TypeAlias = "str | int | float | bool | list[Parsed] | dict[str, Parsed] | None"

MOST_JSON_BYTES = 2 << 20  # of a request's body
MOST_YAML_BYTES = 64 << 10  # the reader of YAML is a hundred times slower
DEEPEST = 6
MOST_NAMED = 10  # faults of one document that are listed


def read_json(text: bytes, *, field: str = "body") -> Parsed:
    """The document. Raises `Refusal` for what is too large, too deep, not JSON, or says one name twice."""
    if len(text) > MOST_JSON_BYTES:
        raise Refusal(f"The document is larger than {MOST_JSON_BYTES >> 20} MiB.", field=field, remedy="Send less.")
    try:
        found: Parsed = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except Refusal:
        raise
    except (ValueError, RecursionError) as fault:
        where = f" at line {fault.lineno}" if isinstance(fault, json.JSONDecodeError) else ""
        raise Refusal(f"The document is not JSON{where}.", field=field) from None
    _bounded(found, field)
    return found


def _once(pairs: list[tuple[str, Parsed]]) -> dict[str, Parsed]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
        raise Refusal(f"{shown(twice)} is stated twice.", field=shown(twice))
    return found


def _no_number(name: str) -> Parsed:
    raise Refusal(f"{name} is no number.", field="body")


def _bounded(document: Parsed, field: str) -> None:
    """Refuses what nests deeper than any question does. Walks level by level, so that no depth is too much for it."""
    level: list[Parsed] = [document]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise Refusal(f"The document nests deeper than {DEEPEST} levels.", field=field)


def _inside(value: Parsed) -> Iterable[Parsed]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def read_yaml(text: bytes, *, field: str = "file") -> Parsed:
    """The document, every scalar as the text that stands there. Raises `Refusal` as `read_json` does, and for anchors,
    aliases, tags and a second document, which no question needs."""
    import yaml

    if len(text) > MOST_YAML_BYTES:
        raise Refusal(f"The file is larger than {MOST_YAML_BYTES >> 10} KiB.", field=field, remedy="Use JSON.")
    try:
        events = yaml.parse(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
        return _built(_plain_events(events, field), field)
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise Refusal(f"The file is not YAML{where}.", field=field) from None


def _plain_events(events: Iterable[Any], field: str) -> Iterator[tuple[str, str]]:
    """(kind of event, text of a scalar) of one document of plain mappings, lists and scalars."""
    documents = depth = 0
    for event in events:
        kind = type(event).__name__.removesuffix("Event")
        if kind in ("StreamStart", "StreamEnd", "DocumentEnd"):
            continue
        if kind == "DocumentStart":
            documents += 1
            if documents > 1:
                raise Refusal("The file holds more than one document.", field=field)
            continue
        if kind == "Alias" or getattr(event, "anchor", None) or getattr(event, "tag", None):
            line = event.start_mark.line + 1
            raise Refusal(f"Anchors, aliases and tags are not read (line {line}).", field=field, remedy="Write it out.")
        depth += kind.endswith("Start") - kind.endswith("End")
        if depth > DEEPEST:
            raise Refusal(f"The document nests deeper than {DEEPEST} levels.", field=field)
        yield kind, event.value if kind == "Scalar" else ""


def _built(events: Iterator[tuple[str, str]], field: str) -> Parsed:
    kind, text = next(events, ("Scalar", ""))
    found = _value(kind, text, events, field)
    for _ in events:
        pass  # a second document is refused where it starts
    return found


def _value(kind: str, text: str, events: Iterator[tuple[str, str]], field: str) -> Parsed:
    if kind == "Scalar":
        return text
    if kind == "SequenceStart":
        items: list[Parsed] = []
        for kind, text in events:
            if kind == "SequenceEnd":
                break
            items.append(_value(kind, text, events, field))
        return items
    pairs: list[tuple[str, Parsed]] = []
    for kind, text in events:
        if kind == "MappingEnd":
            break
        if kind != "Scalar":
            raise Refusal("A name is a list or a mapping.", field=field)
        inner, value = next(events)
        pairs.append((text, _value(inner, value, events, field)))
    return _once(pairs)


def shown(text: object) -> str:
    """A name or value from outside, short and on one line."""
    plain = "".join(c if c.isprintable() else " " for c in str(text))
    return plain if len(plain) <= 60 else f"{plain[:57]}..."


def flat_of(
    document: Mapping[str, Parsed], keys: Iterable[str], *, texts: bool
) -> tuple[dict[str, str], list[Problem]]:
    """(the flat text of a document's values, what of it is not of its kind). `texts`: any value may be text, as YAML
    and links have them; else a number is a number. null is blank."""
    allowed = set(keys)
    flat: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in document.items():
        if len(problems) == MOST_NAMED:
            break
        if name == "v" and isinstance(value, str | int) and not isinstance(value, bool):
            flat[name] = str(value)
        elif name not in allowed:
            problems.append(Problem(shown(name), shown(name), f"is not a key here.{nearest(name, allowed)}"))
        elif value is not None:
            kind = VOCABULARY[name].kind
            text = value if texts and isinstance(value, str) else _as_text(value, kind)
            if text is None:
                problems.append(Problem(name, f"{name}={shown(value)}", f"needs {kind.words}"))
            else:
                flat[name] = text
    return flat, problems


def _as_text(value: Parsed, kind: ValueKind) -> str | None:
    """The value as a link has it; None where it is of another type."""
    wanted = kind.schema["type"]
    if wanted == "boolean":
        return str(value).lower() if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if wanted == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15)
        return str(int(value)) if whole and isinstance(value, int | float) else None
    if wanted == "number":
        return format(Decimal(repr(value)), "f") if isinstance(value, int | float) else None
    if wanted == "array":
        return _joined(value, kind)
    return value if isinstance(value, str) else None


def _joined(value: Parsed, kind: ValueKind) -> str | None:
    """A list with its separator between; None where an item holds the separator itself."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    items = [str(item) for item in value]
    return None if any(kind.separator in item for item in items) else kind.separator.join(items)
