"""Write estimators/architecture/data/config_defaults.csv from the config classes of the installed transformers.

Run after adding a family or raising transformers: python -m tools.config_defaults. A row that says what it said before
keeps its date.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from estimators.architecture.families import FAMILIES, PARTS
from estimators.architecture.layouts import ESSENTIAL

TABLE = Path(__file__).parent.parent / "estimators" / "architecture" / "data" / "config_defaults.csv"
# Families that transformers does not describe, and dtypes, are in config_defaults_extra.csv, written by hand.
# Text parts of multimodal configs, which leave out what equals the default.
TEXT_PARTS = {"gemma3n_text", "gemma4_text", "llama4_text", "step3p5"}
# Decoders that also stand as the text part of LLaVA-like models, then with every default filled.
INSIDE = ("gpt_oss",)
NOT_SHAPE = ("token_id", "dropout", "initializer", "_eps", "_act", "use_cache", "coef", "pdrop", "return_dict", "theta")


def rows(model_type: str, *, inside: bool = False) -> list[tuple[str, str, str]]:
    """Field and default, JSON-encoded, for every plain value the class fills."""
    from transformers import CONFIG_MAPPING

    try:
        cls = CONFIG_MAPPING[model_type]
    except KeyError:
        return []
    part = inside or model_type in PARTS or model_type in TEXT_PARTS
    made = []
    for item in dataclasses.fields(cls):
        if item.default is dataclasses.MISSING or any(word in item.name for word in NOT_SHAPE):
            continue
        if not isinstance(item.default, bool | int | float | str | list | type(None)):
            continue
        if item.name.startswith("_") or (item.name in ESSENTIAL and not part):
            continue
        if item.name in BASE:
            continue
        made.append((item.name, json.dumps(item.default), cls.__name__))
    return made


BASE = {"output_hidden_states", "dtype", "chunk_size_feed_forward", "is_encoder_decoder", "id2label", "label2id"}
BASE |= {"problem_type", "output_attentions", "architectures", "transformers_version", "name_or_path", "return_dict"}
BASE |= {"finetuning_task", "task_specific_params", "prefix", "pruned_heads", "torchscript", "attn_implementation"}


def main() -> None:
    argparse.ArgumentParser(prog="tools.config_defaults", description=(__doc__ or "").partition("\n")[0]).parse_args()
    source, today = f"transformers {version('transformers')}", datetime.now(UTC).date().isoformat()
    with TABLE.open(newline="", encoding="utf-8") as file:
        dates = {tuple(row[:4]): row[4] for row in csv.reader(file)}
    types = [(name, name, False) for name in sorted({*FAMILIES, *PARTS})]
    types += [(name, f"{name}_text", True) for name in INSIDE]
    made = [
        (written, field, value, f"{source} {cls}")
        for name, written, inside in types
        for field, value, cls in rows(name, inside=inside)
    ]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model_type", "field", "value", "source", "as_of"])
        writer.writerows([*row, dates.get(row, today)] for row in made)


if __name__ == "__main__":
    main()
