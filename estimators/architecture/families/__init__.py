"""Which function reads which `model_type`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimators.architecture.blocks import Body
from estimators.architecture.families import deepseek, gemma, llama, moe
from estimators.architecture.fields import Fields

Family = Callable[[Fields], Body]

FAMILIES: Mapping[str, Family] = {
    "deepseek_v2": deepseek.deepseek_v2,
    "deepseek_v3": deepseek.deepseek_v3,
    "gemma2": gemma.gemma2,
    "gpt_oss": moe.gpt_oss,
    "granite": llama.llama,
    "kimi_k2": deepseek.deepseek_v3,
    "llama": llama.llama,
    "mistral": llama.mistral,
    "mixtral": moe.mixtral,
    "phi3": llama.phi3,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "qwen3_moe": moe.qwen3_moe,
}
