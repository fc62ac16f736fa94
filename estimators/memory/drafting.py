"""Speculative decoding in memory: what a drafting method adds to the GPUs that draft, and what cannot draft."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from estimators.architecture.catalogue import load_spec
from estimators.architecture.spec import Attention, LayerGroup, ModelSpec, Role
from estimators.formats import DTYPE_BYTES
from estimators.memory import partition
from estimators.memory.kv_cache import Cache, CacheKind, cache_kinds, row_bytes
from estimators.memory.weights import Stage, stage_weights
from estimators.precision import KvPrecision, Precision, resolve_precision
from estimators.provenance import Refusal
from estimators.workload import DRAFTERS, Engine, Placement, Speculation

MOST_TOKENS = 16  # drafted per step; published acceptance ends long before
DRAFT_MODEL = "draft model"
EAGLE_HEAD = "eagle head"
WITH_MTP = "DeepSeek V3 and V4, GLM 4.5 to 5, Qwen3-Next, Qwen3.5 and 3.6, Nemotron 3 and MiMo have them"


def check(speculation: Speculation, spec: ModelSpec) -> None:
    """Refuse a method the model cannot be drafted with, and a number of tokens nobody drafts."""
    method = speculation.method
    if method not in DRAFTERS:
        raise Refusal(f"{method!r} is no drafting method.", field="spec", remedy=f"Use {', '.join(DRAFTERS)}.")
    if not 1 <= speculation.tokens <= MOST_TOKENS:
        raise Refusal(
            f"{speculation.tokens} drafted tokens per step are not possible.",
            field="spec_tokens",
            remedy=f"Use 1 to {MOST_TOKENS}.",
        )
    if method in ("mtp", "eagle") and not spec.groups:
        raise Refusal(
            f"The layers of {spec.id} are not described, so what {method} adds to them is unknown.",
            field="spec",
            remedy="Use ngram or a draft model.",
        )
    if method == "mtp" and not any(group.stack == "mtp" for group in spec.groups):
        raise Refusal(
            f"{spec.id} has no multi-token-prediction layers to draft with: {WITH_MTP}.",
            field="spec",
            remedy="Use ngram, eagle or a draft model.",
        )
    if method == "eagle" and not _eagle_groups(spec):
        raise Refusal(
            f"{spec.id} has no attention layers, and an EAGLE head is one more of the model's attention layers.",
            field="spec",
            remedy="Use ngram or a draft model.",
        )


def draft_precision(
    speculation: Speculation | None,
    kv: KvPrecision = KvPrecision.AUTO,
    load: Callable[[str], ModelSpec] | None = None,
) -> Precision | None:
    """The draft model as published, or None where no draft model drafts.

    `kv` is the target's: an engine keeps one type of cache for both, so FP8 there is FP8 here. `load` finds a spec by
    its id, the embedded models when left out. Raises `Refusal` of the field `spec` for a model nobody knows.
    """
    if speculation is None or speculation.method != "draft":
        return None
    name = speculation.draft_model
    if not name:
        raise Refusal("No draft model is named.", field="spec", remedy="Give its Hub id.")
    shared = KvPrecision.FP8 if kv is KvPrecision.FP8 else KvPrecision.AUTO
    try:
        return resolve_precision((load or load_spec)(name), kv=shared)
    except Refusal as refusal:
        raise Refusal(f"As a draft model: {refusal.message}", field="spec", remedy=refusal.remedy) from refusal


def with_draft(
    stage: Stage,
    cache: Cache,
    speculation: Speculation | None,
    draft: Precision | None,
    precision: Precision,
    placement: Placement,
    engine: Engine,
) -> tuple[Stage, Cache]:
    """Draft weights and cache, on the last stage where they run.

    Llama-3.2-1B drafting on one GPU: 2,471,628,800 bytes + 16,777,216 of rotary tables, and 16 x 2 x 8 x 64 x 2 =
    32,768 bytes of cache a token. A draft that does not divide over the target's GPUs stands whole on each.
    """
    if speculation is None or not stage.last:
        return stage, cache
    if speculation.method == "draft" and draft is not None:
        tp = placement.tp if not partition.tp_problem(draft.spec, placement.tp) else 1
        (whole,) = stage_weights(draft, Placement(tp=tp), serving=engine is not Engine.TRANSFORMERS)
        return _grown(stage, cache, DRAFT_MODEL, whole.bytes, cache_kinds(draft, tp))
    if speculation.method == "eagle":
        return _grown(stage, cache, EAGLE_HEAD, *eagle_head(precision, placement))
    return stage, cache


def _grown(stage: Stage, cache: Cache, role: str, size: int, kinds: tuple[CacheKind, ...]) -> tuple[Stage, Cache]:
    stage = replace(stage, bytes_by_role=(*stage.bytes_by_role, (role, size)))
    pages = cache.compressed
    if pages is not None:
        pages = replace(pages, beside=sum(kind.layers * kind.bytes_per_token for kind in kinds))
    return stage, replace(cache, kinds=cache.kinds + kinds, compressed=pages)


def eagle_head(precision: Precision, placement: Placement) -> tuple[int, tuple[CacheKind, ...]]:
    """An EAGLE-3 head: one decoder layer of the target, a projection of three hidden states (3 D x D), its cache.

    Source: arXiv:2503.01840, section 3; the head shares the target's embeddings and LM head.
    """
    spec = precision.spec
    group, attention = _eagle_groups(spec)[0]
    dense = [tensor for tensor in group.tensors if tensor.role is not Role.EXPERT]
    width = DTYPE_BYTES[precision.compute_dtype]
    elements = sum(tensor.elements for tensor in dense) + 3 * spec.hidden_size**2
    kind = CacheKind(layers=1, bytes_per_token=row_bytes(precision, attention, placement.tp))
    return math.ceil(elements * width / placement.tp), (kind,)


def _eagle_groups(spec: ModelSpec) -> list[tuple[LayerGroup, Attention]]:
    """Decoder layers with attention, each with it."""
    return [
        (group, group.attention) for group in spec.groups if group.stack == "decoder" and group.attention is not None
    ]
