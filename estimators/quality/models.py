"""Which model a name stands for, how big it is and what it is kin to, for borrowing evidence with care."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache

from estimators.provenance import read_table
from estimators.quality.tasks import DATA

# "8B", "0.5b", "30B-A3B": the first count in a name is the total; "A3B" (active) has a letter before the digit.
_SIZE = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])")

# Upper ends, in billions of parameters. Our convention: published sizes cluster inside these bounds.
SIZE_CLASSES: tuple[tuple[float, str], ...] = (
    (2, "under 2B"),
    (6, "2B to 6B"),
    (20, "6B to 20B"),
    (50, "20B to 50B"),
    (150, "50B to 150B"),
    (float("inf"), "over 150B"),
)


@lru_cache(maxsize=4096)
def canonical(model_id: str) -> str:
    """The id evidence is filed under: revision cut off, renamed and mirrored repositories resolved.

    Example: "meta-llama/Meta-Llama-3.1-8B-Instruct@main" is "meta-llama/Llama-3.1-8B-Instruct".
    """
    name = model_id.strip().partition("@")[0]
    org, slash, rest = name.partition("/")
    name = _aliases().get(org.lower() + slash, org + slash) + rest if slash else name  # an organisation that moved
    return _aliases().get(name.lower(), name)


@lru_cache(maxsize=65536)
def same_model(left: str, right: str) -> bool:
    """Whether two names stand for the same weights."""
    return canonical(left).lower() == canonical(right).lower()


@lru_cache(maxsize=4096)
def family_of(model_id: str) -> str | None:
    """The released series a model belongs to (longest known prefix), or None."""
    name = canonical(model_id).lower()
    known = [(prefix, family) for prefix, family in _families() if name.startswith(prefix)]
    return max(known, key=lambda pair: len(pair[0]))[1] if known else None


@lru_cache(maxsize=4096)
def params_of(model_id: str) -> float | None:
    """Total parameters as the name or the model's own publication says, or None.

    Example: "Qwen/Qwen3-30B-A3B" has 30e9.
    """
    name = canonical(model_id).lower()
    if name in _sizes():
        return _sizes()[name]
    found = _SIZE.search(name.rpartition("/")[2].replace("_", "-"))
    if not found:
        return None
    return float(found[1]) * (1e9 if found[2] == "b" else 1e6)


def size_class(params: float) -> str:
    """The name of the size class that a total parameter count falls into."""
    return next(label for limit, label in SIZE_CLASSES if params < limit * 1e9)


@cache
def _aliases() -> Mapping[str, str]:
    return {row["alias"].lower(): row["model"] for row in read_table(DATA / "aliases.csv", key=("alias",))}


@cache
def _families() -> tuple[tuple[str, str], ...]:
    return tuple((row["prefix"], row["family"]) for row in read_table(DATA / "families.csv", key=("prefix",)))


@cache
def _sizes() -> Mapping[str, float]:
    rows = read_table(DATA / "sizes.csv", key=("model",))
    return {row["model"].lower(): float(row["params_b"]) * 1e9 for row in rows}
