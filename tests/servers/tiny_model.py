"""A Llama of next to nothing with random weights and a tokenizer of whole words, as a folder that servers can load.

For the environment of `make serving-setup`: `.venv-serving/bin/python -m tests.servers.tiny_model FOLDER`. It asks no
Hub. Every token it can say is a word that shows, and it never ends an answer by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from estimators.measuring.server.prompts import WORDS

SIZES = {
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
TEMPLATE = (
    "{% for message in messages %}{% set said = message['content'] %}"
    "{{ said if said is string else said[0]['text'] }} {% endfor %}"
)


def tokenizer(transformers: Any) -> Any:
    """One token for every word of our prompts; what is none of them, such as a seed, is one token too."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = ["<other>", *dict.fromkeys(WORDS)]
    plain = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<other>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.decoder = decoders.Metaspace(replacement="_", prepend_scheme="never")
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain, unk_token="<other>", chat_template=TEMPLATE, clean_up_tokenization_spaces=False
    )


def write(folder: Path) -> None:
    import torch
    import transformers

    said = tokenizer(transformers)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=len(said), bos_token_id=None, eos_token_id=None, pad_token_id=None, **SIZES
    )
    model = transformers.LlamaForCausalLM(config)
    model.generation_config = transformers.GenerationConfig(do_sample=False, eos_token_id=None, pad_token_id=0)
    model.save_pretrained(folder)
    said.save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
