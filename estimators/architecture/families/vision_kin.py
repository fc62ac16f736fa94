"""More vision-language models: Llama 3.2 Vision, LLaVA-NeXT, PaliGemma, InternVL, Idefics 3, SmolVLM."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    decoder_layer,
    gated_mlp,
    head_norms,
    norms,
    projections,
    vector,
)
from estimators.architecture.conventions import part_of
from estimators.architecture.decoder import NORMS, decoder, heads
from estimators.architecture.defaults import part, text_part
from estimators.architecture.families import towers
from estimators.architecture.families.vision_language import decoder_of, encoder, joined, two_layers
from estimators.architecture.fields import MAX_LAYERS, Fields
from estimators.architecture.spec import AttentionKind, FeedForward, LayerGroup, Role, Split

SPECIAL_TOKENS = 8  # rows of Llama 3.2 Vision's input embeddings beyond the vocabulary


def side(v: Fields, name: str) -> int:
    """A size given as one number or as height and width, then equal."""
    if not isinstance(v.get(name), list | tuple):
        return v.count(name)
    numbers = set(v.counts(name, low=1, limit=2))
    if len(numbers) != 1:
        raise v.error(name, "differs between height and width, which is not described here")
    return numbers.pop()


def mllama_text(c: Fields, root: str) -> Body:
    """Llama with gated layers that attend to the image instead of the text."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention, count = heads(c), c.layers()
    crossing = replace(attention, kind=AttentionKind.CROSS)
    marked = set(c.counts("cross_attention_layers", high=count - 1))

    def layer(crosses: bool) -> LayerGroup:
        tensors = gated_mlp(width, inner) + norms(width, *NORMS)
        if not crosses:
            made = projections(attention, width) + tensors
            return decoder_layer(made, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
        tensors += projections(crossing, width, prefix="cross_attn") + head_norms(crossing, "cross_attn")
        for name in ("cross_attn_attn_gate", "cross_attn_mlp_gate"):
            tensors += vector(name, (1,), Role.ATTENTION)
        base = decoder_layer(tensors, None, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
        return replace(base, cross_attention=crossing)

    body = decoder(c, root, [index in marked for index in range(count)], layer)
    embed = body.tensors[0]
    wider = replace(embed, shape=(body.vocab_size + SPECIAL_TOKENS, width))
    return replace(body, tensors=(wider, *body.tensors[1:]))


def mllama_tower(v: Fields, prefix: str) -> Tensors:
    """Tiles of an image with gated position tables, a local and a global stack without attention biases."""
    width, inner, patch = v.count("hidden_size"), v.count("intermediate_size"), side(v, "patch_size")
    tiles, ratios = v.count("max_num_tiles", high=64), ratio_count(v)
    patches = (side(v, "image_size") // patch) ** 2 + 1
    made = towers.plain(f"{prefix}.class_embedding", (width,))
    made += towers.plain(f"{prefix}.patch_embedding", (width, v.count("num_channels"), patch, patch))
    gated = f"{prefix}.gated_positional_embedding"
    made += towers.plain(f"{gated}.gate", (1,)) + towers.plain(f"{gated}.embedding", (patches, width))
    made += towers.plain(f"{gated}.tile_embedding", (ratios, tiles * patches * width))
    for name in ("pre_tile_positional_embedding", "post_tile_positional_embedding"):
        made += towers.plain(f"{prefix}.{name}.gate", (1,))
        made += towers.plain(f"{prefix}.{name}.embedding", (ratios, tiles * width))
    made += towers.normed(f"{prefix}.layernorm_pre", width) + towers.normed(f"{prefix}.layernorm_post", width)
    for stack, field in (("transformer", "num_hidden_layers"), ("global_transformer", "num_global_layers")):
        layers, block = v.count(field, high=MAX_LAYERS), f"{prefix}.{stack}.layers.{{e}}"
        names = ("q_proj", "k_proj", "v_proj", "o_proj")
        made += towers.square(f"{block}.self_attn", width, names, copies=layers, bias=False)
        made += towers.two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
        for name in ("input_layernorm", "post_attention_layernorm"):
            made += towers.normed(f"{block}.{name}", width, copies=layers)
        gates = ("gate_attn", "gate_ffn") if stack == "global_transformer" else ()
        for name in gates:
            made += towers.plain(f"{block}.{name}", (1,), copies=layers)
    return made


def ratio_count(v: Fields) -> int:
    """Rows of the tables by aspect ratio: the supported ones (8 by default) and one for padding."""
    stated = v.optional_items("supported_aspect_ratios", limit=1024)
    return (len(stated) if stated is not None else 8) + 1


def mllama(c: Fields) -> Body:
    """Llama 3.2 11B and 90B Vision."""
    body = mllama_text(text_part(c, "mllama_text_model"), "language_model.model")
    v = part(c, "vision_config", "mllama_vision_model")
    tower = mllama_tower(v, "vision_model")
    project = towers.dense("multi_modal_projector", body.hidden_size, v.count("vision_output_dim"))
    note = "Layers that attend to the image cache its keys and values once; without an image they cache nothing."
    return replace(joined(body, tower + project), notes=(*body.notes, note))


def llava_next(c: Fields) -> Body:
    """LLaVA with a learned line break between rows of tiles."""
    body = decoder_of(c, "language_model.model", tied_by="whole")
    tower, width = encoder(c)
    bias = c.flag("multimodal_projector_bias", instead=True)
    tower += towers.plain("image_newline", (body.hidden_size,))
    return joined(body, tower + two_layers(c, width, body.hidden_size, bias=bias))


def paligemma(c: Fields) -> Body:
    """SigLIP before Gemma 1 or 2; the decoder's embeddings have a row per location and segment token."""
    kind = c.section("text_config").optional_text("model_type") or "gemma"
    text = text_part(c, f"{kind}_text")
    tied = text.having("tie_word_embeddings", c.flag("tie_word_embeddings", instead=True))
    body = part_of(tied, "gemma2" if kind == "gemma2" else "gemma", "language_model.model")
    v = part(c, "vision_config", "siglip_vision_model")
    tower = towers.siglip(v, "vision_tower.vision_model")
    project = towers.dense("multi_modal_projector.linear", body.hidden_size, v.count("hidden_size"))
    return joined(body, tower + project)


def internvl(c: Fields) -> Body:
    """InternVL 3 in its transformers form: InternViT and a projector of shuffled patches."""
    body = decoder_of(c, "language_model.model")
    v = part(c, "vision_config", "internvl_vision")
    width, ratio = v.count("hidden_size"), c.number("downsample_ratio", low=0.05, high=1)
    merged, prefix = width * round(1 / ratio) ** 2, "multi_modal_projector"
    tower = internvit(v, "vision_tower") + towers.normed(f"{prefix}.layer_norm", merged)
    tower += towers.dense(f"{prefix}.linear_1", body.hidden_size, merged)
    return joined(body, tower + towers.dense(f"{prefix}.linear_2", body.hidden_size, body.hidden_size))


def internvit(v: Fields, prefix: str) -> Tensors:
    width, inner, patch = v.count("hidden_size"), v.count("intermediate_size"), side(v, "patch_size")
    layers, bias = v.count("num_hidden_layers", high=MAX_LAYERS), v.flag("attention_bias")
    patches = (side(v, "image_size") // patch) ** 2 + 1
    made = towers.plain(f"{prefix}.embeddings.cls_token", (1, 1, width))
    made += towers.plain(f"{prefix}.embeddings.position_embeddings", (1, patches, width))
    project = f"{prefix}.embeddings.patch_embeddings.projection"
    made += towers.plain(project, (width, v.count("num_channels"), patch, patch))
    made += towers.plain(f"{project}.bias", (width,))
    block = f"{prefix}.encoder.layer.{{e}}"
    for name in ("lambda_1", "lambda_2"):
        made += towers.plain(f"{block}.{name}", (width,), copies=layers)
    for name in ("q_proj", "k_proj", "v_proj"):
        made += towers.dense(f"{block}.attention.{name}", width, width, copies=layers, bias=bias)
    output = f"{block}.attention.projection_layer"
    made += towers.dense(output, width, width, copies=layers, split=Split.ROW)
    if v.flag("use_qk_norm"):
        for name in ("q_norm", "k_norm"):
            made += towers.plain(f"{block}.attention.{name}", (width,), copies=layers)
    made += towers.two(f"{block}.mlp", width, inner, ("fc1", "fc2"), copies=layers)
    for name in ("layernorm_before", "layernorm_after"):
        made += towers.normed(f"{block}.{name}", width, copies=layers, bias=v.text("norm_type") == "layer_norm")
    return made


def idefics3(c: Fields) -> Body:
    """Idefics 3 and SmolVLM: SigLIP before a Llama, patches shuffled into one matrix."""
    body = part_of(text_part(c, "llama_text"), "llama", "model.text_model")
    v = part(c, "vision_config", f"{c.text('model_type')}_vision")
    width, factor = v.count("hidden_size"), c.count("scale_factor", high=64)
    tower = towers.siglip(v, "model.vision_model")
    name = "model.connector.modality_projection.proj"
    return joined(body, tower + towers.dense(name, body.hidden_size, width * factor**2, bias=False))
