"""Which function reads which `model_type`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimators.architecture.blocks import Body
from estimators.architecture.families import classic, deepseek, dense, gemma, llama, moe, t5
from estimators.architecture.fields import Fields

Family = Callable[[Fields], Body]

FAMILIES: Mapping[str, Family] = {
    "bloom": classic.bloom,
    "cohere": dense.cohere,
    "cohere2": dense.cohere2,
    "dbrx": classic.dbrx,
    "deepseek_v2": deepseek.deepseek_v2,
    "deepseek_v3": deepseek.deepseek_v3,
    "exaone4": dense.exaone4,
    "falcon": classic.falcon,
    "gemma2": gemma.gemma2,
    "glm": dense.glm,
    "glm4": dense.glm4,
    "gpt2": classic.gpt2,
    "gpt_bigcode": classic.gpt_bigcode,
    "gpt_neox": classic.gpt_neox,
    "gpt_oss": moe.gpt_oss,
    "gptj": classic.gptj,
    "granite": llama.llama,
    "kimi_k2": deepseek.deepseek_v3,
    "llama": llama.llama,
    "mimo": dense.mimo,
    "mistral": llama.mistral,
    "mixtral": moe.mixtral,
    "mpt": classic.mpt,
    "nemotron": dense.nemotron,
    "olmo": dense.olmo,
    "olmo2": dense.olmo2,
    "olmo3": dense.olmo3,
    "opt": classic.opt,
    "phi": dense.phi,
    "phi3": llama.phi3,
    "phi3small": dense.phi3small,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "qwen3_moe": moe.qwen3_moe,
    "stablelm": dense.stablelm,
    "starcoder2": dense.starcoder2,
    "t5": t5.t5,
}
