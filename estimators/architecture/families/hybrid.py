"""Hybrids: state-space or gated linear layers with some softmax attention among or beside them."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    buffer,
    gated_experts,
    gated_mlp,
    grouped_query,
    linear,
    norm,
    norms,
    plain_mlp,
    projections,
    router,
)
from estimators.architecture.decoder import NORMS, decoder, heads, window_of
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.families.recurrent import (
    Mamba1,
    Mamba2,
    mamba1,
    mamba1_state,
    mamba2,
    mamba2_state,
)
from estimators.architecture.fields import Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, RecurrentState, Role, Split

STATE_DTYPES = ("mamba_ssm_cache_dtype", "mamba_ssm_dtype", "dtype", "torch_dtype")


def state_dtype(c: Fields) -> str:
    """The dtype serving engines keep the state in: what the config asks for, else the model's own."""
    stated = next((c.optional_text(name) for name in STATE_DTYPES if c.has(name)), None) or "bfloat16"
    return stated.removeprefix("torch.") if len(stated) <= 20 else "bfloat16"


def plain_mamba(c: Fields) -> Body:
    """Mamba and Falcon-Mamba: nothing but mixers. No context limit and no cache that grows."""
    width = c.count("hidden_size")
    inner = c.count("intermediate_size", instead=width * c.count("expand"))
    rank = -(-width // 16) if c.get("time_step_rank") == "auto" else c.count("time_step_rank")
    m = Mamba1(
        width=width,
        inner=inner,
        state=c.count("state_size"),
        rank=rank,
        window=c.count("conv_kernel"),
        bias=c.flag("use_bias"),
        conv_bias=c.flag("use_conv_bias"),
    )
    layer = mixer_layer(mamba1(m, "mixer") + norm("norm", width), mamba1_state(m, state_dtype(c)), "backbone")
    return decoder(c, "backbone", [0] * c.layers(), lambda _: layer, embed="embeddings", final_norm="norm_f")


def plain_mamba2(c: Fields) -> Body:
    """Mamba 2 (Mamba-Codestral): multi-head mixers only."""
    width = c.count("hidden_size")
    n = c.count("num_heads")
    inner = width * c.count("expand")
    m = Mamba2(
        width=width,
        heads=n,
        head_dim=c.shares("hidden_size x expand", inner, "num_heads", n),
        groups=c.count("n_groups"),
        state=c.count("state_size"),
        window=c.count("conv_kernel"),
        bias=c.flag("use_bias"),
        conv_bias=c.flag("use_conv_bias"),
    )
    layer = mixer_layer(mamba2(m, "mixer") + norm("norm", width), mamba2_state(m, state_dtype(c)), "backbone")
    return decoder(c, "backbone", [0] * c.layers(), lambda _: layer, embed="embeddings", final_norm="norm_f")


def mixer_layer(tensors: Tensors, state: RecurrentState, root: str) -> LayerGroup:
    return LayerGroup(layers=(), tensors=tensors, state=state, prefix=f"{root}.layers.{{i}}")


def granite_mixer(c: Fields) -> Mamba2:
    """The mixer as Granite 4, Bamba and Falcon-H1 spell it."""
    width, n = c.count("hidden_size"), c.count("mamba_n_heads")
    inner = c.optional_count("mamba_d_ssm") or width * c.count("mamba_expand")
    stated = c.get("mamba_d_head")
    head_dim = c.shares("mamba inner width", inner, "mamba_n_heads", n) if stated in ("auto", None) else 0
    return Mamba2(
        width=width,
        heads=n,
        head_dim=head_dim or c.count("mamba_d_head"),
        groups=c.count("mamba_n_groups"),
        state=c.count("mamba_d_state"),
        window=c.count("mamba_d_conv"),
        bias=c.flag("mamba_proj_bias"),
        conv_bias=c.flag("mamba_conv_bias"),
    )


def mixer_types(c: Fields) -> list[str]:
    """Granite 4 names each layer "mamba" or "attention"; without names all are attention."""
    count = c.layers()
    names = c.texts("layer_types", length=count) if c.has("layer_types") else ("attention",) * count
    known = dict.fromkeys(("mamba", "linear_attention"), "mamba")
    known |= dict.fromkeys(("attention", "full_attention"), "attention")
    for name in names:
        if name not in known:
            raise c.error("layer_types", f"holds {name[:40]!r}; known are mamba, attention")
    return [known[name] for name in names]


def granite_hybrid(c: Fields, root: str = "model") -> Body:
    """Granite 4: Mamba 2 on most layers; a shared feed-forward on all, beside experts when there are any."""
    width, bias = c.count("hidden_size"), c.flag("attention_bias")
    inner, shared = c.count("intermediate_size"), c.count("shared_intermediate_size")
    experts = c.count("num_local_experts", low=0, instead=0)
    ffn = FeedForward(width=shared)
    tensors = norms(width, *NORMS)
    tensors += linear("shared_mlp.input_linear", 2 * shared, width, Role.FFN, Split.COLUMN)
    tensors += linear("shared_mlp.output_linear", width, shared, Role.FFN, Split.ROW)
    if experts:
        experts, chosen = expert_counts(c, "num_local_experts")
        prefix = "block_sparse_moe"
        tensors += router(experts, width, name=f"{prefix}.router.layer")
        tensors += linear(f"{prefix}.input_linear", 2 * inner, width, Role.EXPERT, Split.EXPERT, copies=experts)
        tensors += linear(f"{prefix}.output_linear", width, inner, Role.EXPERT, Split.EXPERT, copies=experts)
        ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=shared)

    def layer(kind: str) -> LayerGroup:
        base = LayerGroup(layers=(), tensors=tensors, ffn=ffn, prefix=f"{root}.layers.{{i}}")
        if kind == "mamba":
            m = granite_mixer(c)
            return replace(base, tensors=mamba2(m, "mamba") + tensors, state=mamba2_state(m, state_dtype(c)))
        attention = heads(c)
        made = projections(attention, width, qkv_bias=bias, out_bias=bias)
        return replace(base, tensors=made + tensors, attention=attention)

    return decoder(c, root, mixer_types(c), layer)


def bamba(c: Fields, root: str = "model") -> Body:
    """Bamba: Granite's mixers over an ordinary feed-forward; `attn_layer_indices` lists the attention layers."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attending = set(c.counts("attn_layer_indices"))
    tensors = gated_mlp(width, inner, prefix="feed_forward", bias=c.flag("mlp_bias"))
    tensors += norms(width, "input_layernorm", "pre_ff_layernorm")

    def layer(attends: bool) -> LayerGroup:
        base = LayerGroup(layers=(), tensors=tensors, ffn=FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
        if attends:
            attention = heads(c)
            made = projections(attention, width, qkv_bias=bias, out_bias=bias)
            return replace(base, tensors=made + tensors, attention=attention)
        m = granite_mixer(c)
        return replace(base, tensors=mamba2(m, "mamba") + tensors, state=mamba2_state(m, state_dtype(c)))

    kinds = [index in attending for index in range(c.layers())]
    return decoder(c, root, kinds, layer, final_norm="final_layernorm")


def zamba2(c: Fields, root: str = "model") -> Body:
    """Zamba 2: mixers in every layer; at some also one of a few attention blocks that those layers share, each with a
    projection and low-rank adapters of its own. A shared block is stored with the first layer that runs it."""
    named = "layers_block_type" if c.has("layers_block_type") else "layer_types"
    kinds_named = c.texts(named, length=c.layers())
    for kind in kinds_named:
        if kind not in ("mamba", "linear_attention", "hybrid"):
            raise c.error(named, f"holds {kind[:40]!r}; known are mamba, hybrid")
    shared = [kind == "hybrid" for kind in kinds_named]
    blocks, tied = c.count("num_mem_blocks", instead=1), c.flag("tie_word_embeddings", instead=True)
    running = [index for index, runs in enumerate(shared) if runs]
    # Untied, the class shares nothing: each layer stores the block with the adapters of all that would share it.
    owners = running[:blocks] if tied else running
    adapters = {index: 1 if tied else len(running[turn % blocks :: blocks]) for turn, index in enumerate(running)}

    def layer(kind: tuple[int, bool]) -> LayerGroup:
        return zamba2_layer(c, root, adapters=kind[0], owns=kind[1])

    kinds = [(adapters.get(index, 0), index in owners) for index in range(len(shared))]
    return decoder(c, root, kinds, layer, tied=tied, final_norm="final_layernorm")


def zamba2_layer(c: Fields, root: str, *, adapters: int, owns: bool) -> LayerGroup:
    width, rank = c.count("hidden_size"), c.count("adapter_rank", instead=128)
    inner = c.count("intermediate_size", instead=4 * width)
    bias = c.flag("add_bias_linear", instead=False)
    m = zamba2_mixer(c)
    under = "mamba_decoder." if adapters else ""
    tensors = mamba2(m, f"{under}mamba") + norm(f"{under}input_layernorm", width)
    base = LayerGroup(layers=(), tensors=tensors, state=mamba2_state(m, state_dtype(c)), prefix=f"{root}.layers.{{i}}")
    if not adapters:
        return base
    wide = c.count("attention_hidden_size", instead=2 * width)
    n = c.count("num_attention_heads")
    k, dim = c.count("num_key_value_heads", instead=n), c.count("attention_head_dim", instead=wide // n)
    block, role = "shared_transformer", Role.ATTENTION
    own = linear("linear", width, width, role, Split.REPLICATED)
    adapted = [("feed_forward.gate_up_proj_adapter_list", width, 2 * inner, Role.FFN)]
    if c.flag("use_shared_attention_adapter", instead=False):
        adapted += [(f"self_attn.linear_{name}_adapter_list", wide, wide, role) for name in "qkv"]
    for name, into, out, kind in adapted:
        own += linear(f"{block}.{name}.0", rank, into, kind, Split.REPLICATED, copies=adapters)
        own += linear(f"{block}.{name}.1", out, rank, kind, Split.COLUMN, copies=adapters)
    shared: Tensors = ()
    for name, count in (("q", n), ("k", k), ("v", k)):
        shared += linear(f"{block}.self_attn.{name}_proj", count * dim, wide, role, Split.COLUMN)
    shared += linear(f"{block}.self_attn.o_proj", width, n * dim, role, Split.ROW)
    shared += linear(f"{block}.feed_forward.gate_up_proj", 2 * inner, width, Role.FFN, Split.COLUMN, bias=bias)
    shared += linear(f"{block}.feed_forward.down_proj", width, inner, Role.FFN, Split.ROW, bias=bias)
    shared += norm(f"{block}.input_layernorm", wide) + norm(f"{block}.pre_ff_layernorm", width)
    held, again = (own + shared + tensors, ()) if owns else (own + tensors, shared)
    attention = grouped_query(n, k, dim)
    return replace(base, tensors=held, again=again, attention=attention, ffn=FeedForward(width=inner))


def zamba2_mixer(c: Fields) -> Mamba2:
    width, count = c.count("hidden_size"), c.count("n_mamba_heads", instead=8)
    inner = c.count("mamba_expand", instead=2) * width
    return Mamba2(
        width=width,
        heads=count,
        head_dim=c.shares("mamba_expand x hidden_size", inner, "n_mamba_heads", count),
        groups=c.count("mamba_ngroups", instead=1),
        state=c.count("mamba_d_state", instead=64),
        window=c.count("mamba_d_conv", instead=4),
        bias=c.flag("add_bias_linear", instead=False),
        conv_bias=True,  # whatever use_conv_bias says
    )


def falcon_h1(c: Fields, root: str = "model") -> Body:
    """Attention and a Mamba 2 mixer side by side in every layer, both caching."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    m = replace(granite_mixer(c), gated_norm=c.flag("mamba_rms_norm"), out_bias=c.flag("projectors_bias"))
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + mamba2(m, "mamba")
    tensors += gated_mlp(width, inner, prefix="feed_forward", bias=c.flag("mlp_bias"))
    tensors += norms(width, "input_layernorm", "pre_ff_layernorm")
    layer = LayerGroup(
        layers=(),
        tensors=tensors,
        attention=attention,
        state=mamba2_state(m, state_dtype(c)),
        ffn=FeedForward(width=inner),
        prefix=f"{root}.layers.{{i}}",
    )
    return decoder(c, root, [0] * c.layers(), lambda _: layer, final_norm="final_layernorm")


def jamba(c: Fields, root: str = "model") -> Body:
    """Jamba: attention every `attn_layer_period` layers, experts every `expert_layer_period`, Mamba 1 elsewhere."""
    attend_every, attend_at = c.count("attn_layer_period"), c.count("attn_layer_offset", low=0)
    sparse_every, sparse_at = c.count("expert_layer_period"), c.count("expert_layer_offset", low=0)
    experts = c.count("num_experts")
    kinds = [
        (index % attend_every == attend_at, experts > 1 and index % sparse_every == sparse_at)
        for index in range(c.layers())
    ]
    return decoder(c, root, kinds, lambda kind: jamba_layer(c, root, *kind), final_norm="final_layernorm")


def jamba_layer(c: Fields, root: str, attends: bool, sparse: bool) -> LayerGroup:
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    tensors = norms(width, "input_layernorm", "pre_ff_layernorm")
    ffn = FeedForward(width=inner)
    if sparse:
        experts, chosen = expert_counts(c, "num_experts")
        tensors += router(experts, width, name="feed_forward.router")
        tensors += gated_experts(experts, width, inner, prefix="feed_forward.experts.{e}")
        ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
    else:
        tensors += gated_mlp(width, inner, prefix="feed_forward")
    base = LayerGroup(layers=(), tensors=tensors, ffn=ffn, prefix=f"{root}.layers.{{i}}")
    if attends:
        attention = heads(c, window=window_of(c))
        return replace(base, tensors=projections(attention, width) + tensors, attention=attention)
    rank = -(-width // 16) if c.get("mamba_dt_rank") == "auto" else c.count("mamba_dt_rank")
    m = Mamba1(
        width=width,
        inner=width * c.count("mamba_expand"),
        state=c.count("mamba_d_state"),
        rank=rank,
        window=c.count("mamba_d_conv"),
        bias=c.flag("mamba_proj_bias"),
        conv_bias=c.flag("mamba_conv_bias"),
    )
    mixer = mamba1(m, "mamba") + norm("mamba.dt_layernorm", rank)
    mixer += norms(m.state, "mamba.b_layernorm", "mamba.c_layernorm")
    return replace(base, tensors=mixer + tensors, state=mamba1_state(m, state_dtype(c)))


LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def nemotron_kinds(c: Fields, pattern: str, names: str) -> list[str]:
    """Each layer is one block only: "M" mixer, "*" attention, "-" feed-forward, "E" experts; or their names."""
    letters = c.optional_text(pattern)
    if letters:
        unknown = set(letters) - set(LETTERS)
        if unknown:
            raise c.error(pattern, f"holds {sorted(unknown)[0]!r}; known are {' '.join(LETTERS)}")
        return [LETTERS[letter] for letter in letters]
    renamed = {"linear_attention": "mamba", "full_attention": "attention"}
    kinds = [renamed.get(kind, kind) for kind in c.texts(names)]
    for kind in kinds:
        if kind not in LETTERS.values():
            raise c.error(names, f"holds {kind[:40]!r}; known are {', '.join(LETTERS.values())}")
    return list(kinds)


def nemotron_h(c: Fields, root: str = "backbone") -> Body:
    """Nemotron-H and Nemotron 3: one block a layer, by a pattern of letters."""
    kinds = nemotron_kinds(c, "hybrid_override_pattern", "layers_block_type")
    if not kinds:
        raise c.error("hybrid_override_pattern", "is missing")
    count = c.optional_count("num_hidden_layers")
    if count is not None and c.has("num_hidden_layers") and count != len(kinds):
        raise c.error("num_hidden_layers", f"({count}) differs from the pattern's {len(kinds)} layers")
    return decoder(
        c,
        root,
        kinds,
        lambda kind: nemotron_layer(c, f"{root}.layers.{{i}}", kind),
        mtp=nemotron_prediction(c),
        embed="embeddings",
        final_norm="norm_f",
    )


def nemotron_layer(c: Fields, prefix: str, kind: str) -> LayerGroup:
    width = c.count("hidden_size")
    base = LayerGroup(layers=(), tensors=norm("norm", width), prefix=prefix)
    if kind == "mamba":
        m = nemotron_mixer(c)
        return replace(base, tensors=base.tensors + mamba2(m, "mixer"), state=mamba2_state(m, state_dtype(c)))
    if kind == "attention":
        attention = nemotron_heads(c)
        made = projections(attention, width, prefix="mixer")
        return replace(base, tensors=base.tensors + made, attention=attention)
    if kind == "moe":
        made, ffn = nemotron_mixture(c)
        return replace(base, tensors=base.tensors + made, ffn=ffn)
    inner, bias = c.count("intermediate_size"), c.flag("mlp_bias")
    made = plain_mlp(width, inner, up="mixer.up_proj", down="mixer.down_proj", bias=bias)
    return replace(base, tensors=base.tensors + made, ffn=FeedForward(width=inner, gated=False))


def nemotron_heads(c: Fields) -> Attention:
    """`head_dim`, which older configs call attention_head_dim."""
    attention = heads(c, window=window_of(c))
    head_dim = c.optional_count("attention_head_dim")
    return attention if head_dim is None else replace(attention, head_dim=head_dim, value_dim=head_dim)


def nemotron_mixer(c: Fields) -> Mamba2:
    return Mamba2(
        width=c.count("hidden_size"),
        heads=c.count("mamba_num_heads"),
        head_dim=c.count("mamba_head_dim"),
        groups=c.count("n_groups"),
        state=c.count("ssm_state_size"),
        window=c.count("conv_kernel"),
        bias=c.flag("use_bias") or c.flag("mamba_proj_bias"),
        conv_bias=c.flag("use_conv_bias"),
    )


def nemotron_mixture(c: Fields) -> tuple[Tensors, FeedForward]:
    """Two-matrix experts, in a narrower latent space where `moe_latent_size`, beside one shared expert."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "n_routed_experts")
    latent = c.optional_count("moe_latent_size")
    shared, bias = c.count("moe_shared_expert_intermediate_size"), c.flag("mlp_bias")
    tensors = router(experts, width, name="mixer.gate")
    tensors += buffer("mixer.gate.e_score_correction_bias", (experts,), Role.ROUTER, dtype="float32")
    for name, out, into in (("up_proj", inner, latent or width), ("down_proj", latent or width, inner)):
        tensors += linear(f"mixer.experts.{{e}}.{name}", out, into, Role.EXPERT, Split.EXPERT, copies=experts)
    if latent:
        tensors += linear("mixer.fc1_latent_proj", latent, width, Role.FFN, Split.REPLICATED, bias=bias)
        tensors += linear("mixer.fc2_latent_proj", width, latent, Role.FFN, Split.REPLICATED, bias=bias)
    names = {"up": "mixer.shared_experts.up_proj", "down": "mixer.shared_experts.down_proj"}
    tensors += plain_mlp(width, shared, up=names["up"], down=names["down"], role=Role.SHARED_EXPERT, bias=bias)
    ffn = FeedForward(
        width=inner, gated=False, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=shared
    )
    return tensors, ffn


def nemotron_prediction(c: Fields) -> tuple[LayerGroup, ...]:
    """Prediction layers of Nemotron 3: blocks by a pattern of their own, the first projecting both inputs."""
    kinds = nemotron_kinds(c, "mtp_hybrid_override_pattern", "mtp_layers_block_type")
    if not c.count("num_nextn_predict_layers", low=0, high=64, instead=0) or not kinds:
        return ()
    width = c.count("hidden_size")
    groups = []
    for index, kind in enumerate(kinds):
        layer = nemotron_layer(c, "mtp.layers.{i}", kind)
        extra = norms(width, "enorm", "hnorm") if index == 0 else ()
        extra += linear("eh_proj", width, 2 * width, Role.MTP, Split.REPLICATED) if index == 0 else ()
        extra += norm("final_layernorm", width) if index == len(kinds) - 1 else ()
        groups.append(replace(layer, layers=(index,), tensors=layer.tensors + extra, stack="mtp"))
    return tuple(groups)
