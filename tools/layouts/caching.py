"""What transformers' own cache holds per token: a forward pass over a few tokens on the meta device."""

from __future__ import annotations

import math
from typing import Any

import torch

from tools.layouts.building import Config, model

TOKENS = 64  # fewer than any window, so that windowed layers count in full


def cached(model_type: str, config: Config) -> int | None:
    """Elements of keys and values per token over all layers; None where no pass runs without data."""
    try:
        made = model(model_type, config)
        ids = torch.zeros((1, TOKENS), dtype=torch.long, device="meta")
        more: dict[str, Any] = {"decoder_input_ids": ids} if getattr(made.config, "is_encoder_decoder", False) else {}
        with torch.no_grad():
            kept = made(input_ids=ids, use_cache=True, **more).past_key_values
        layers = getattr(kept, "self_attention_cache", kept).layers
        tensors = [getattr(layer, name, None) for layer in layers for name in ("keys", "values")]
    except Exception:  # whatever a class says to a pass without an image or a sound
        return None
    shapes = [tensor.shape for tensor in tensors if isinstance(tensor, torch.Tensor) and tensor.dim() == 4]
    total = sum(math.prod(shape) for shape in shapes if shape[-2] == TOKENS)
    return total // TOKENS if total else None
