"""Vision-language models: a decoder of another family, an encoder, and what joins them."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import Body, Tensors
from estimators.architecture.conventions import part_of
from estimators.architecture.defaults import TiedBy, part, text_part
from estimators.architecture.families import deepseek, gemma, llama4, moe, qwen_next, towers
from estimators.architecture.fields import Fields

# Decoders that LLaVA-like wrappers carry, by the model type of their text section.


def joined(body: Body, tower: Tensors) -> Body:
    return replace(body, tensors=body.tensors + tower)


def decoder_of(c: Fields, root: str, *, tied_by: TiedBy = "whole, else text") -> Body:
    """The text part, by its own model type."""
    model_type = c.section("text_config").optional_text("model_type") or "llama"
    text = text_part(c, f"{model_type}_text", tied_by=tied_by)
    return moe.gpt_oss(text, root) if model_type == "gpt_oss" else part_of(text, model_type, root)


def two_layers(c: Fields, into: int, out: int, *, bias: bool, prefix: str = "multi_modal_projector") -> Tensors:
    return towers.dense(f"{prefix}.linear_1", out, into, bias=bias) + towers.dense(
        f"{prefix}.linear_2", out, out, bias=bias
    )


def encoder(c: Fields, prefix: str = "vision_tower") -> tuple[Tensors, int]:
    """The encoder of a LLaVA-like model and its width, by the model type of its section."""
    kind = c.section("vision_config").optional_text("model_type") or "clip_vision_model"
    v = part(c, "vision_config", kind)
    if kind == "pixtral":
        return towers.pixtral(v, prefix), v.count("hidden_size")
    if kind == "siglip_vision_model":
        return towers.siglip(v, f"{prefix}.vision_model"), v.count("hidden_size")
    if kind == "clip_vision_model":
        return towers.clip(v, f"{prefix}.vision_model"), v.count("hidden_size")
    raise c.error("vision_config.model_type", f"{kind[:60]!r} is not described here")


def llava(c: Fields) -> Body:
    """LLaVA and Pixtral 12B: a projector of two matrices."""
    body = decoder_of(c, "language_model.model", tied_by="either")
    tower, width = encoder(c)
    bias = c.flag("multimodal_projector_bias", instead=True)
    return joined(body, tower + two_layers(c, width, body.hidden_size, bias=bias))


def mistral3(c: Fields) -> Body:
    """Mistral Small 3.1 on, Ministral 3, Devstral 2: patches merged before the projector."""
    body = decoder_of(c, "language_model.model")
    tower, width = encoder(c)
    bias, merge = c.flag("multimodal_projector_bias"), c.count("spatial_merge_size", high=64)
    prefix = "multi_modal_projector"
    tower += towers.plain(f"{prefix}.norm", (width,))
    tower += towers.dense(f"{prefix}.patch_merger.merging_layer", width, width * merge**2, bias=False)
    return joined(body, tower + two_layers(c, width, body.hidden_size, bias=bias))


def qwen2_5_vl(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen2_5_vl_vision")
    body = part_of(text_part(c, "qwen2_5_vl_text", tied_by="either"), "qwen2", "model")
    return joined(body, towers.qwen2_5_vision(v, "visual"))


def qwen2_vl(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen2_vl_vision")
    body = part_of(text_part(c, "qwen2_vl_text", tied_by="either"), "qwen2", "model")
    return joined(body, towers.qwen2_vision(v, "visual"))


def qwen3_vl(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen3_vl_vision")
    body = part_of(text_part(c, "qwen3_vl_text", tied_by="whole"), "qwen3", "model.language_model")
    return joined(body, towers.qwen3_vision(v, "model.visual"))


def qwen3_vl_moe(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen3_vl_moe_vision")
    body = part_of(text_part(c, "qwen3_vl_moe_text", tied_by="whole"), "qwen3_moe", "model.language_model")
    return joined(body, towers.qwen3_vision(v, "model.visual"))


def qwen3_5(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen3_5_vision")
    body = qwen_next.qwen3_5(text_part(c, "qwen3_5_text", tied_by="whole"), "model.language_model")
    return joined(body, towers.qwen3_vision(v, "model.visual"))


def qwen3_5_moe(c: Fields) -> Body:
    v = part(c, "vision_config", "qwen3_5_moe_vision")
    body = qwen_next.qwen3_5_moe(text_part(c, "qwen3_5_moe_text"), "model.language_model")
    return joined(body, towers.qwen3_vision(v, "model.visual"))


MOBILENET_V5 = 294_126_912  # timm mobilenetv5_300m_enc; Gemma 3n E2B built whole less its text, audio and embedders


def gemma3n(c: Fields) -> Body:
    """A MobileNet V5 and a conformer, each with a small vocabulary and a projection of its own."""
    body = gemma.gemma3n(text_part(c, "gemma3n_text"), "model.language_model")
    vision, audio = part(c, "vision_config", "gemma3n_vision"), part(c, "audio_config", "gemma3n_audio")
    tower = towers.plain("model.vision_tower.timm_model", (MOBILENET_V5,))
    tower += towers.gemma3n_audio(audio, "model.audio_tower")
    for name, section in (("embed_vision", vision), ("embed_audio", audio)):
        width, prefix = section.count("hidden_size"), f"model.{name}"
        tower += towers.plain(f"{prefix}.embedding", (section.count("vocab_size"), width))
        tower += towers.plain(f"{prefix}.hard_embedding_norm", (width,))
        tower += towers.plain(f"{prefix}.soft_embedding_norm", (width,))
        tower += towers.dense(f"{prefix}.embedding_projection", body.hidden_size, width, bias=False)
    return joined(body, tower)


def gemma4(c: Fields) -> Body:
    """An encoder for images, in the smaller models one for sound."""
    body = gemma.gemma4(text_part(c, "gemma4_text"), "model.language_model")
    tower: Tensors = ()
    if c.has("vision_config"):
        v = part(c, "vision_config", "gemma4_vision")
        tower += towers.gemma4_vision(v, "model.vision_tower")
        embed = "model.embed_vision.embedding_projection"
        tower += towers.dense(embed, body.hidden_size, v.count("hidden_size"), bias=False)
    if c.has("audio_config"):
        a = part(c, "audio_config", "gemma4_audio")
        tower += towers.gemma4_audio(a, "model.audio_tower")
        embed = "model.embed_audio.embedding_projection"
        tower += towers.dense(embed, body.hidden_size, a.count("output_proj_dims"), bias=False)
    return joined(body, tower)


def gemma4_unified(c: Fields) -> Body:
    """Gemma 4 12B: no encoder, patches and sound projected straight into the decoder."""
    body = gemma.gemma4(text_part(c, "gemma4_unified_text"), "model.language_model")
    if not c.has("vision_config") and not c.has("audio_config"):
        return body
    v, a = part(c, "vision_config", "gemma4_unified_vision"), part(c, "audio_config", "gemma4_unified_audio")
    inner, patch = v.count("mm_embed_dim"), 3 * v.count("model_patch_size") ** 2
    prefix = "model.embed_vision"
    tower = towers.plain(f"{prefix}.pos_embedding", (v.count("mm_posemb_size"), 2, inner))
    tower += towers.normed(f"{prefix}.patch_ln1", patch) + towers.dense(f"{prefix}.patch_dense", inner, patch)
    tower += towers.normed(f"{prefix}.patch_ln2", inner) + towers.normed(f"{prefix}.pos_norm", inner)
    embed = "embedding_projection"
    tower += towers.dense(f"{prefix}.multimodal_embedder.{embed}", body.hidden_size, inner, bias=False)
    sound = a.count("output_proj_dims" if a.has("output_proj_dims") else "audio_embed_dim")
    return joined(body, tower + towers.dense(f"model.embed_audio.{embed}", body.hidden_size, sound, bias=False))


def llama4_vl(c: Fields) -> Body:
    body = llama4.llama4(text_part(c, "llama4_text", tied_by="text"), "language_model.model")
    v = part(c, "vision_config", "llama4_vision_model")
    tower = towers.llama4_vision(v, "vision_model")
    project = towers.dense("multi_modal_projector.linear_1", body.hidden_size, v.count("vision_output_dim"), bias=False)
    return joined(body, tower + project)


def kimi_k25(c: Fields) -> Body:
    """DeepSeek V3's decoder, MoonViT and a merger of 2 x 2 patches."""
    body = deepseek.deepseek_v3(text_part(c, "kimi_k2"), "language_model.model")
    v = part(c, "vision_config", "kimi_k25_vision")
    width = v.count("vt_hidden_size")
    merged = width
    for factor in v.counts("merge_kernel_size", low=1, high=64, limit=2):
        merged *= factor
    tower = towers.moonvit(v, "vision_tower") + towers.normed("mm_projector.pre_norm", width)
    tower += towers.dense("mm_projector.proj.0", merged, merged)
    return joined(body, tower + towers.dense("mm_projector.proj.2", body.hidden_size, merged))


def step3p7(c: Fields) -> Body:
    """Step 3.5 and 3.7 Flash: the fields of the decoder may stand at the top."""
    body = moe.step3(text_part(c, "step3p5", tied_by="whole"), "model")
    v = part(c, "vision_config", "step3p5_vision")
    width = v.count("hidden_size")
    inner = v.optional_count("intermediate_size")
    ratio = v.number("mlp_ratio", low=0.1, high=100)
    tower = towers.step_vision(v.having("intermediate_size", round(width * ratio) if ratio else inner), "vision_model")
    tower += towers.dense("vit_large_projector", body.hidden_size, 4 * width, bias=False)
    notes = () if c.has("vision_config") else ("The config leaves out its encoder; the class default is counted.",)
    return replace(joined(body, tower), notes=body.notes + notes)
