"""Embed a model's config in the catalogue, or name an alias of an embedded one: `python -m tools.add_model ORG/NAME`.

From the Hub, or from a file that was copied or written down elsewhere:

python -m tools.add_model ORG/NAME --params 8030261248
python -m tools.add_model ORG/NAME --params 8030261248 --config config.json --fidelity bundled-copy \
    --source "github:ORG/REPO:path/config.json@COMMIT"
python -m tools.add_model ORG/OTHER --alias-of ORG/NAME --source "same architecture"

`--params` is a count made elsewhere: what the publisher states, or what `python -m tools.count_params config.json`
builds. It must equal the count of the parsed config, or nothing is written. An id that is there already is corrected
with `--replace`: its config is exchanged, and its row in catalogue.csv gets a later one after it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.architecture.parse import decode_config, parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.provenance import Refusal

# How far a config can be trusted, the strongest first; see the README beside the tables.
FIDELITIES = (
    "hub-sha256",
    "bundled-copy",
    "bundled-variant",
    "excerpt-completed-confirmed",
    "transcribed-confirmed",
    "assembled",
    "excerpt-completed-unconfirmed",
    "transcribed-unconfirmed",
)
FROM_HUB = "hub-sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A config and where it was read."""

    config: Mapping[str, object]
    source: str
    fidelity: str
    gated: bool
    gated_source: str


def read(asked: argparse.Namespace) -> Found:
    """The config of `--config`, else of the Hub."""
    if asked.config is None:
        hub = HubClient().fetch(asked.model)
        source = asked.source or hub.spec.source_note
        return Found(
            config=hub.config, source=source, fidelity=FROM_HUB, gated=hub.gated, gated_source="the Hub's model page"
        )
    if not asked.fidelity or not asked.source:
        remedy = "Say where it was read (--source) and how it was taken (--fidelity)."
        raise Refusal("A config from a file needs its source.", field="source", remedy=remedy)
    return Found(
        config=decode_config(asked.config.read_bytes()),
        source=asked.source,
        fidelity=asked.fidelity,
        gated=asked.gated,
        gated_source="as entered" if asked.gated else "not checked",
    )


def row_of(model: str, spec: ModelSpec, found: Found, family: str, day: date) -> dict[str, str]:
    """The catalogue's row: what people look a model up by, and what its config can be held to."""
    quantized = found.config.get("quantization_config")
    method = quantized.get("quant_method") or "" if isinstance(quantized, Mapping) else ""
    mixture = spec.active_params != spec.resident_params
    named = found.config.get("torch_dtype") or found.config.get("dtype")
    return {
        "id": model,
        "family": family,
        "architecture": spec.architecture,
        "model_type": spec.model_type,
        "params": str(spec.resident_params),
        "active_params": str(spec.active_params) if mixture else "",
        "dtype": spec.dtype if named else "",
        "quant_method": str(method),
        "gated": str(found.gated).lower(),
        "gated_source": found.gated_source,
        "fidelity": found.fidelity,
        "source": found.source,
        "as_of": day.isoformat(),
    }


def family_of(spec: ModelSpec, given: str | None) -> str:
    """The shelf of the models of this type that are there already."""
    same = (entry.family for entry in catalogue.entries() if entry.model_type == spec.model_type)
    family = given or next(same, "")
    if not family:
        remedy = 'Name its series with --family, as in "Qwen3".'
        raise Refusal(f"No embedded model is of type {spec.model_type!r}.", field="family", remedy=remedy)
    return family


def check_count(spec: ModelSpec, params: int | None) -> None:
    if params is None:
        problem = f"The config comes to {spec.resident_params:,} parameters, and nothing says that this is right."
        remedy = "Give --params: the published total, or what `python -m tools.count_params config.json` builds."
        raise Refusal(problem, field="params", remedy=remedy)
    if params != spec.resident_params:
        problem = f"The config comes to {spec.resident_params:,} parameters, not {params:,}."
        raise Refusal(problem, field="params", remedy="Read the config again, or correct the family that parses it.")


def with_row(table: Path, row: Mapping[str, str], column: str) -> str:
    """The table's text with one more row, in order of `column` whatever its case and then of the date."""
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or ()), list(reader)
    rows = sorted([*rows, dict(row)], key=lambda each: (each[column].lower(), each["as_of"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def with_config(lines: Mapping[str, str], model: str, config: Mapping[str, object]) -> str:
    """The text of configs.jsonl with this config in it."""
    line = json.dumps({"id": model, "config": config}, separators=(",", ":"))
    every = {**lines, model: line}
    return "".join(f"{every[name]}\n" for name in sorted(every, key=str.lower))


def embed(asked: argparse.Namespace, day: date, data: Path = catalogue.DATA) -> str:
    """Writes the config and its row; the sentence that says what was done."""
    known = catalogue.find(asked.model)
    if known is not None and known.alias_of is None and not asked.replace:
        raise Refusal(f"{known.id} is embedded already ({known.as_of}).", field="model", remedy="Say --replace.")
    if known is not None and known.alias_of is not None and known.id.lower() == asked.model.lower():
        remedy = "Take its row out of aliases.csv first: an alias wins over an embedded config."
        raise Refusal(f"{known.id} is an alias of {known.alias_of}.", field="model", remedy=remedy)
    found = read(asked)
    spec = parse_config(found.config, model_id=asked.model, source=SpecSource.FILE, source_note=found.source)
    check_count(spec, asked.params)
    row = row_of(asked.model, spec, found, family_of(spec, asked.family), day)
    table, configs = data / "catalogue.csv", data / "configs.jsonl"
    rows_text, configs_text = with_row(table, row, "id"), with_config(catalogue.lines(), asked.model, found.config)
    configs.write_text(configs_text, encoding="utf-8")
    table.write_text(rows_text, encoding="utf-8")
    active = f", {spec.active_params:,} active" if row["active_params"] else ""
    return f"{asked.model}: {spec.model_type}, {spec.resident_params:,} parameters{active}, {found.fidelity}"


def name_alias(asked: argparse.Namespace, day: date, data: Path = catalogue.DATA) -> str:
    """Writes a row of aliases.csv after parsing what the alias would stand for."""
    target = catalogue.found(asked.alias_of)
    if target.alias_of is not None:
        remedy = f"Name {target.alias_of} itself."
        raise Refusal(f"{target.id} is an alias.", field="alias-of", remedy=remedy)
    if not asked.source:
        raise Refusal("Nothing says why the config serves.", field="source", remedy='As in "same architecture".')
    if catalogue.find(asked.model) is not None and not asked.replace:
        raise Refusal(f"{asked.model} is there already.", field="model", remedy="Say --replace.")
    config = catalogue.load_config(target.id)
    changes = json.loads(asked.overrides) if asked.overrides else {}
    spec = parse_config(
        catalogue.merged(config, changes), model_id=asked.model, source=SpecSource.FILE, source_note=asked.source
    )
    if asked.params is not None:
        check_count(spec, asked.params)
    overrides = json.dumps(changes, separators=(",", ":")) if changes else ""
    row = {
        "alias": asked.model,
        "id": target.id,
        "overrides": overrides,
        "source": asked.source,
        "as_of": day.isoformat(),
    }
    table = data / "aliases.csv"
    table.write_text(with_row(table, row, "alias"), encoding="utf-8")
    return f"{asked.model}: as {target.id}, {spec.resident_params:,} parameters"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="tools.add_model", description=about)
    parser.add_argument("model", metavar="ORG/NAME")
    parser.add_argument("--config", type=Path, help="a config.json; without it the Hub is asked")
    parser.add_argument("--params", type=int, help="all parameters, as counted elsewhere")
    parser.add_argument("--source", help="where the config was read, or why an alias stands for it")
    parser.add_argument("--fidelity", choices=FIDELITIES, help="how the file of --config was taken")
    parser.add_argument("--family", help="the series it is listed with; default that of its type")
    parser.add_argument("--gated", action="store_true", help="people must accept terms to download it")
    parser.add_argument("--alias-of", metavar="ORG/NAME", help="an embedded model whose config serves this id too")
    parser.add_argument("--overrides", metavar="JSON", help="the config fields in which the alias differs")
    parser.add_argument("--replace", action="store_true", help="correct an id that is there already")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None, data: Path = catalogue.DATA) -> int:
    asked, day = arguments(words), datetime.now(UTC).date()
    try:
        if asked.model.count("/") != 1:
            raise Refusal(f"{asked.model!r} is not an id.", field="model", remedy="Write it as ORG/NAME.")
        print(name_alias(asked, day, data) if asked.alias_of else embed(asked, day, data))
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
