"""Mistral's own `params.json`, as the config of transformers for the same model."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.architecture.fields import ConfigError

# https://github.com/mistralai/mistral-inference/blob/main/src/mistral_inference/args.py
NAMES = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "head_dim": "head_dim",
    "hidden_dim": "intermediate_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "max_seq_len": "max_position_embeddings",
    "max_position_embeddings": "max_position_embeddings",
    "sliding_window": "sliding_window",
    "tied_embeddings": "tie_word_embeddings",
}
MOE = {"num_experts": "num_local_experts", "num_experts_per_tok": "num_experts_per_tok"}
UNREAD = ("vision_encoder", "multimodal", "q_lora_rank", "kv_lora_rank")  # what the plain text models lack


def as_config(params: Mapping[str, object]) -> dict[str, object]:
    """The config a plain or sparse Mistral decoder would have; refuses one with an encoder or latents."""
    for name in UNREAD:
        if params.get(name):
            raise ConfigError(
                f"The model has only a params.json, whose {name} is not described here.",
                field=name,
                remedy="Use a repository with a config.json, or give a parameter count.",
            )
    if "dim" not in params or "n_layers" not in params:
        raise ConfigError(
            "The model has only a params.json, and that names no dim and n_layers.",
            field="params.json",
            remedy="Use a repository with a config.json, or give a parameter count.",
        )
    made: dict[str, object] = {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": None}
    made |= {meant: params[name] for name, meant in NAMES.items() if params.get(name) is not None}
    moe = params.get("moe")
    if isinstance(moe, Mapping):
        made |= {meant: moe[name] for name, meant in MOE.items() if name in moe}
        made |= {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}
    return {"dtype": "bfloat16", **made}
