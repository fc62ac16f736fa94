"""Vision and audio encoders and their projectors: stored and loaded, idle while text is decoded."""

from __future__ import annotations

from estimators.architecture.blocks import Tensors, buffer
from estimators.architecture.fields import MAX_LAYERS, Fields
from estimators.architecture.spec import Role, Split, Tensor


def dense(
    name: str, out: int, into: int, *, copies: int = 1, bias: bool = True, split: Split = Split.COLUMN
) -> Tensors:
    made: Tensors = (Tensor(name=name, shape=(out, into), role=Role.TOWER, copies=copies, linear=True, split=split),)
    return made + plain(f"{name}.bias", (out,), copies=copies) if bias else made


def plain(name: str, shape: tuple[int, ...], *, copies: int = 1) -> Tensors:
    return (Tensor(name=name, shape=shape, role=Role.TOWER, copies=copies),)


def normed(name: str, width: int, *, copies: int = 1, bias: bool = True) -> Tensors:
    made = plain(name, (width,), copies=copies)
    return made + plain(f"{name}.bias", (width,), copies=copies) if bias else made


def square(prefix: str, width: int, names: tuple[str, ...], *, copies: int, bias: bool) -> Tensors:
    """Attention of an encoder: projections of D by D, the last one the output."""
    made: Tensors = ()
    for index, name in enumerate(names):
        split = Split.ROW if index == len(names) - 1 else Split.COLUMN
        made += dense(f"{prefix}.{name}", width, width, copies=copies, bias=bias, split=split)
    return made


def two(prefix: str, width: int, inner: int, names: tuple[str, str], *, copies: int, bias: bool = True) -> Tensors:
    return dense(f"{prefix}.{names[0]}", inner, width, copies=copies, bias=bias) + dense(
        f"{prefix}.{names[1]}", width, inner, copies=copies, bias=bias, split=Split.ROW
    )


def three(prefix: str, width: int, inner: int, *, copies: int, bias: bool) -> Tensors:
    made: Tensors = ()
    for name in ("gate_proj", "up_proj"):
        made += dense(f"{prefix}.{name}", inner, width, copies=copies, bias=bias)
    return made + dense(f"{prefix}.down_proj", width, inner, copies=copies, bias=bias, split=Split.ROW)


def siglip(v: Fields, prefix: str) -> Tensors:
    """SigLIP and CLIP-like encoders: learned positions, one per patch."""
    width, inner = v.count("hidden_size"), v.count("intermediate_size")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    channels = v.count("num_channels", instead=3)
    patches = (v.count("image_size") // patch) ** 2
    made = plain(f"{prefix}.embeddings.patch_embedding", (width, channels, patch, patch))
    made += plain(f"{prefix}.embeddings.patch_embedding.bias", (width,))
    made += plain(f"{prefix}.embeddings.position_embedding", (patches, width))
    block = f"{prefix}.encoder.layers.{{e}}"
    made += normed(f"{block}.layer_norm1", width, copies=layers) + normed(f"{block}.layer_norm2", width, copies=layers)
    names = ("k_proj", "v_proj", "q_proj", "out_proj")
    made += square(f"{block}.self_attn", width, names, copies=layers, bias=True)
    made += two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    return made + normed(f"{prefix}.post_layernorm", width)


def clip(v: Fields, prefix: str) -> Tensors:
    """CLIP's encoder, as LLaVA keeps it: a class token, no bias on patches, norms before and after."""
    width, inner = v.count("hidden_size"), v.count("intermediate_size")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    patches = (v.count("image_size") // patch) ** 2
    made = plain(f"{prefix}.embeddings.class_embedding", (width,))
    made += plain(f"{prefix}.embeddings.patch_embedding", (width, v.count("num_channels", instead=3), patch, patch))
    made += plain(f"{prefix}.embeddings.position_embedding", (patches + 1, width))
    made += normed(f"{prefix}.pre_layrnorm", width)
    block = f"{prefix}.encoder.layers.{{e}}"
    made += normed(f"{block}.layer_norm1", width, copies=layers) + normed(f"{block}.layer_norm2", width, copies=layers)
    names = ("k_proj", "v_proj", "q_proj", "out_proj")
    made += square(f"{block}.self_attn", width, names, copies=layers, bias=True)
    made += two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    return made + normed(f"{prefix}.post_layernorm", width)


def pixtral(v: Fields, prefix: str) -> Tensors:
    """Pixtral: rotary positions, gated feed-forward, no biases."""
    width, inner = v.count("hidden_size"), v.count("intermediate_size")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    made = plain(f"{prefix}.patch_conv", (width, v.count("num_channels", instead=3), patch, patch))
    made += plain(f"{prefix}.ln_pre", (width,))
    block = f"{prefix}.transformer.layers.{{e}}"
    for name in ("attention_norm", "ffn_norm"):
        made += plain(f"{block}.{name}", (width,), copies=layers)
    made += square(f"{block}.attention", width, ("k_proj", "v_proj", "q_proj", "o_proj"), copies=layers, bias=False)
    return made + three(f"{block}.feed_forward", width, inner, copies=layers, bias=False)


def qwen2_5_vision(v: Fields, prefix: str) -> Tensors:
    """Qwen2.5-VL: RMS norms, gated feed-forward with biases, a merger of 2 x 2 patches."""
    width, inner, out = v.count("hidden_size"), v.count("intermediate_size"), v.count("out_hidden_size")
    layers, patch = v.count("depth", high=MAX_LAYERS), v.count("patch_size")
    channels = v.count("in_channels" if v.has("in_channels") else "in_chans", instead=3)
    merged = width * v.count("spatial_merge_size", high=64) ** 2
    made = plain(f"{prefix}.patch_embed.proj", (width, channels, v.count("temporal_patch_size"), patch, patch))
    block = f"{prefix}.blocks.{{e}}"
    made += plain(f"{block}.norm1", (width,), copies=layers) + plain(f"{block}.norm2", (width,), copies=layers)
    made += dense(f"{block}.attn.qkv", 3 * width, width, copies=layers)
    made += dense(f"{block}.attn.proj", width, width, copies=layers, split=Split.ROW)
    made += three(f"{block}.mlp", width, inner, copies=layers, bias=True)
    made += plain(f"{prefix}.merger.ln_q", (width,)) + dense(f"{prefix}.merger.mlp.0", merged, merged)
    return made + dense(f"{prefix}.merger.mlp.2", out, merged, split=Split.ROW)


def qwen2_vision(v: Fields, prefix: str) -> Tensors:
    """Qwen2-VL: layer norms, two-matrix feed-forward, a merger of 2 x 2 patches."""
    width, out = v.count("embed_dim"), v.count("hidden_size")
    layers, patch = v.count("depth", high=MAX_LAYERS), v.count("patch_size")
    inner = width * v.count("mlp_ratio")
    channels = v.count("in_channels" if v.has("in_channels") else "in_chans", instead=3)
    merged = width * v.count("spatial_merge_size", high=64) ** 2
    made = plain(f"{prefix}.patch_embed.proj", (width, channels, v.count("temporal_patch_size"), patch, patch))
    block = f"{prefix}.blocks.{{e}}"
    made += normed(f"{block}.norm1", width, copies=layers) + normed(f"{block}.norm2", width, copies=layers)
    made += dense(f"{block}.attn.qkv", 3 * width, width, copies=layers)
    made += dense(f"{block}.attn.proj", width, width, copies=layers, split=Split.ROW)
    made += two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    made += normed(f"{prefix}.merger.ln_q", width) + dense(f"{prefix}.merger.mlp.0", merged, merged)
    return made + dense(f"{prefix}.merger.mlp.2", out, merged, split=Split.ROW)


def qwen3_vision(v: Fields, prefix: str) -> Tensors:
    """Qwen3-VL and 3.5: learned positions, and one more merger per deep layer fed into the decoder."""
    width, inner, out = v.count("hidden_size"), v.count("intermediate_size"), v.count("out_hidden_size")
    layers, patch = v.count("depth", high=MAX_LAYERS), v.count("patch_size")
    deep = len(v.counts("deepstack_visual_indexes", limit=MAX_LAYERS))
    merged = width * v.count("spatial_merge_size", high=64) ** 2
    shape = (width, v.count("in_channels", instead=3), v.count("temporal_patch_size"), patch, patch)
    made = plain(f"{prefix}.patch_embed.proj", shape) + plain(f"{prefix}.patch_embed.proj.bias", (width,))
    made += plain(f"{prefix}.pos_embed", (v.count("num_position_embeddings"), width))
    block = f"{prefix}.blocks.{{e}}"
    made += normed(f"{block}.norm1", width, copies=layers) + normed(f"{block}.norm2", width, copies=layers)
    made += dense(f"{block}.attn.qkv", 3 * width, width, copies=layers)
    made += dense(f"{block}.attn.proj", width, width, copies=layers, split=Split.ROW)
    made += two(f"{block}.mlp", width, inner, ("linear_fc1", "linear_fc2"), copies=layers)
    for name, before, count in (("merger", width, 1), ("deepstack_merger_list.{e}", merged, deep)):
        if count:
            made += normed(f"{prefix}.{name}.norm", before, copies=count)
            made += dense(f"{prefix}.{name}.linear_fc1", merged, merged, copies=count)
            made += dense(f"{prefix}.{name}.linear_fc2", out, merged, copies=count, split=Split.ROW)
    return made


def llama4_vision(v: Fields, prefix: str) -> Tensors:
    """Llama 4: patches unfolded into a linear layer, a class token, pixel shuffle before the adapter."""
    width, inner = v.count("hidden_size"), v.count("intermediate_size")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    patches = (v.count("image_size") // patch) ** 2 + 1
    into = v.count("num_channels", instead=3) * patch**2
    first, second = v.count("projector_input_dim"), v.count("projector_output_dim")
    made = plain(f"{prefix}.class_embedding", (width,)) + plain(f"{prefix}.positional_embedding_vlm", (patches, width))
    made += dense(f"{prefix}.patch_embedding.linear", width, into, bias=False)
    made += normed(f"{prefix}.layernorm_pre", width) + normed(f"{prefix}.layernorm_post", width)
    block = f"{prefix}.model.layers.{{e}}"
    made += square(f"{block}.self_attn", width, ("q_proj", "k_proj", "v_proj", "o_proj"), copies=layers, bias=True)
    made += two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    for name in ("input_layernorm", "post_attention_layernorm"):
        made += normed(f"{block}.{name}", width, copies=layers)
    adapter = f"{prefix}.vision_adapter.mlp"
    made += dense(f"{adapter}.fc1", first, inner, bias=False)
    return made + dense(f"{adapter}.fc2", second, second, bias=False, split=Split.ROW)


def moonvit(v: Fields, prefix: str) -> Tensors:
    """Kimi K2.5's MoonViT: learned two-dimensional positions, layer norms, two-matrix feed-forward."""
    width, inner = v.count("vt_hidden_size"), v.count("vt_intermediate_size")
    layers, patch = v.count("vt_num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    grid = (v.count("init_pos_emb_height"), v.count("init_pos_emb_width"), width)
    made = plain(f"{prefix}.patch_embed.proj", (width, 3, patch, patch))
    made += plain(f"{prefix}.patch_embed.proj.bias", (width,)) + plain(f"{prefix}.patch_embed.pos_emb", grid)
    block = f"{prefix}.encoder.blocks.{{e}}"
    made += normed(f"{block}.norm0", width, copies=layers) + normed(f"{block}.norm1", width, copies=layers)
    made += dense(f"{block}.wqkv", 3 * width, width, copies=layers)
    made += dense(f"{block}.wo", width, width, copies=layers, split=Split.ROW)
    made += two(f"{block}.mlp", width, inner, ("fc0", "fc1"), copies=layers)
    return made + normed(f"{prefix}.encoder.final_layernorm", width)


def gemma4_vision(v: Fields, prefix: str) -> Tensors:
    """Gemma 4's encoder: Gemma blocks over patches, a table of positions per axis."""
    width, inner, head = v.count("hidden_size"), v.count("intermediate_size"), v.count("head_dim")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    q, kv = v.count("num_attention_heads") * head, v.count("num_key_value_heads") * head
    made = plain(f"{prefix}.patch_embedder.position_embedding_table", (2, v.count("position_embedding_size"), width))
    made += dense(f"{prefix}.patch_embedder.input_proj", width, 3 * patch**2, bias=False)
    block = f"{prefix}.encoder.layers.{{e}}"
    for name, rows in (("q", q), ("k", kv), ("v", kv)):
        made += dense(f"{block}.self_attn.{name}_proj.linear", rows, width, copies=layers, bias=False)
    made += dense(f"{block}.self_attn.o_proj.linear", width, q, copies=layers, bias=False, split=Split.ROW)
    for name in ("q_norm", "k_norm"):
        made += plain(f"{block}.self_attn.{name}", (head,), copies=layers)
    for name, out, into in (("gate", inner, width), ("up", inner, width), ("down", width, inner)):
        split = Split.ROW if name == "down" else Split.COLUMN
        made += dense(f"{block}.mlp.{name}_proj.linear", out, into, copies=layers, bias=False, split=split)
    for place in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
        made += plain(f"{block}.{place}_layernorm", (width,), copies=layers)
    if v.flag("standardize", instead=False):
        made += buffer(f"{prefix}.std_bias", (width,), Role.TOWER) + buffer(f"{prefix}.std_scale", (width,), Role.TOWER)
    return made


def subsampling(a: Fields, prefix: str, width: int, names: tuple[str, str]) -> Tensors:
    """Two strided 3 x 3 convolutions that shorten the spectrogram by four, and a projection."""
    first, second = a.counts("sscp_conv_channel_size", low=1, limit=2) or (128, 32)
    bins = a.count("input_feat_size", instead=128)
    made = plain(f"{prefix}.{names[0]}.conv", (first, 1, 3, 3)) + plain(f"{prefix}.{names[0]}.norm", (first,))
    made += plain(f"{prefix}.{names[1]}.conv", (second, first, 3, 3)) + plain(f"{prefix}.{names[1]}.norm", (second,))
    return made + dense(f"{prefix}.input_proj_linear", width, second * (bins // 4), bias=False)


def gemma4_audio(a: Fields, prefix: str) -> Tensors:
    """Gemma 4's conformer."""
    width, layers = a.count("hidden_size"), a.count("num_hidden_layers", high=MAX_LAYERS)
    kernel, out = a.count("conv_kernel_size"), a.count("output_proj_dims")
    head = a.shares("hidden_size", width, "num_attention_heads", a.count("num_attention_heads"))
    made = subsampling(a, f"{prefix}.subsample_conv_projection", width, ("layer0", "layer1"))
    block = f"{prefix}.layers.{{e}}"
    for name in ("feed_forward1", "feed_forward2"):
        made += dense(f"{block}.{name}.ffw_layer_1.linear", 4 * width, width, copies=layers, bias=False)
        made += dense(f"{block}.{name}.ffw_layer_2.linear", width, 4 * width, copies=layers, bias=False)
        for place in ("pre", "post"):
            made += plain(f"{block}.{name}.{place}_layer_norm", (width,), copies=layers)
    made += plain(f"{block}.self_attn.per_dim_scale", (head,), copies=layers)
    for name in ("q_proj.linear", "k_proj.linear", "v_proj.linear", "post.linear", "relative_k_proj"):
        made += dense(f"{block}.self_attn.{name}", width, width, copies=layers, bias=False)
    made += dense(f"{block}.lconv1d.linear_start.linear", 2 * width, width, copies=layers, bias=False)
    made += dense(f"{block}.lconv1d.linear_end.linear", width, width, copies=layers, bias=False)
    made += plain(f"{block}.lconv1d.depthwise_conv1d", (width, 1, kernel), copies=layers)
    for name in ("lconv1d.pre_layer_norm", "lconv1d.conv_norm", "norm_pre_attn", "norm_post_attn", "norm_out"):
        made += plain(f"{block}.{name}", (width,), copies=layers)
    return made + dense(f"{prefix}.output_proj", out, width)


def gemma3n_audio(a: Fields, prefix: str) -> Tensors:
    """Gemma 3n's conformer."""
    width, layers = a.count("hidden_size"), a.count("conf_num_hidden_layers", high=MAX_LAYERS)
    kernel = a.count("conf_conv_kernel_size")
    head = a.shares("hidden_size", width, "conf_num_attention_heads", a.count("conf_num_attention_heads"))
    made = subsampling(a, f"{prefix}.subsample_conv_projection", width, ("conv_0", "conv_1"))
    block = f"{prefix}.conformer.{{e}}"
    for name in ("ffw_layer_start", "ffw_layer_end"):
        made += dense(f"{block}.{name}.ffw_layer_1", 4 * width, width, copies=layers, bias=False)
        made += dense(f"{block}.{name}.ffw_layer_2", width, 4 * width, copies=layers, bias=False)
        for place in ("pre", "post"):
            made += plain(f"{block}.{name}.{place}_layer_norm", (width,), copies=layers)
    made += plain(f"{block}.attention.attn.per_dim_scale", (head,), copies=layers)
    for name in ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.relative_position_embedding.pos_proj", "post"):
        made += dense(f"{block}.attention.{name}", width, width, copies=layers, bias=False)
    made += dense(f"{block}.lconv1d.linear_start", 2 * width, width, copies=layers, bias=False)
    made += dense(f"{block}.lconv1d.linear_end", width, width, copies=layers, bias=False)
    made += plain(f"{block}.lconv1d.depthwise_conv1d", (width, 1, kernel), copies=layers)
    for name in ("attention.pre_attn_norm", "attention.post_norm", "lconv1d.pre_layer_norm", "lconv1d.conv_norm"):
        made += plain(f"{block}.{name}", (width,), copies=layers)
    return made + plain(f"{block}.norm", (width,), copies=layers)


def step_vision(v: Fields, prefix: str) -> Tensors:
    """Step 3.7's encoder: layer-scaled blocks and two strided convolutions."""
    width, inner = v.count("hidden_size"), v.count("intermediate_size")
    layers, patch = v.count("num_hidden_layers", high=MAX_LAYERS), v.count("patch_size")
    patches = (v.count("image_size") // patch) ** 2
    made = plain(f"{prefix}.embeddings.patch_embedding", (width, v.count("num_channels", instead=3), patch, patch))
    made += plain(f"{prefix}.embeddings.position_embedding", (patches, width)) + normed(
        f"{prefix}.pre_layernorm", width
    )
    block = f"{prefix}.layers.{{e}}"
    for name in ("lambda_1", "lambda_2"):
        made += plain(f"{block}.{name}", (width,), copies=layers)
    names = ("k_proj", "v_proj", "q_proj", "out_proj")
    made += square(f"{block}.self_attn", width, names, copies=layers, bias=True)
    made += two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    for name in ("layernorm_before", "layernorm_after"):
        made += normed(f"{block}.{name}", width, copies=layers)
    for index, into in ((1, width), (2, 2 * width)):
        made += plain(f"{prefix}.downsampler{index}", (2 * into, into, 3, 3))
        made += plain(f"{prefix}.downsampler{index}.bias", (2 * into,))
    return made
