"""Bytes of the weights on each GPU of a replica, by what they are for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.architecture.spec import Attention, AttentionKind, LayerGroup, Role, Tensor
from estimators.formats import stored_bytes
from estimators.memory import partition
from estimators.precision import Precision, Weights
from estimators.provenance import read_table
from estimators.remembered import Remembered
from estimators.workload import Placement

_DATA = Path(__file__).with_name("data")
ROTARY = "rotary tables"
ABSORBED = "absorbed MLA factors"
PADDING = "kernel padding"
_SIXTEEN_BITS = 2
_MXFP4_WIDTH_MULTIPLE, _MXFP4_INNER_MULTIPLE = 256, 128  # vllm quantization/mxfp4.py, Marlin path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pipeline stage on one of its GPUs."""

    first_layer: int
    end_layer: int
    first: bool
    last: bool
    bytes_by_role: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.bytes_by_role)


_STAGES: Remembered[tuple[Stage, ...]] = Remembered(2048)


def stage_weights(
    precision: Precision, placement: Placement, *, serving: bool, mtp: bool = False, products: bool = False
) -> tuple[Stage, ...]:
    """As `count_weights`, counted once: no load changes them."""
    return _STAGES.of(
        (precision,),
        (placement, serving, mtp, products),
        lambda: count_weights(precision, placement, serving=serving, mtp=mtp, products=products),
    )


def count_weights(
    precision: Precision, placement: Placement, *, serving: bool, mtp: bool = False, products: bool = False
) -> tuple[Stage, ...]:
    """Weights of every stage; `serving` adds what a serving engine keeps beside the checkpoint's tensors.

    `products` is vLLM 0.7's way with MLA: whole products of projections, kept beside their factors.
    Llama-3.1-8B in bf16 on one GPU: 16,060,522,496 bytes, and 131,072 x 128 x 2 = 33,554,432 of rotary tables
    in vLLM, which logs the sum as 14.99 GiB.
    """
    spec = precision.spec
    if spec.stored is not None and not spec.groups:
        return _unknown(precision, placement)
    cuts = partition.stages(spec.layer_count, placement.pp)
    made = []
    for number, (start, end) in enumerate(cuts):
        first, last = number == 0, number == len(cuts) - 1
        sizes: Counter[str] = Counter()
        for group in spec.groups:
            if group.stack == "mtp" and not (mtp and last):
                continue
            layers = _layers_here(group, start, end, first)
            if layers:
                _add_layers(sizes, precision, placement, group, layers, serving, products)
        _add_outside(sizes, precision, placement, first, last, mtp)
        if serving:
            sizes[ROTARY] += rotary_bytes(precision)
        made.append(
            Stage(
                first_layer=start,
                end_layer=end,
                first=first,
                last=last,
                bytes_by_role=tuple((role, size) for role, size in sizes.items() if size),
            )
        )
    return tuple(made)


def _unknown(precision: Precision, placement: Placement) -> tuple[Stage, ...]:
    """Nobody has described the layers: the stored bytes, taken as evenly spread."""
    stored = precision.spec.stored
    total = stored.total_bytes if stored is not None else 0
    share = math.ceil(total / placement.gpus)
    return (Stage(first_layer=0, end_layer=0, first=True, last=True, bytes_by_role=(("stored", share),)),)


def _layers_here(group: LayerGroup, start: int, end: int, first: bool) -> tuple[int, ...]:
    if group.stack == "decoder":
        return tuple(layer for layer in group.layers if start <= layer < end)
    if group.stack == "mtp":
        return group.layers
    return group.layers if first else ()


def _add_layers(
    sizes: Counter[str],
    precision: Precision,
    placement: Placement,
    group: LayerGroup,
    layers: tuple[int, ...],
    serving: bool,
    products: bool,
) -> None:
    alike = precision.layers_alike(group)
    for tensor in group.tensors:
        shape, copies = partition.shard(tensor, placement, group)
        role = Role.MTP.value if group.stack == "mtp" else tensor.role.value
        if alike:
            sizes[role] += len(layers) * shard_bytes(precision, tensor, group.layers[0], shape, copies)
        else:
            sizes[role] += sum(shard_bytes(precision, tensor, layer, shape, copies) for layer in layers)
        if serving:
            sizes[PADDING] += len(layers) * _padding(precision, tensor, group, shape, copies)
    if serving and group.attention is not None and group.attention.kind is AttentionKind.MLA:
        absorbed = (
            product_bytes(precision, group, placement.tp) if products else absorbed_bytes(group.attention, placement.tp)
        )
        sizes[ABSORBED] += len(layers) * absorbed


def _add_outside(
    sizes: Counter[str], precision: Precision, placement: Placement, first: bool, last: bool, mtp: bool
) -> None:
    tied = precision.spec.tied_embeddings
    for tensor in precision.spec.tensors:
        if not _belongs(tensor.role, first, last, tied, mtp):
            continue
        shape, copies = partition.shard(tensor, placement, None)
        sizes[tensor.role.value] += shard_bytes(precision, tensor, None, shape, copies)


def _belongs(role: Role, first: bool, last: bool, tied: bool, mtp: bool) -> bool:
    """Embeddings and towers stand on the first stage, the head and final norm on the last, where tied tables repeat."""
    match role:
        case Role.MTP:
            return mtp and last
        case Role.LM_HEAD | Role.NORM:
            return last
        case Role.EMBEDDING:
            return first or (last and tied)
        case _:
            return first


def shard_bytes(precision: Precision, tensor: Tensor, layer: int | None, shape: tuple[int, ...], copies: int) -> int:
    """Stored bytes of a share, in the format of the whole."""
    form = precision.format_of(tensor, layer)
    if form.layout == "dense":
        return math.prod(shape) * copies * form.bits // 8
    return copies * stored_bytes(form, shape[0], shape[1])


def rotary_bytes(precision: Precision) -> int:
    """Tables of cos and sin that vLLM keeps for every position: positions x H x 2 bytes, one per width of head.

    Llama-3.1-8B: 131,072 x 128 x 2 = 33,554,432; Llama-4-Scout, which states 10,485,760 positions: 2.5 GiB on every
    GPU. Source: logged weights exceed the checkpoint by these bytes; models with scaled tables, or
    that rotate a part of their heads, in rotary_tables.csv.
    """
    spec = precision.spec
    widths = {
        group.attention.rope_dim or group.attention.head_dim
        for group in spec.groups
        if group.attention is not None and group.stack == "decoder"
    }
    tables = _rotary_tables().get(spec.model_type, 1)
    return int(sum(widths) * (spec.max_positions or 0) * _SIXTEEN_BITS * tables)


@cache
def _rotary_tables() -> Mapping[str, float]:
    rows = read_table(_DATA / "rotary_tables.csv", required=("model_type", "tables", "source", "as_of"))
    return {row["model_type"]: float(row["tables"]) for row in rows}


def absorbed_bytes(attention: Attention, tp: int) -> int:
    """MLA's up-projections, kept a second time in 16 bits so that decoding works on the latent vector.

    latent x N/T x (H_nope + Hv) x 2 bytes a layer. DeepSeek-V2-Lite: 512 x 16 x (128 + 128) x 2 x 27 = 113 MB,
    which with the rotary table is what its log shows above the checkpoint.
    """
    inside = attention.head_dim - attention.rope_dim + attention.value_dim
    return attention.latent_dim * (attention.q_heads // tp) * inside * _SIXTEEN_BITS


def product_bytes(precision: Precision, group: LayerGroup, tp: int) -> int:
    """MLA products of vLLM 0.7: W_Q W_UK and W_UV W_O per head, in FP8 when the weights are.

    N/T heads x latent x (D_q + D), and N/T x rope x D_q of the rotary query, D_q the query's input width.
    DeepSeek-R1, FP8, TP 8: 16 x 512 x (1,536 + 7,168) + 16 x 64 x 1,536 = 72.9 MB a layer, 4.1 GiB in all.
    Source: vllm-project/vllm#14725, which made them optional.
    """
    attention = group.attention
    if attention is None:
        return 0
    inputs = [tensor.shape[-1] for tensor in group.tensors if tensor.name.endswith((".q_b_proj", ".q_proj"))]
    query = inputs[0] if inputs else precision.spec.hidden_size
    heads = attention.q_heads // tp
    elements = heads * attention.latent_dim * (query + precision.spec.hidden_size) + heads * attention.rope_dim * query
    return elements * (1 if precision.weights is Weights.FP8 else _SIXTEEN_BITS)


def _padding(precision: Precision, tensor: Tensor, group: LayerGroup, shape: tuple[int, ...], copies: int) -> int:
    """MXFP4 experts are padded to the kernel's tile: widths to 256, inner widths to 128.

    gpt-oss-20b: 2880 -> 3072 and 2880 -> 2944, so experts grow by 9.0 %; vLLM 0.19 logs 13.64 GiB for 12.82 stored.
    """
    if tensor.role is not Role.EXPERT or len(shape) < 2 or group.ffn is None:
        return 0
    form = precision.format_of(tensor, group.layers[0])
    if form.layout != "mxfp4":
        return 0
    width = precision.spec.hidden_size
    padded = tuple(_pad(size, width) for size in shape)
    return copies * (stored_bytes(form, *padded) - stored_bytes(form, shape[0], shape[1]))


def _pad(size: int, width: int) -> int:
    multiple = _MXFP4_WIDTH_MULTIPLE if size == width else _MXFP4_INNER_MULTIPLE
    return -(-size // multiple) * multiple
