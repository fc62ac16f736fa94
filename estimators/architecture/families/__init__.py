"""Which function reads which `model_type`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimators.architecture.blocks import Body
from estimators.architecture.families import classic, deepseek, dense, gemma, glm, hybrid, llama, moe, nas, qwen_next, t5
from estimators.architecture.fields import Fields

Family = Callable[[Fields], Body]

FAMILIES: Mapping[str, Family] = {
    "bamba": hybrid.bamba,
    "bloom": classic.bloom,
    "cohere": dense.cohere,
    "cohere2": dense.cohere2,
    "dbrx": classic.dbrx,
    "deepseek": deepseek.deepseek_v1,
    "deepseek_v2": deepseek.deepseek_v2,
    "deepseek_v3": deepseek.deepseek_v3,
    "deepseek_v32": deepseek.deepseek_v32,
    "exaone4": dense.exaone4,
    "falcon": classic.falcon,
    "falcon_h1": hybrid.falcon_h1,
    "falcon_mamba": hybrid.plain_mamba,
    "gemma2": gemma.gemma2,
    "glm": dense.glm,
    "glm4": dense.glm4,
    "glm4_moe": glm.glm4_moe,
    "glm_moe_dsa": glm.glm_dsa,
    "gpt2": classic.gpt2,
    "gpt_bigcode": classic.gpt_bigcode,
    "gpt_neox": classic.gpt_neox,
    "gpt_oss": moe.gpt_oss,
    "gptj": classic.gptj,
    "granite": llama.llama,
    "granitemoehybrid": hybrid.granite_hybrid,
    "jamba": hybrid.jamba,
    "kimi_k2": deepseek.deepseek_v3,
    "llama": llama.llama,
    "mamba": hybrid.plain_mamba,
    "mamba2": hybrid.plain_mamba2,
    "mimo": dense.mimo,
    "mistral": llama.mistral,
    "mixtral": moe.mixtral,
    "mpt": classic.mpt,
    "nemotron": dense.nemotron,
    "nemotron-nas": nas.nemotron_nas,
    "nemotron_h": hybrid.nemotron_h,
    "olmo": dense.olmo,
    "olmo2": dense.olmo2,
    "olmo3": dense.olmo3,
    "opt": classic.opt,
    "phi": dense.phi,
    "phi3": llama.phi3,
    "phi3small": dense.phi3small,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "qwen3_5_moe_text": qwen_next.qwen3_5_moe,
    "qwen3_5_text": qwen_next.qwen3_5,
    "qwen3_moe": moe.qwen3_moe,
    "qwen3_next": qwen_next.qwen3_next,
    "stablelm": dense.stablelm,
    "starcoder2": dense.starcoder2,
    "t5": t5.t5,
}
