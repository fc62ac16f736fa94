"""Published drafting heads: which repository drafts for a model, and by which of vLLM's methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.provenance import read_table
from estimators.quality.checkpoints import deployed
from estimators.quality.models import same_model

_TABLE = Path(__file__).with_name("data") / "heads.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A repository that drafts for one model."""

    model: str
    kind: str  # as the public key `spec` names it: "eagle"
    method: str  # as vLLM names it: "eagle3"
    id: str
    source: str
    as_of: str


def head_for(model_id: str, kind: str) -> Head | None:
    """The published head of a model, or of what a quantized copy was made from; None where none is known.

    EAGLE of Llama 3.3 70B is RedHatAI/Llama-3.3-70B-Instruct-speculator.eagle3, by the method "eagle3".
    """
    name = deployed(model_id, "as-published")[0]
    return next((head for head in heads() if head.kind == kind and same_model(head.model, name)), None)


@cache
def heads() -> tuple[Head, ...]:
    """Every known head, the one to write first before others of its model."""
    return tuple(
        Head(
            model=row["model"],
            kind=row["kind"],
            method=row["method"],
            id=row["head"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(_TABLE, key=("model", "kind", "head"))
    )
