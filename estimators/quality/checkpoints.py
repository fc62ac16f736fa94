"""Published checkpoints that already are what a recipe would make: the table for offline, names to try on the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from estimators.provenance import read_table
from estimators.quality.models import canonical, same_model
from estimators.quality.schemes import ANY_METHOD, UNCHANGED, Scheme, scheme_of
from estimators.quality.tasks import DATA

# How publishers name what they make: {org} is the model's own organisation, {name} the model without it.
_CONVENTIONS: Mapping[Scheme, tuple[str, ...]] = {
    Scheme.FP8: ("RedHatAI/{name}-FP8-dynamic", "RedHatAI/{name}-FP8", "{org}/{name}-FP8", "nvidia/{name}-FP8"),
    Scheme.INT8: ("RedHatAI/{name}-quantized.w8a8",),
    Scheme.INT8_WEIGHT_ONLY: ("RedHatAI/{name}-quantized.w8a16", "{org}/{name}-GPTQ-Int8"),
    Scheme.INT4: ("RedHatAI/{name}-quantized.w4a16", "{org}/{name}-AWQ", "{org}/{name}-GPTQ-Int4"),
    Scheme.NVFP4: ("RedHatAI/{name}-NVFP4", "nvidia/{name}-NVFP4", "nvidia/{name}-FP4"),
    Scheme.MXFP4: ("RedHatAI/{name}-MXFP4", "amd/{name}-MXFP4"),
    Scheme.SPARSE_2_4: ("RedHatAI/Sparse-{name}-2of4",),
}
# Methods that other rows name too; "ptq" and the like say too little to choose rows by.
_TELLING_METHODS = frozenset({"gptq", "awq", "qat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A repository that holds a model in some scheme."""

    model: str  # what it was made from
    scheme: Scheme
    method: str  # "" when it was not read; "published" when the model itself comes so
    id: str
    publisher: str
    note: str
    source: str
    as_of: str

    @property
    def native(self) -> bool:
        """Whether the model is published in this scheme in the first place."""
        return self.method == "published"

    @property
    def own(self) -> bool:
        """Whether the model's own maker published it."""
        return self.publisher.lower() == self.model.partition("/")[0].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedIn:
    """A repository of a collection that Red Hat AI has measured and released as validated."""

    checkpoint: str
    copy_of: str  # where it holds another's weights as they come
    month: str  # "2025-05"
    source: str
    as_of: str


@cache
def checkpoints() -> tuple[Checkpoint, ...]:
    """Every known published checkpoint, by model."""
    return tuple(_checkpoint(row) for row in read_table(DATA / "checkpoints.csv", key=("checkpoint", "scheme")))


def published_checkpoints(model_id: str, scheme: str | None = None) -> tuple[Checkpoint, ...]:
    """What is known to be published of a model: as it comes first, then Red Hat AI, what it validated before the rest,
    then the model's own maker, then others."""
    wanted = scheme_of(scheme) if scheme else None
    found = [
        entry
        for entry in checkpoints()
        if same_model(entry.model, model_id) and (wanted is None or entry.scheme is wanted)
    ]
    return tuple(sorted(found, key=_order))


def validated_in(checkpoint: str) -> ValidatedIn | None:
    """The validated collection that names a repository, or Red Hat AI's copy of one as it comes; None where none does.

    RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16 is one of May 2025, and so is meta-llama/Llama-3.1-8B-Instruct.
    """
    return _validated().get(canonical(checkpoint).lower())


@cache
def _validated() -> Mapping[str, ValidatedIn]:
    found = [ValidatedIn(**row) for row in read_table(DATA / "validated.csv", key=("checkpoint",))]
    copies = {canonical(entry.copy_of).lower(): entry for entry in found if entry.copy_of}
    return copies | {entry.checkpoint.lower(): entry for entry in found}


def _order(entry: Checkpoint) -> tuple[bool, bool, bool, bool]:
    return not entry.native, entry.publisher != "RedHatAI", validated_in(entry.id) is None, not entry.own


def published_checkpoint(model_id: str, scheme: str, method: str | None = None) -> Checkpoint | None:
    """The checkpoint to use in place of quantizing, or None when the table has none.

    Example: Llama 3.1 8B at INT4 is RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16; with `method` "awq" it is
    hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4.
    """
    found = published_checkpoints(model_id, scheme)
    if (method or "").lower() not in ANY_METHOD:
        found = tuple(entry for entry in found if entry.native or entry.method == (method or "").lower())
    return found[0] if found else None


def names_to_try(model_id: str, scheme: str) -> tuple[str, ...]:
    """Repository names by the publishers' conventions, for a look-up on the Hub: guesses, not facts."""
    org, _, name = canonical(model_id).rpartition("/")
    patterns = _CONVENTIONS.get(scheme_of(scheme), ())
    return tuple(pattern.format(org=org, name=name) for pattern in patterns if org and name)


@lru_cache(maxsize=4096)
def deployed(model_id: str, scheme: str, method: str | None = None) -> tuple[str, Scheme, str | None]:
    """The model evidence is filed under and what was done to it, for a model id that may be a checkpoint itself.

    A quantized repository "as published" is its base model in that scheme; a model that comes in the scheme asked
    for is unchanged. Example: ("openai/gpt-oss-20b", "mxfp4") is ("openai/gpt-oss-20b", as published).
    """
    wanted, name = scheme_of(scheme), canonical(model_id)
    for entry in checkpoints():
        if not entry.native and same_model(entry.id, name) and wanted in UNCHANGED | {entry.scheme}:
            return entry.model, entry.scheme, entry.method if entry.method in _TELLING_METHODS else None
        if entry.native and same_model(entry.id, name) and wanted is entry.scheme:
            return entry.model, Scheme.AS_PUBLISHED, None
    return name, wanted, method


def _checkpoint(row: Mapping[str, str]) -> Checkpoint:
    return Checkpoint(
        model=canonical(row["model"]),
        scheme=Scheme(row["scheme"]),
        method=row["method"],
        id=row["checkpoint"],
        publisher=row["publisher"],
        note=row["note"],
        source=row["source"],
        as_of=row["as_of"],
    )
