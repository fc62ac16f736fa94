"""The values a config may leave out, per model type, as the config classes of transformers fill them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

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


TiedBy = Literal["whole, else text", "whole", "text", "either"]


def text_part(c: Fields, model_type: str, name: str = "text_config", *, tied_by: TiedBy = "whole, else text") -> Fields:
    """The text section of a multimodal config; older ones keep its fields at the top.

    Whether embeddings are tied is said by the whole model, else by its text part, else by the defaults of either, or
    as the class of transformers has it where the two contradict each other (`tied_by`).
    """
    filled = defaults().get(model_type, {})
    text = c.section(name, filled) if c.has(name) else c.over(filled)
    field = "tie_word_embeddings"
    if tied_by == "text":
        return text
    if tied_by != "whole, else text":
        whole = c.flag(field, instead=False)
        return text.having(field, whole or (tied_by == "either" and text.flag(field, instead=False)))
    if c.has(field) or (not text.has(field) and c.get(field) is not None):
        return text.having(field, c.flag(field))
    return text
