"""The values a config may leave out, per model type, as the config classes of transformers fill them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from estimators.architecture.fields import Fields
from estimators.provenance import read_table

TABLES = ("config_defaults.csv", "config_defaults_extra.csv")


@cache
def defaults() -> Mapping[str, Mapping[str, object]]:
    """Per model type, field to value."""
    table: dict[str, dict[str, object]] = {}
    for name in TABLES:
        for row in read_table(Path(__file__).parent / "data" / name, key=("model_type", "field")):
            table.setdefault(row["model_type"], {})[row["field"]] = json.loads(row["value"])
    return table


def part(c: Fields, name: str, model_type: str) -> Fields:
    """The section of an encoder, or an empty one, over its type's defaults."""
    filled = defaults().get(model_type, {})
    return c.section(name, filled) if c.has(name) else Fields({}, filled, f"{c.path}{name}.")


def text_part(c: Fields, model_type: str, name: str = "text_config") -> Fields:
    """The text section of a multimodal config; older ones keep its fields at the top.

    Whether embeddings are tied is said by the whole model, else by its text part, else by the defaults of either.
    """
    filled = defaults().get(model_type, {})
    text = c.section(name, filled) if c.has(name) else c.over(filled)
    field = "tie_word_embeddings"
    if c.has(field) or (not text.has(field) and c.get(field) is not None):
        return text.having(field, c.flag(field))
    return text
