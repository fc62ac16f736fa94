"""The shape of a model: every tensor it stores and every kind of layer it runs, with no dict left over.

Letters follow the JAX scaling book: L layers, D model width, F feed-forward width, N query heads, K key-value
heads, H head dimension, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from estimators.architecture.quantization import QuantizationConfig


class Role(StrEnum):
    """What a tensor is for. Memory is reported by role; latency groups operators by role."""

    EMBEDDING = "embedding"
    LM_HEAD = "lm_head"
    ATTENTION = "attention"  # q, k, v, o projections, MLA low-rank factors, the sparse-attention indexer
    STATE = "state"  # projections, convolutions and decay of linear attention and SSM mixers
    FFN = "ffn"
    EXPERT = "expert"  # routed experts: all resident, k of n touched by a token
    SHARED_EXPERT = "shared_expert"
    ROUTER = "router"
    NORM = "norm"
    TOWER = "tower"  # vision or audio encoder and its projector
    MTP = "mtp"  # multi-token-prediction layers stored in the checkpoint


class Split(StrEnum):
    """How tensor parallelism divides a tensor over T ranks."""

    COLUMN = "column"  # output rows divided by T
    KV_COLUMN = "kv_column"  # output rows divided by min(T, K); beyond K ranks the heads are replicated
    ROW = "row"  # input columns divided by T
    VOCAB = "vocab"  # vocabulary rows padded (to 64 in vLLM), then divided by T
    EXPERT = "expert"  # divided by T inside each expert, or whole experts under expert parallelism
    REPLICATED = "replicated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One stored tensor, or `copies` tensors of one shape.

    `name` is the module path as in the checkpoint, relative to its layer when it belongs to a `LayerGroup`
    ("self_attn.q_proj"), absolute otherwise ("model.embed_tokens", "lm_head"). Experts, and the layers of a tower,
    carry ``{e}`` for their number ("mlp.experts.{e}.up_proj"). `shape` of a linear weight is (out, in). A bias is a
    Tensor of its own, with the name of its module plus ".bias" and `linear` false.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    copies: int = 1
    linear: bool = False  # the weight of a linear module, which quantization recipes target
    split: Split = Split.REPLICATED
    dtype: str | None = None  # "float32" when the checkpoint stores it wider than the model's dtype
    buffer: bool = False  # stored and loaded but no parameter (a router's balancing bias): bytes, not a count

    @property
    def elements(self) -> int:
        return math.prod(self.shape) * self.copies


class AttentionKind(StrEnum):
    FULL = "full"
    SLIDING = "sliding"  # a window that moves with the token
    CHUNKED = "chunked"  # fixed blocks, as in Llama 4
    MLA = "mla"  # one latent vector per token (DeepSeek V2 onward)
    CROSS = "cross"  # keys and values of an encoder or an image, written once


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Softmax attention of one layer. `head_dim` is the query-key dimension H, `value_dim` that of the values."""

    kind: AttentionKind
    q_heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None  # tokens, for SLIDING and CHUNKED
    latent_dim: int = 0  # MLA: kv_lora_rank
    rope_dim: int = 0  # MLA: qk_rope_head_dim
    indexer_dim: int = 0  # sparse-attention indexer: cached key elements per token
    indexer_topk: int = 0  # tokens each query attends to; 0 attends to all
    reuses_earlier_cache: bool = False  # Gemma 3n/4: reads the cache of an earlier layer, stores none
    keys_are_values: bool = False  # one cached vector serves as both
    compression: int = 0  # DeepSeek V4: beside the window, one entry of head_dim + indexer_dim per so many tokens

    @property
    def cached_elements_per_token(self) -> int:
        """Elements written to the KV cache per token: K (H + Hv), or the latent and rotary parts for MLA.

        Llama-3.1-8B: 8 x (128 + 128) = 2048. DeepSeek-V3: 512 + 64 = 576. Indexer keys are counted apart.
        """
        if self.reuses_earlier_cache:
            return 0
        if self.kind is AttentionKind.MLA:
            return self.latent_dim + self.rope_dim
        return self.kv_heads * (self.head_dim if self.keys_are_values else self.head_dim + self.value_dim)

    @property
    def compressed_elements_per_token(self) -> float:
        """Elements per token kept for the whole context where only a window is kept in full.

        DeepSeek V4, one entry per 4 tokens: (512 + 128) / 4 = 160. 0 for every other family.
        """
        return (self.head_dim + self.indexer_dim) / self.compression if self.compression else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentState:
    """Fixed-size state one request keeps in one layer (Mamba, gated DeltaNet and their kin)."""

    kind: str  # "mamba1", "mamba2", "gated_delta_net", "short_conv" ...
    conv_elements: int  # rolling window of the convolution, in the model's dtype
    recurrent_elements: int  # the state matrix
    recurrent_dtype: str = "float32"  # as serving engines keep it unless told otherwise
    heads: int = 1  # tensor parallelism divides the state by heads


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedForward:
    """Dense (`experts` = 0) or mixture of experts. Widths are of one expert."""

    width: int  # F
    gated: bool = True  # three matrices (SwiGLU) or two
    experts: int = 0  # n, routed
    experts_per_token: int = 0  # k
    shared_experts: int = 0
    shared_width: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """Identical layers. A layer may have attention, a recurrent mixer, both (Falcon-H1) or neither."""

    layers: tuple[int, ...]  # their indices in the stack
    tensors: tuple[Tensor, ...]  # of ONE layer
    attention: Attention | None = None
    cross_attention: Attention | None = None
    state: RecurrentState | None = None
    ffn: FeedForward | None = None
    stack: str = "decoder"  # or "encoder", "mtp"
    prefix: str = "model.layers.{i}"  # module path of one layer
    again: tuple[Tensor, ...] = ()  # of earlier layers, which ONE layer here reads and multiplies by once more

    @property
    def count(self) -> int:
        return len(self.layers)

    @property
    def elements_per_layer(self) -> int:
        """Parameters of one layer; buffers are stored but not counted."""
        return sum(tensor.elements for tensor in self.tensors if not tensor.buffer)


class SpecSource(StrEnum):
    HUB = "hub"
    CATALOGUE = "catalogue"
    PARAMETER_COUNT = "parameter_count"
    HEADER = "safetensors_header"
    FILE = "file"


class Reading(StrEnum):
    """How sure the shape of a model is, surest first."""

    DESCRIBED = "described"  # its tensors follow from its config, as counted on the built model
    MATCHED = "equal to the headers"  # read by convention; names, shapes and bytes are those of the files
    CONVENTION = "by convention"  # read by convention alone: the parameters may be off by `relative_range`
    COUNT = "a count alone"  # nothing is known but how much is stored, or how many parameters there are


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """Exact stored bytes read from safetensors headers, used when nobody has described the architecture."""

    bytes_by_dtype: tuple[tuple[str, int], ...]
    elements: int

    @property
    def total_bytes(self) -> int:
        return sum(size for _, size in self.bytes_by_dtype)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Everything the estimators need to know of a model."""

    id: str
    revision: str | None  # commit of the Hub, when known
    source: SpecSource
    source_note: str  # where the config was read, with its date and fidelity
    architecture: str  # "LlamaForCausalLM"
    model_type: str
    hidden_size: int  # D
    vocab_size: int  # V
    max_positions: int | None  # context limit the config states
    dtype: str  # "bfloat16", "float16", "float32": of the unquantized tensors
    tied_embeddings: bool
    groups: tuple[LayerGroup, ...]
    tensors: tuple[Tensor, ...]  # outside the layers: embeddings, head, final norm, towers
    quantization: QuantizationConfig | None = None  # what the checkpoint says of itself
    stored: StoredWeights | None = None
    approximate: bool = False  # made from a bare parameter count
    reading: Reading = Reading.DESCRIBED
    relative_range: float = 0.0  # parameters, bytes and cache may be larger or smaller by this share
    notes: tuple[str, ...] = field(default=())  # caveats a person should see

    @cached_property
    def layer_count(self) -> int:
        """Decoder layers L, without multi-token-prediction layers."""
        return sum(group.count for group in self.groups if group.stack == "decoder")

    @cached_property
    def resident_params(self) -> int:
        """Unique parameters that must be loaded: tied embeddings once, no MTP layers, no quantization scales."""
        if self.stored is not None and not self.groups:
            return self.stored.elements
        inside = sum(g.elements_per_layer * g.count for g in self.groups if g.stack != "mtp")
        outside = sum(t.elements for t in self.tensors if t.role is not Role.MTP and not t.buffer)
        return inside + outside

    @cached_property
    def active_params(self) -> int:
        """Parameters one token touches: k of n routed experts, everything else once (embeddings included)."""
        idle = 0
        for group in self.groups:
            if group.stack == "mtp" or group.ffn is None or not group.ffn.experts:
                continue
            routed = sum(t.elements for t in group.tensors if t.role is Role.EXPERT)
            idle += group.count * (routed - routed * group.ffn.experts_per_token // group.ffn.experts)
        return self.resident_params - idle
