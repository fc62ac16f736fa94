"""llama.cpp's own server with a small random Llama as a GGUF file; its vocabulary is the words of our prompts.

For the environment of `make serving-setup`: `.venv-serving/bin/python -m tests.servers.tiny_gguf FILE PORT`. It asks no
Hub, and runs until it is ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from estimators.measuring.server.prompts import WORDS

WIDTH, INNER, LAYERS, HEADS, KV_HEADS = 512, 1408, 8, 8, 4
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # the vocabulary of BERT takes whole words
CONTROL, NORMAL = 3, 1  # kinds of tokens
TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


def write(path: Path) -> None:
    import gguf
    import numpy as np

    words = [*SPECIAL, *(f"\u2581{word}" for word in dict.fromkeys(WORDS))]
    file = gguf.GGUFWriter(path, "llama")
    file.add_block_count(LAYERS)
    file.add_context_length(4096)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(KV_HEADS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_dimension_count(WIDTH // HEADS)
    file.add_vocab_size(len(words))
    file.add_tokenizer_model("bert")
    file.add_token_list([word.encode() for word in words])
    file.add_token_types([CONTROL] * len(SPECIAL) + [NORMAL] * (len(words) - len(SPECIAL)))
    for kind, number in (("pad", 0), ("unk", 1), ("bos", 2), ("eos", 3), ("sep", 3), ("mask", 4)):
        getattr(file, f"add_{kind}_token_id")(number)
    file.add_chat_template(TEMPLATE)
    draw = np.random.default_rng(1)
    for name, shape in shapes(len(words)).items():
        tensor = np.ones(shape) if "norm" in name else 0.05 * draw.standard_normal(shape)
        if name == "output.weight":
            tensor[: len(SPECIAL)] = 0.0  # never the likeliest: every token it says is a word
        file.add_tensor(name, tensor.astype(np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (vocabulary, WIDTH),
    }
    kv = WIDTH * KV_HEADS // HEADS
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (kv, WIDTH),
        "attn_v": (kv, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    for number in range(LAYERS):
        found |= {f"blk.{number}.{name}.weight": shape for name, shape in layer.items()}
    return found


def serve(path: Path, port: int) -> Any:
    import xllamacpp

    asked = xllamacpp.CommonParams()
    asked.model.path = str(path)
    asked.port = port
    asked.n_ctx, asked.n_parallel = 4096, 2
    asked.cpuparams.n_threads = 1
    asked.endpoint_metrics = True
    return xllamacpp.Server(asked)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    server = serve(Path(sys.argv[1]), int(sys.argv[2]))
    while True:
        time.sleep(60)
