"""The model a person means by a name as people write it: "Llama 3.3 70B", "qwen3-32b", "gpt oss 120b". Pure.

Case, spaces, hyphens and the owner's name do not matter. Where a base model and its tuned one share the name, the tuned
one is meant: that is what is served. What fits no name gets suggestions and never another model's numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from app.scenario import decode

TUNED = ("instruct", "it", "chat", "instructhf", "chathf")
MOST_SUGGESTED = 4
POPULAR = (
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "openai/gpt-oss-120b",
    "openai/gpt-oss-20b",
    "Qwen/Qwen3.5-27B",
    "Qwen/Qwen3.5-35B-A3B",
    "Qwen/Qwen3-32B",
    "Qwen/Qwen3-14B",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-235B-A22B",
    "google/gemma-4-31B",
    "google/gemma-3-27b-it",
    "deepseek-ai/DeepSeek-V3.2",
    "mistralai/Mistral-Small-24B-Instruct-2501",
    "zai-org/GLM-5.2",
    "moonshotai/Kimi-K2.5",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """`model` is a Hub id or a size such as 8B; None: `near` are ids that may have been meant."""

    model: str | None
    near: tuple[str, ...] = ()


def in_order(known: Sequence[str]) -> list[str]:
    """Popular models first, the others by name."""
    first = [model for model in POPULAR if model in known]
    return [*first, *sorted((model for model in known if model not in first), key=str.lower)]


def find(text: str, known: Sequence[str]) -> Matched:
    """ "llama 3.3 70b" -> meta-llama/Llama-3.3-70B-Instruct; an id outside `known` stands as it is."""
    asked = text.strip()[:120]
    if asked in known:
        return Matched(model=asked)
    ids = {model.lower(): model for model in known}
    if asked.lower() in ids:
        return Matched(model=ids[asked.lower()])
    plain = _plain(asked.partition("@")[0] if "/" in asked else asked)
    named: dict[str, str] = {}
    for model in in_order(known):
        named.setdefault(_plain(model), model)
    tuned = [named[plain + tail] for tail in TUNED if plain and plain + tail in named]
    if "/" not in asked and (tuned or plain in named):
        return Matched(model=(tuned or [named[plain]])[0])
    read = decode({"model": asked}).scenario
    if read.params is not None or (read.model is not None and "/" in asked):
        return Matched(model=asked)
    holding = [model for name, model in named.items() if plain and all(part in name for part in _parts(asked))]
    holding.sort(key=lambda model: len(_plain(model)))
    if len(holding) == 1 and any(part.isdigit() or part[:1].isdigit() for part in _parts(asked)):
        return Matched(model=holding[0])
    close = [named[name] for name in get_close_matches(plain, list(named), n=MOST_SUGGESTED, cutoff=0.5)]
    return Matched(model=None, near=tuple(dict.fromkeys([*holding, *close]))[:MOST_SUGGESTED])


def _plain(model: str) -> str:
    """Letters and digits of the name without its owner: "Meta-Llama-3-8B" -> "llama38b"."""
    name = re.sub(r"[^a-z0-9]", "", model.rsplit("/", 1)[-1].lower())
    return name.removeprefix("meta") if name.startswith("metallama") else name


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[^a-z0-9.]+", text.lower().rsplit("/", 1)[-1].replace(".", "")) if part]
