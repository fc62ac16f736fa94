"""How one replica is cut: layers into pipeline stages, tensors into tensor- and expert-parallel shares."""

from __future__ import annotations

from estimators.architecture.spec import (
    Attention,
    AttentionKind,
    FeedForward,
    LayerGroup,
    ModelSpec,
    Role,
    Split,
    Tensor,
)
from estimators.provenance import Refusal
from estimators.workload import Placement

MOST_GPUS = 1024  # per replica; beyond it the input is a mistake
_VOCAB_MULTIPLE = 64  # vllm/model_executor/layers/vocab_parallel_embedding.py, DEFAULT_VOCAB_PADDING_SIZE


def check(spec: ModelSpec, placement: Placement) -> None:
    """Refuse a cut the engine would refuse, naming the values that work."""
    for field, value in (("gpus", placement.tp), ("pp", placement.pp), ("ep", placement.ep), ("dp", placement.dp)):
        if not 1 <= value <= MOST_GPUS:
            raise Refusal(f"{value} is not a number of accelerators.", field=field, remedy=f"Use 1 to {MOST_GPUS}.")
    layers = spec.layer_count
    if spec.groups and placement.pp > layers:
        raise Refusal(
            f"{spec.id} has {layers} layers, fewer than {placement.pp} stages.",
            field="pp",
            remedy=f"Use 1 to {layers}.",
        )
    problem = tp_problem(spec, placement.tp)
    if problem:
        raise Refusal(f"{problem}.", field="gpus", remedy=_valid_tp(spec))
    _check_experts(spec, placement)


def tp_problem(spec: ModelSpec, tp: int) -> str:
    """Why `tp` ranks cannot share the model, or nothing.

    Query heads divide by T; key-value heads divide by T or T divides by them (then they are replicated).
    """
    for group in spec.groups:
        for attention in (group.attention, group.cross_attention):
            if attention is not None and (reason := _heads_problem(attention, tp)):
                return reason
        if group.state is not None and max(group.state.heads, tp) % min(group.state.heads, tp):
            return f"{group.state.heads} state heads do not divide over {tp} GPUs"
        if group.ffn is not None and not group.ffn.experts and group.ffn.width % tp:
            return f"a feed-forward width of {group.ffn.width} does not divide over {tp} GPUs"
    return ""


def _heads_problem(attention: Attention, tp: int) -> str:
    if attention.q_heads % tp:
        return f"{attention.q_heads} query heads do not divide over {tp} GPUs"
    kv = attention.kv_heads
    if attention.kind is not AttentionKind.MLA and max(kv, tp) % min(kv, tp):
        return f"{kv} key-value heads can neither be split nor copied over {tp} GPUs"
    return ""


def _valid_tp(spec: ModelSpec) -> str:
    valid = [tp for tp in range(1, 65) if not tp_problem(spec, tp)]
    return f"{spec.id} runs on {', '.join(map(str, valid))}."


def _check_experts(spec: ModelSpec, placement: Placement) -> None:
    if placement.ep == 1:
        return
    experts = max((group.ffn.experts for group in spec.groups if group.ffn is not None), default=0)
    if not experts:
        raise Refusal(f"{spec.id} has no experts to spread.", field="ep", remedy="Leave ep at 1.")
    ranks = placement.expert_ranks
    if ranks % placement.ep or placement.ep > experts:
        valid = [ep for ep in range(1, ranks + 1) if ranks % ep == 0 and ep <= experts]
        raise Refusal(
            f"{experts} experts cannot be spread over {placement.ep} of {ranks} GPUs.",
            field="ep",
            remedy=f"Use {', '.join(map(str, valid))}.",
        )


def stages(layers: int, pp: int) -> tuple[tuple[int, int], ...]:
    """First and one-past-last layer of each stage; what is left over goes to the stages before the last.

    32 layers over 3: 10 + 11 + 11 would burden the last stage, which also holds the LM head, so 11 + 11 + 10.
    Source: vllm/distributed/utils.py get_pp_indices.
    """
    counts = [layers // pp] * pp
    for extra in range(layers % pp):
        counts[-(extra + 2) % pp] += 1
    ends = [sum(counts[: stage + 1]) for stage in range(pp)]
    return tuple((end - count, end) for end, count in zip(ends, counts, strict=True))


def shard(tensor: Tensor, placement: Placement, group: LayerGroup | None) -> tuple[tuple[int, ...], int]:
    """Shape and copies of the tensor's share on the fullest rank."""
    tp = placement.tp
    shape, copies = tensor.shape, tensor.copies
    if tensor.split is Split.EXPERT and placement.expert_ranks > 1 and shape:
        return _expert_share(tensor, placement, group.ffn if group is not None else None)
    if not shape or tp == 1 or tensor.split is Split.REPLICATED:
        return shape, copies
    attention = group.attention if group is not None else None
    match tensor.split:
        case Split.COLUMN:
            return (_fused_rows(tensor, attention, tp) or _ceil(shape[0], tp), *shape[1:]), copies
        case Split.KV_COLUMN:
            heads = attention.kv_heads if attention is not None else tp
            return (_ceil(shape[0], min(tp, heads)), *shape[1:]), copies
        case Split.ROW:
            return (*shape[:-1], _ceil(shape[-1], tp)), copies
        case Split.VOCAB:
            padded = _ceil(shape[0], _VOCAB_MULTIPLE) * _VOCAB_MULTIPLE
            return (_ceil(padded, tp), *shape[1:]), copies
    return shape, copies


def _fused_rows(tensor: Tensor, attention: Attention | None, tp: int) -> int:
    """Rows per rank of one matrix for q, k and v, whose key-value part is copied beyond K ranks."""
    if attention is None or tensor.role is not Role.ATTENTION or tp <= attention.kv_heads:
        return 0
    query = attention.q_heads * attention.head_dim
    pair = attention.head_dim + attention.value_dim
    if tensor.shape[0] != query + attention.kv_heads * pair:
        return 0
    return _ceil(query, tp) + pair


def _expert_share(tensor: Tensor, placement: Placement, ffn: FeedForward | None) -> tuple[tuple[int, ...], int]:
    """Whole experts over `ep` ranks, each cut over the rest; the inner width F is what is cut."""
    inside = placement.expert_ranks // placement.ep
    copies = _ceil(tensor.copies, placement.ep)
    shape = tensor.shape
    if inside == 1:
        return shape, copies
    columns = (
        ffn is not None and len(shape) > 1 and shape[-1] == ffn.width and shape[0] not in (ffn.width, 2 * ffn.width)
    )
    if columns:
        return (*shape[:-1], _ceil(shape[-1], inside)), copies
    if ffn is not None and shape[0] % ffn.width:
        return shape, copies  # the bias of the down projection stays whole
    return (_ceil(shape[0], inside), *shape[1:]), copies


def _ceil(amount: int, parts: int) -> int:
    return -(-amount // parts)
