"""The engine's own memory: activation peak, communication buffers, CUDA graphs, adapters."""

from __future__ import annotations

import math

from estimators.architecture.spec import Attention, AttentionKind, Role, Split
from estimators.formats import DTYPE_BYTES
from estimators.memory.engine import Running
from estimators.memory.weights import Stage
from estimators.precision import KvPrecision, Precision, Weights
from estimators.workload import Engine, Placement

_EXPERT_CHUNK = 32768  # tokens, vLLM VLLM_FUSED_MOE_CHUNK_SIZE
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # vllm/config/lora.py: what --max-lora-rank may be


def activation_bytes(precision: Precision, placement: Placement, running: Running, stage: Stage) -> int:
    """Peak of one step of `batched_tokens`: the sampler's copies of the logits, or the widest layer.

    max(B (h D + 3 F / T) w, B D w a + S V (w + s)) + work space kept + c, with B batched tokens, S requests,
    w bytes of the compute type, s bytes per logit of float32 copies, and h, a, c the same for all models.
    Llama-3.1-8B, vLLM 0.19, H100: S V (2 + 12) = 1.71 GiB of the 1.89 logged.
    """
    if running.engine is Engine.TRANSFORMERS:
        return math.ceil(running.value("activation_base"))
    tokens, seqs = running.batched_tokens, min(running.sampled_seqs, running.batched_tokens)
    width = DTYPE_BYTES[precision.compute_dtype]
    spec = precision.spec
    kept = bool(running.value("expert_workspaces"))
    experts = expert_workspace_bytes(precision, placement, tokens, width, kept)
    sparse = sparse_attention(precision)
    layer = max(3 * tokens * dense_width(precision) / placement.tp * width, 0.0 if kept else experts)
    if sparse is not None:
        layer = max(layer, running.value("index_logits"))
        experts = max(experts, sparse_workspace_bytes(precision, sparse, placement, running))
    forward = running.value("forward_hidden") * tokens * spec.hidden_size * width + layer
    sampler = 0.0
    if stage.last and running.samples:
        logits = seqs * spec.vocab_size * (width + running.value("sampler_copies"))
        sampler = tokens * spec.hidden_size * width * running.value("hidden_copies") + logits
    tower = running.value("tower_activation") if stage.first and has_tower(precision) else 0.0
    return math.ceil(max(forward, sampler) + kept * experts + tower + running.value("activation_base"))


def dense_width(precision: Precision) -> int:
    """The widest feed-forward network every token passes through: dense layers and shared experts."""
    widths = [
        group.ffn.shared_width * group.ffn.shared_experts if group.ffn.experts else group.ffn.width
        for group in precision.spec.groups
        if group.ffn is not None
    ]
    return max(widths, default=0)


def expert_workspace_bytes(precision: Precision, placement: Placement, tokens: int, width: int, kept: bool) -> float:
    """Buffers of the fused expert kernels, B at most one kernel chunk; MXFP4 kernels need none.

    Kept from vLLM 0.15 on: B k (max(2 F/T, D) + max(F/T, D)) w. Before, freed within the layer: B k (3 F/T + D) w.
    Qwen3-30B-A3B, 8,192 tokens: 8,192 x 8 x (2,048 + 2,048) x 2 = 0.50 GiB.
    """
    if precision.weights is Weights.MXFP4:
        return 0.0
    inside = placement.expert_ranks // placement.ep
    hidden = precision.spec.hidden_size
    widest = 0.0
    for group in precision.spec.groups:
        if group.ffn is None or not group.ffn.experts or group.stack != "decoder":
            continue
        inner = group.ffn.width / inside
        each = max(2 * inner, hidden) + max(inner, hidden) if kept else 3 * inner + hidden
        widest = max(widest, group.ffn.experts_per_token * each)
    return min(tokens, _EXPERT_CHUNK) * widest * width


def sparse_attention(precision: Precision) -> Attention | None:
    """Latent attention that reads only the tokens an indexer picks (DeepSeek V3.2, GLM-5)."""
    attentions = (group.attention for group in precision.spec.groups)
    latent = (a for a in attentions if a is not None and a.kind is AttentionKind.MLA)
    return next((a for a in latent if a.indexer_dim or a.indexer_topk), None)


def sparse_workspace_bytes(precision: Precision, attention: Attention, placement: Placement, running: Running) -> float:
    """What vLLM reserves for prompts of sparse latent attention, in the one buffer it shares with the experts.

    Queries of a step, B N/T H w, and with an FP8 cache 5 rows of its latent in 16 bits for each token of the longest
    context. GLM-5 at 131,072 on 8 GPUs: 8,192 x 8 x 576 x 2 + 5 x 131,072 x 576 x 2 = 0.77 GiB.
    """
    row = (attention.latent_dim + attention.rope_dim) * 2
    queries = running.batched_tokens * math.ceil(attention.q_heads / placement.tp)
    rows = running.value("sparse_rows") * running.latent_context if precision.kv is KvPrecision.FP8 else 0.0
    return (queries + rows) * row if running.value("sparse_rows") else 0.0


def has_tower(precision: Precision) -> bool:
    return any(tensor.role is Role.TOWER for tensor in precision.spec.tensors)


def non_torch_bytes(running: Running, placement: Placement) -> int:
    """What the engine finds taken outside PyTorch after its first step: NCCL and all-reduce buffers under TP."""
    if placement.tp > 1:
        return math.ceil(running.value("non_torch_tp_base") + placement.tp * running.value("non_torch_per_rank"))
    return math.ceil(running.value("non_torch_pp" if placement.pp > 1 else "non_torch"))


def graph_bytes(running: Running, stage: Stage) -> int:
    """CUDA graphs: a base, on devices that have it, and a share per layer of the stage."""
    layers = stage.end_layer - stage.first_layer
    base = running.value("graph_base") * running.value("graph_base_share")
    return max(0, math.ceil(base + layers * running.value("graph_per_layer")))


def decoder_bytes(precision: Precision, running: Running) -> int:
    """TensorRT engines allocate the decoder's buffers for every request they were built for: b S V.

    Llama-3.1-8B, 2,048 requests: 18.5 x 2,048 x 128,256 = 4.53 GiB.
    """
    return math.ceil(running.value("decoder_logit") * running.max_seqs * precision.spec.vocab_size)


def context_bytes(running: Running, placement: Placement) -> int:
    """The CUDA context and communicators, taken before the engine starts counting."""
    return math.ceil(running.value("context_many" if placement.gpus > 1 else "context"))


def adapter_bytes(precision: Precision, placement: Placement, rank: int, adapters: int) -> int:
    """LoRA factors resident for `adapters` at once: r (in + out) elements per linear module, experts excluded.

    The factor on the cut side is cut, the other copied. Llama-3.1-8B, r 16, all linear modules: 41,943,040
    parameters an adapter.
    """
    if not adapters:
        return 0
    held = next((allowed for allowed in _LORA_RANKS if allowed >= rank), rank)
    elements = 0
    for group in precision.spec.groups:
        if group.stack == "mtp":
            continue
        for tensor in group.tensors:
            if tensor.linear and tensor.role not in (Role.EXPERT, Role.ROUTER):
                out, into = tensor.shape[0], tensor.shape[1]
                if tensor.split is Split.ROW:
                    into = math.ceil(into / placement.tp)
                elif tensor.split is not Split.REPLICATED:
                    out = math.ceil(out / placement.tp)
                elements += group.count * held * (out + into)
    per_stage = math.ceil(elements / placement.pp)
    return adapters * per_stage * DTYPE_BYTES[precision.compute_dtype]


def prompt_token_bytes(precision: Precision, running: Running) -> float:
    """Plain transformers: bytes per prompt token of a request while its prompt is processed, freed afterwards.

    b F w of the feed-forward network, and before 4.45 the logits of every prompt token, V (w + 4), whichever is more.
    Qwen2.5-7B: 3.7 x 18,944 x 2 = 140 kB a token.
    """
    if running.engine is not Engine.TRANSFORMERS:
        return 0.0
    width = DTYPE_BYTES[precision.compute_dtype]
    inner = prompt_width(precision) * running.value("prompt_inner") * width
    return max(inner, precision.spec.vocab_size * (width + 4) * running.value("prompt_logits"))


def prompt_width(precision: Precision) -> int:
    """The widest feed-forward network a token passes through, k experts counted once each."""
    widths = [
        max(group.ffn.width, group.ffn.shared_width) if group.ffn.experts else group.ffn.width
        for group in precision.spec.groups
        if group.ffn is not None
    ]
    return max(widths, default=0)
