"""Embedded configs of popular models, so that the common questions are answered with no network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.provenance import Refusal, read_table

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One embedded config and how far it can be trusted. `alias_of` is set when another id's config serves."""

    id: str
    family: str
    architecture: str
    model_type: str
    params: int | None  # unique parameters of the unquantized architecture
    active_params: int | None
    dtype: str
    quant_method: str  # empty for a plain checkpoint
    gated: bool
    fidelity: str  # "hub-sha256" ... "transcribed-unconfirmed"
    source: str
    as_of: str
    alias_of: str | None = None
    alias_note: str = ""
    overrides: str = ""  # JSON of the config fields in which an alias differs

    @property
    def confirmed(self) -> bool:
        """Whether the config is a copy of the published one, or its parameter total is."""
        return not self.fidelity.endswith("unconfirmed")


@cache
def entries() -> tuple[CatalogueEntry, ...]:
    """Every embedded config, by id, aliases left out."""
    return tuple(
        CatalogueEntry(
            id=row["id"],
            family=row["family"],
            architecture=row["architecture"],
            model_type=row["model_type"],
            params=int(row["params"]) if row["params"] else None,
            active_params=int(row["active_params"]) if row["active_params"] else None,
            dtype=row["dtype"],
            quant_method=row["quant_method"],
            gated=row["gated"] == "true",
            fidelity=row["fidelity"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(DATA / "catalogue.csv", key=("id",))
    )


@cache
def names() -> Mapping[str, CatalogueEntry]:
    """Every id and alias in lower case, and every name without its organisation that stands for one model only."""
    known = {entry.id.lower(): entry for entry in entries()}
    for row in read_table(DATA / "aliases.csv", key=("alias",)):
        target = known[row["id"].lower()]
        known[row["alias"].lower()] = replace(
            target, id=row["alias"], alias_of=target.id, alias_note=row["source"], overrides=row["overrides"]
        )
    short: dict[str, list[CatalogueEntry]] = {}
    for name, entry in known.items():
        short.setdefault(name.rpartition("/")[2], []).append(entry)
    return {name: found[0] for name, found in short.items() if len(found) == 1} | known


def find(model_id: str) -> CatalogueEntry | None:
    """The entry for an id, whatever its case, or for an alias of it."""
    return names().get(model_id.strip().lower())


@cache
def lines() -> Mapping[str, str]:
    """Id to its undecoded line: only the configs asked for are decoded."""
    text = (DATA / "configs.jsonl").read_text(encoding="utf-8")
    return {line.split('"', 4)[3]: line for line in text.splitlines()}


def load_config(model_id: str) -> dict[str, object]:
    """The config of an embedded model, with what an alias changes."""
    entry = found(model_id)
    config: dict[str, object] = json.loads(lines()[entry.alias_of or entry.id])["config"]
    return merged(config, json.loads(entry.overrides)) if entry.overrides else config


def merged(config: dict[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The config with changed fields; within the text part only those named change."""
    made = dict(config)
    for name, value in changes.items():
        old = made.get(name)
        if name == "text_config" and isinstance(old, dict) and isinstance(value, dict):
            made[name] = {**old, **value}
        else:
            made[name] = value
    return made


@lru_cache(maxsize=256)
def load_spec(model_id: str) -> ModelSpec:
    """The spec of an embedded model."""
    entry = found(model_id)
    return parse_config(
        load_config(model_id), model_id=entry.id, source=SpecSource.CATALOGUE, source_note=note_of(entry)
    )


def found(model_id: str) -> CatalogueEntry:
    entry = find(model_id)
    if entry is None:
        raise Refusal(
            f"{model_id[:80]!r} is not among the embedded models.",
            field="model",
            remedy="Check the spelling, go online, or give a parameter count.",
        )
    return entry


def note_of(entry: CatalogueEntry) -> str:
    """Where the numbers come from, in a sentence."""
    of = f" of {entry.alias_of} ({entry.alias_note})" if entry.alias_of else ""
    trust = "" if entry.confirmed else "; not confirmed against the published file"
    return f"embedded config{of}, {entry.fidelity}, {entry.as_of}: {entry.source}{trust}"
