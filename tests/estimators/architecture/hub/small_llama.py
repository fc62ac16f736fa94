"""A Llama small enough to count by hand, and what a client is refused."""

from __future__ import annotations

import pytest

from estimators.provenance import Refusal

TOKEN = "hf_secretsecretsecret"
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
# 2 x 100 x 64 embeddings and head; per layer q, o 2 x 64 x 64, k, v 2 x 32 x 64, feed-forward 3 x 64 x 160, norms
# 2 x 64; the final norm 64: 12,800 + 2 x 43,136 + 64.
LLAMA_PARAMS = 99_136


def refusal(client, model_id="org/llama", revision=None):
    with pytest.raises(Refusal) as refused:
        client.fetch(model_id, revision)
    assert refused.value.remedy, "a refusal says the way out"
    return refused.value
