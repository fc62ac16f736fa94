"""What the profiling environment's libraries make of our models; run by its interpreter, prints one JSON object."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace

import torch
import transformers as tf

from estimators.measuring.device.building import build, random_model, random_state
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.precision import Weights
from estimators.provenance import Refusal

DENSE = {
    "model_type": "llama",
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "intermediate_size": 256,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 512,
    "tie_word_embeddings": True,
}
EXPERTS = DENSE | {
    "model_type": "qwen3_moe",
    "moe_intermediate_size": 256,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "head_dim": 64,
}
JOB = DeviceJob(model="tiny", config=DENSE, weights=Weights.BF16, prompt_tokens=8, output_tokens=4)
TOKENS = torch.zeros(1, 4, dtype=torch.long)


def built(weights: Weights, config: dict[str, object] = DENSE) -> object:
    """The class of a projection's weight, and whether the model runs; or why it cannot."""
    try:
        model = build(torch, tf, replace(JOB, weights=weights), config, None, "tiny").model
    except Refusal as refusal:
        return refusal.field, str(refusal)
    weight = model.base_model.layers[0].self_attn.o_proj.weight
    tied = model.lm_head.weight.data_ptr() == model.base_model.embed_tokens.weight.data_ptr()
    return type(weight).__name__, tied, bool(model(TOKENS).logits.isfinite().all())


def split() -> object:
    """A model laid over the CPU and the disk by accelerate, beside the same one in one place."""
    parsed = tf.CONFIG_MAPPING["llama"].from_dict(DENSE)
    torch.manual_seed(0)
    whole = random_model(torch, tf, parsed, {"dtype": torch.float32, "device_map": {"": "cpu"}}, "cpu").eval()
    places = {f"model.layers.{number}": "disk" if number else "cpu" for number in range(3)}
    places |= dict.fromkeys(("model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"), "cpu")
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        placed = {"dtype": torch.float32, "device_map": places, "offload_folder": folder}
        laid = random_model(torch, tf, parsed, placed, "cpu").eval()
        same = torch.allclose(whole(TOKENS).logits, laid(TOKENS).logits, atol=1e-5)
        return sorted(set(laid.hf_device_map.values())), same


def shared() -> object:
    """Tensors for a device that copies: all views of one block of random numbers."""
    shapes = {"a": torch.empty(64, 64, device="meta"), "b": torch.empty(32, 64, device="meta")}
    made = random_state(torch, shapes | {"norm": torch.empty(64, device="meta")}, shared=True)
    return (
        made["a"].untyped_storage().data_ptr() == made["b"].untyped_storage().data_ptr(),
        list(made["b"].shape),
        float(made["a"].abs().max()) <= 0.02,
        float(made["norm"].min()),
    )


def save(folder: str) -> None:
    """A tiny checkpoint with real files, as the local cache would hold it."""
    parsed = tf.CONFIG_MAPPING["llama"].from_dict(DENSE)
    tf.AutoModelForCausalLM.from_config(parsed, dtype=torch.float32).save_pretrained(folder)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        save(sys.argv[1])
    else:
        kinds = {weights.value: built(weights) for weights in (Weights.INT8, Weights.NF4, Weights.INT8_WEIGHT_ONLY)}
        narrow = DENSE | {"intermediate_size": 250}  # no kernel for it
        found = {
            "bf16": built(Weights.BF16),
            **kinds,
            "int4": built(Weights.INT4),
            "experts": built(Weights.INT8, EXPERTS),
            "narrow": built(Weights.NF4, narrow),
            "split": split(),
            "shared": shared(),
        }
        print(json.dumps(found))
