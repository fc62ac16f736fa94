"""What one GPU reads, computes and exchanges in one pass through the model: the numbers a step time is made of."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from estimators.architecture.spec import Attention, AttentionKind, LayerGroup, ModelSpec, Role, Split
from estimators.engines.paths import Path, compute_path
from estimators.hardware.accelerator import Accelerator
from estimators.latency.numeric import Number
from estimators.latency.tensor_walk import decoder_tensors
from estimators.precision import Precision
from estimators.provenance import Refusal
from estimators.remembered import Remembered
from estimators.workload import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Matrix products of one kind: stored bytes and elements read by one GPU, and the path that computes them."""

    bytes: Number = 0.0
    elements: Number = 0.0
    peak: Number = 1.0  # FLOP/s of the data sheet on this path
    path: str = Path.WIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Per GPU, one pass through all L layers. Attention over a window is kept apart from attention over all.

    `pair` FLOPs are of one query token against one cached token, all heads and layers of this GPU.
    """

    linear: Product  # projections, dense feed-forward and shared experts in the model's main format
    wide: Product  # the same roles where the checkpoint left them in 16 bits
    expert: Product  # all routed experts this GPU holds
    head: Product  # LM head, computed for sampled tokens only
    experts: Number = 1.0  # n
    experts_per_token: Number = 0.0  # k
    group: Number = 1.0  # query heads that share a cached head on one GPU, mean over the cache
    kv_bytes: Number = 0.0  # cache read per context token, layers that attend to all
    pair_decode: Number = 0.0
    pair_prefill: Number = 0.0
    window: Number = 1.0
    window_kv_bytes: Number = 0.0
    window_pair: Number = 0.0
    state_bytes: Number = 0.0  # read and written per request and step
    activation_bytes: Number = 0.0  # element-wise traffic per token
    collectives: Number = 0.0  # all-reduces per pass
    collective_bytes: Number = 0.0  # moved over one GPU's link per token and pass, one way
    stages: Number = 1.0  # pipeline stages PP
    products: Number = 0.0  # dense matrix products per pass, the head left out
    expert_layers: Number = 0.0
    attentions: Number = 0.0  # attention kernels per pass, cached states among them
    kernels: Number = 0.0  # other kernels per pass: norms, rotary, activations, routing
    peak_16bit: Number = 1.0
    bandwidth: Number = 1.0  # bytes/s of the data sheet
    link: Number = 1.0  # bytes/s, one way
    has_mla: bool = False
    has_state: bool = False
    has_indexer: bool = False  # attends to cached tokens an indexer chose
    has_experts: bool = False
    cache_form: str = "16bit"  # of the KV cache: "16bit", "fp8", after "latent-" where a latent is cached
    layout: str = ""  # how 4-bit weights are packed ("awq", "gptq", "ct-pack"); kernels differ by it
    weights_bytes: Number = 0.0  # of this GPU, embeddings included


_UNKNOWN_LINK = 32e9  # bytes/s, both directions, of a chip whose row has no link: PCIe Gen3 x16


def _link(accelerator: Accelerator, tp: int) -> float:
    """Bytes/s of one GPU's link, both directions, among `tp` of them. Four A100 over PCIe: 64 GB/s, two 600."""
    beyond = None
    if accelerator.machine_gpus and tp > accelerator.machine_gpus:
        beyond = accelerator.network_bytes_per_s
    elif accelerator.bridge_gpus and tp > accelerator.bridge_gpus:
        beyond = accelerator.bus_bytes_per_s
    return min(accelerator.link_bytes_per_s or _UNKNOWN_LINK, beyond or math.inf)


def cache_form(latent: bool, bytes_per_element: float) -> str:
    """The form of a KV cache as the table of operators calls it."""
    return ("latent-" if latent else "") + ("fp8" if bytes_per_element <= 1.0 else "16bit")


def _ways(split: Split, tp: int, kv_heads: int) -> int:
    """GPUs of one stage a tensor is divided over."""
    if split is Split.REPLICATED:
        return 1
    if split is Split.KV_COLUMN:
        return max(1, min(tp, kv_heads))
    return tp


class _Sum:
    """Running sums while the tensors of a model are walked."""

    def __init__(self) -> None:
        self.bytes: dict[tuple[str, str], float] = {}
        self.elements: dict[tuple[str, str], float] = {}
        self.peak: dict[str, float] = {}

    def add(self, slot: str, path: str, peak: float, bytes_: float, elements: float) -> None:
        key = (slot, path)
        self.bytes[key] = self.bytes.get(key, 0.0) + bytes_
        self.elements[key] = self.elements.get(key, 0.0) + elements
        self.peak[path] = peak

    def product(self, slot: str, paths: tuple[str, ...]) -> Product:
        if not paths:
            return Product()
        size = sum(self.bytes[slot, p] for p in paths)
        elements = sum(self.elements[slot, p] for p in paths)
        main = max(paths, key=lambda p: self.bytes[slot, p])
        flop_seconds = sum(self.elements[slot, p] / self.peak[p] for p in paths)
        return Product(bytes=size, elements=elements, peak=elements / flop_seconds if elements else 1.0, path=main)

    def split(self, slot: str, apart: str | None = None) -> tuple[Product, Product]:
        """The products of a slot on all paths but `apart`, and on `apart`."""
        paths = tuple(p for s, p in self.bytes if s == slot and p != apart)
        return self.product(slot, paths), self.product(slot, (apart,) if apart and (slot, apart) in self.bytes else ())


def _attention(attention: Attention, count: int, tp: int, kv_width: float) -> dict[str, float]:
    """Cache bytes and pair FLOPs of `count` layers on one GPU: 2 N (H + Hv) per query-key pair, N heads over TP."""
    heads = attention.q_heads / tp
    pair = 2.0 * heads * (attention.head_dim + attention.value_dim) * count
    if attention.kind is AttentionKind.MLA:
        stored = attention.latent_dim + attention.rope_dim  # replicated over TP ranks
        absorbed = 2.0 * heads * (2 * attention.latent_dim + attention.rope_dim) * count
        return {"bytes": stored * kv_width * count, "decode": absorbed, "prefill": pair, "group": 1.0}
    width = attention.head_dim if attention.keys_are_values else attention.head_dim + attention.value_dim
    share = attention.kv_heads / min(tp, attention.kv_heads)
    size = share * width * kv_width * count
    return {"bytes": size, "decode": pair, "prefill": pair, "group": max(1.0, heads / share)}


def _norm_exchanges(group: LayerGroup) -> int:
    """1 where queries and keys are normalized over all heads at once: under TP, GPUs add up their variances first.

    MiniMax-M2 and OLMo 2 norm so; Qwen3 norms head by head and exchanges nothing.
    """
    attention = group.attention
    if attention is None or attention.q_heads == 1:
        return 0
    wide = (attention.q_heads * attention.head_dim,)
    return int(any(t.role is Role.NORM and t.shape == wide and "q_norm" in t.name for t in group.tensors))


def _window(attention: Attention) -> int | None:
    if attention.kind is AttentionKind.SLIDING:
        return attention.window
    if attention.kind is AttentionKind.CHUNKED and attention.window:
        return attention.window // 2  # a token sees half a block on average
    return attention.indexer_topk or None


# Kernels of a pass outside its layers, counted: embedding, final norm, choice of sampled rows, head, softmax, draw.
_KERNELS_AROUND = 6.0


def _dense_products(group: LayerGroup) -> float:
    """Matrix products of one layer, counted as engines fuse them: QKV and gate with up are one each."""
    count = 0.0
    if group.attention is not None:  # into and out of attention; a latent is projected thrice more
        count += 5.0 if group.attention.kind is AttentionKind.MLA else 2.0
    if group.state is not None:
        count += 3.0
    if group.ffn is not None:
        count += (1.0 + (2.0 if group.ffn.shared_experts else 0.0)) if group.ffn.experts else 2.0
    return count


def _other_kernels(group: LayerGroup) -> float:
    """Kernels of one layer that multiply nothing: norm, rotary with cache write, activation, top-k, sum of experts."""
    count = 0.0
    if group.attention is not None:
        count += 3.0 if group.attention.kind is AttentionKind.MLA else 2.0
        count += any("q_norm" in tensor.name for tensor in group.tensors)
    if group.state is not None:
        count += 3.0
    if group.ffn is not None:
        count += 3.0 + bool(group.ffn.shared_experts) if group.ffn.experts else 2.0
    return count


_SHARDS: Remembered[Shard] = Remembered(4096)


def shard_of(precision: Precision, accelerator: Accelerator, placement: Placement) -> Shard:
    """`build_shard`, built once: no load changes it."""
    return _SHARDS.of((precision, accelerator), placement, lambda: build_shard(precision, accelerator, placement))


def build_shard(precision: Precision, accelerator: Accelerator, placement: Placement) -> Shard:
    """The per-GPU sums of a model at a precision, split by TP and PP.

    Raises `Refusal` when the accelerator's table row lacks the peaks a step time needs, or when nothing is
    known of the model but its stored bytes.
    """
    spec = precision.spec
    if accelerator.bandwidth_bytes_per_s is None or accelerator.flops_16bit is None:
        raise Refusal(
            f"Bandwidth or peak FLOP/s of {accelerator.name} is not in the table.",
            field="gpu",
            remedy="Choose another accelerator; memory and cost are still shown.",
        )
    groups = decoder_tensors(precision)
    if not groups:
        raise Refusal(
            "The layers of this model are not known, so its speed cannot be computed.",
            field="model",
            remedy="Give `params` instead, or a model with a config.",
        )
    sums = _Sum()
    tp, kv_width = placement.tp, precision.kv_bytes_per_element
    totals: defaultdict[str, float] = defaultdict(float)
    resident = 0.0
    experts = experts_per_token = 0.0
    layout = ""
    has_mla = has_state = has_indexer = False
    for group, tensors in groups:
        kv_heads = group.attention.kv_heads if group.attention else 1
        for tensor in tensors:
            ways = _ways(tensor.split, tp, kv_heads)
            resident += 0.0 if tensor.again else tensor.bytes / ways
            if not tensor.slot:
                continue
            path, peak = compute_path(tensor.form, accelerator)
            layout = tensor.form.layout if path == Path.W4A16 else layout
            sums.add(tensor.slot, path, peak, tensor.bytes / ways, tensor.elements / ways)
        _add_attention(totals, group, tp, kv_width)
        if group.state is not None:
            has_state = True
            ways = max(1, min(tp, group.state.heads))
            state = group.state.conv_elements * 2.0 + group.state.recurrent_elements * 4.0
            totals["state"] += 2.0 * state * group.count / ways
        if group.ffn is not None and group.ffn.experts:
            experts, experts_per_token = float(group.ffn.experts), float(group.ffn.experts_per_token)
        has_mla = has_mla or (group.attention is not None and group.attention.kind is AttentionKind.MLA)
        has_indexer = has_indexer or (group.attention is not None and bool(group.attention.indexer_topk))
        blocks = (group.attention is not None or group.state is not None) + (group.ffn is not None)
        totals["coll"] += group.count * blocks
        totals["waits"] += group.count * (blocks + _norm_exchanges(group))
        totals["products"] += group.count * _dense_products(group)
        totals["experts"] += group.count * bool(group.ffn is not None and group.ffn.experts)
        totals["attentions"] += group.count * ((group.attention is not None) + (group.state is not None))
        totals["kernels"] += group.count * _other_kernels(group)
        totals["act"] += group.count * _activation_bytes(spec, group, tp)
    head, embedding = _head(precision, accelerator, tp)
    main, wide = _main_and_wide(sums)
    expert = sums.split("expert")[0]
    window = totals["window"] / totals["window_kv"] if totals["window_kv"] else 1.0
    link = _link(accelerator, tp)
    return Shard(
        linear=main,
        wide=wide,
        expert=expert,
        head=head,
        experts=experts or 1.0,
        experts_per_token=experts_per_token,
        group=totals["group"] / totals["read"] if totals["read"] else 1.0,
        kv_bytes=totals["kv"],
        pair_decode=totals["decode"],
        pair_prefill=totals["prefill"],
        window=window,
        window_kv_bytes=totals["window_kv"],
        window_pair=totals["window_pair"],
        state_bytes=totals["state"],
        activation_bytes=totals["act"],
        collectives=totals["waits"] if tp > 1 else 0.0,
        collective_bytes=totals["coll"] * 2.0 * (tp - 1) / tp * 2.0 * spec.hidden_size,
        stages=float(placement.pp),
        products=totals["products"],
        expert_layers=totals["experts"],
        attentions=totals["attentions"],
        kernels=totals["kernels"] + _KERNELS_AROUND,
        peak_16bit=accelerator.flops_16bit,
        bandwidth=accelerator.bandwidth_bytes_per_s,
        link=link / 2.0,
        cache_form=cache_form(has_mla, kv_width),
        layout=layout,
        has_mla=has_mla,
        has_state=has_state,
        has_indexer=has_indexer,
        has_experts=experts > 0,
        weights_bytes=resident + head.bytes + embedding,
    )


def _add_attention(totals: dict[str, float], group: LayerGroup, tp: int, kv_width: float) -> None:
    attention = group.attention
    if attention is None:
        return
    part = _attention(attention, group.count, tp, kv_width)
    window = _window(attention)
    totals["read"] += part["bytes"]
    totals["group"] += part["group"] * part["bytes"]
    if window is None:
        totals["kv"] += part["bytes"]
        totals["decode"] += part["decode"]
        totals["prefill"] += part["prefill"]
        return
    totals["window_kv"] += part["bytes"]
    totals["window_pair"] += part["decode"]
    totals["window"] += window * part["bytes"]
    if attention.indexer_topk:  # the indexer itself scans every cached token, at one byte an element
        totals["kv"] += float(attention.indexer_dim) * group.count


def _activation_bytes(spec: ModelSpec, group: LayerGroup, tp: int) -> float:
    """Element-wise traffic of one token in one layer, 2 bytes an element: 10 D plus 5 F/TP.

    Counted from the operators of a fused engine, as `_kernels` is: each of two add-and-norms reads the hidden state and
    the residual and writes both (8 D), attention and feed-forward write their output (2 D); the gate and up products
    write 2 F, the activation reads those and writes F (5 F). What of the bandwidth it reaches is fitted.
    """
    width = 0.0
    if group.ffn is not None:
        active = group.ffn.experts_per_token * group.ffn.width if group.ffn.experts else group.ffn.width
        width = active + group.ffn.shared_experts * group.ffn.shared_width
    return 2.0 * (10.0 * spec.hidden_size + 5.0 * width / tp)


def _main_and_wide(sums: _Sum) -> tuple[Product, Product]:
    """The main format of the linear layers, and what was left in 16 bits beside it."""
    paths = [p for s, p in sums.bytes if s == "linear"]
    if set(paths) <= {Path.WIDE}:
        return sums.split("linear")[0], Product()
    return sums.split("linear", Path.WIDE)


def _head(precision: Precision, accelerator: Accelerator, tp: int) -> tuple[Product, float]:
    """The LM head (the embedding itself when tied) on one GPU, and the bytes of a separate embedding."""
    spec = precision.spec
    heads = [t for t in spec.tensors if t.role is Role.LM_HEAD and len(t.shape) >= 2]
    embeddings = [
        t for t in spec.tensors if t.role is Role.EMBEDDING and len(t.shape) >= 2 and t.shape[0] == spec.vocab_size
    ]
    tensor = heads[0] if heads else (embeddings[0] if embeddings else None)
    if tensor is None:
        return Product(), 0.0
    path, peak = compute_path(precision.format_of(tensor), accelerator)
    product = Product(bytes=precision.bytes_of(tensor) / tp, elements=tensor.elements / tp, peak=peak, path=path)
    other = sum(precision.bytes_of(t) for t in embeddings if t is not tensor) / tp
    return product, other
