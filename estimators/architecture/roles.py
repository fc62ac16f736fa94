"""What a stored tensor is for and how tensor parallelism divides it, by the names that checkpoints share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from estimators.architecture.layouts import Stored
from estimators.architecture.spec import Role, Split, Tensor

SHARED = re.compile(r"shared_?(expert|mlp)|share_expert|(^|\.)shared\.")
EXPERT = re.compile(r"(^|\.)(local_)?experts?\b|block_sparse_moe\.(input|output)_linear|moe\.\w+_linear")
ROUTER = re.compile(
    r"(^|\.)(gate|router|wg|gate\.wg|router\.(layer|gate|classifier|proj)|\w*expert_gate|route|routers?)(\.|$)"
    r"|score_correction|expert_bias$|router"
)
NORM = re.compile(r"norm|(^|[._])ln(_|\d|$)|(^|\.)layer_?norm|scale$")
STATE = re.compile(
    r"(^|\.)(mamba\w*|linear_attn|ssm|conv|short_conv|rg_lru|recurrent_block|temporal_block|rwkv|mixer|kda|gdn|lightning|"
    r"delta\w*|linear_attention)(\.|$)"
)
ATTENTION = re.compile(
    r"attn|attention|(^|\.)[qkvo]_proj|qkv|query|(^|\.)(key|value|wq|wk|wv|wo)(\.|$)|_attn_|indexer|rotary|sinks?$"
)
CROSS = re.compile(r"(^|\.)(encoder_attn|cross_?attn|cross_?attention|crossattention|EncDecAttention)(\.|$)")
ROW = re.compile(
    r"(^|\.)(o_proj|out_proj|down_proj|dense|dense_4h_to_h|c_proj|fc2|fc_out|w2|wo|o|linear_fc2|proj|x_proj|linear_out|"
    r"output_linear|out|down|output|to_out|linear_2|dense_output|lin2|out_lin|output_dense|ff_out|mlp_out)(\.dense)?$"
)
KEYS = re.compile(
    r"(^|\.)(k_proj|v_proj|to_k|to_v|key|value|wk|wv|k|v|key_proj|value_proj|k_lin|v_lin)(\.dense|\.linear)?$"
)
LOW_RANK = re.compile(r"(q_a_proj|kv_a_proj\w*|_a_proj|q_down|kv_down|compress\w*|indexer\.\w+)$")
TOKENS = re.compile(
    r"(embed_tokens|wte|shared|word_embeddings?|embed_in|tok_embeddings|token_embedding|input_embeddings?)$"
)
HEAD = re.compile(
    r"(^|\.)(lm_head|embed_out|output_projection|final_logits_bias|cls\.predictions\.\w+|output|proj_out)(\.|$)"
)
NO_LINEAR = re.compile(r"(embed|position|norm|wpe)[^.]*$")  # tables that are looked up, not multiplied
# A decoder stands beside these, never inside them.
BESIDE = re.compile(
    r"visual|vision|image|img|pixel|patch|audio|speech|sound|video|tower|projector|connector|(^|\.)encoder|vq|codec|qformer|"
    r"perceiver|resampler|adapter|multi_modal|merger|acoustic|semantic_tokenizer|talker|depth_decoder|code2wav|sam_|hybrid_"
)
WIDE = re.compile(r"score_correction_bias|expert_bias$")  # kept in float32 by every class that has them


def module(name: str) -> str:
    """The module path: a weight is named by its module, a bias keeps its ending."""
    return name.removesuffix(".weight")


def role_of(name: str, shape: Sequence[int], *, state: bool = False) -> Role:
    """The role of a tensor inside a decoder layer; `state` where its module runs a recurrence."""
    path = module(name)
    if SHARED.search(path) and not path.endswith("expert_gate"):
        return Role.SHARED_EXPERT
    if EXPERT.search(path):
        return Role.EXPERT
    if ROUTER.search(path) and not re.search(r"attn|mixer\.norm|attention", path) and len(shape) <= 2:
        return Role.ROUTER
    if NORM.search(path.removesuffix(".bias")) and len(shape) <= 2 and not path.endswith("proj"):
        return Role.NORM
    if state and (STATE.search(path) or re.search(r"attn|attention|conv", path)):
        return Role.STATE
    return Role.ATTENTION if ATTENTION.search(path) else Role.FFN


def split_of(name: str, role: Role, shape: Sequence[int]) -> Split:
    if role in (Role.NORM, Role.ROUTER) or math.prod(shape) <= 1:
        return Split.REPLICATED
    if role is Role.LM_HEAD or TOKENS.search(module(name)):
        return Split.VOCAB
    if role is Role.EMBEDDING:
        return Split.REPLICATED
    if role is Role.EXPERT:
        return Split.EXPERT
    path = module(name).removesuffix(".bias")
    if role is Role.ATTENTION and LOW_RANK.search(path):
        return Split.REPLICATED
    if ROW.search(path):
        return Split.REPLICATED if name.endswith("bias") else Split.ROW
    if role is Role.ATTENTION and KEYS.search(path):
        return Split.KV_COLUMN
    if role is Role.TOWER and (len(shape) != 2 or not name.endswith(".weight") or "position" in path):
        return Split.REPLICATED
    return Split.COLUMN


def tensor(found: Stored, name: str, role: Role) -> Tensor:
    """The tensor under the name it has in its layer; experts kept in one block count as copies of one."""
    shape, copies = found.shape, found.copies
    if role is Role.EXPERT and len(shape) == 3:
        copies, shape = copies * shape[0], shape[1:]
    matrix = found.name.endswith(".weight") or role in (Role.EXPERT, Role.SHARED_EXPERT)
    matrix = matrix and role is not Role.EMBEDDING
    plain = len(shape) == 2 and matrix and (role is Role.LM_HEAD or not NO_LINEAR.search(module(name)))
    return Tensor(
        name=module(name),
        shape=shape,
        role=role,
        copies=copies,
        linear=plain,
        split=split_of(name, role, shape),
        dtype=found.dtype or ("float32" if found.buffer and WIDE.search(name) else None),
        buffer=found.buffer,
    )
