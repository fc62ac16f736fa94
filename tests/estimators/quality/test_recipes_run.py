"""The scripts run for real on a tiny model on the CPU, unchanged, where LLM Compressor is installed.

Set RIGHTSIZE_LLMCOMPRESSOR_PYTHON to the interpreter of an environment that has llmcompressor==0.14.0.1; about
five seconds a recipe. AWQ needs a GPU: its modifiers are built, nothing more.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from estimators.quality.recipes import RecipeKind, recipe_script

PYTHON = os.environ.get("RIGHTSIZE_LLMCOMPRESSOR_PYTHON") or (
    sys.executable if importlib.util.find_spec("llmcompressor") else None
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(PYTHON is None, reason="LLM Compressor is not installed")]

MODEL = "tiny/llama"  # a folder under the working directory, found before the Hub is asked
TINY = """
import json, pathlib, torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.manual_seed(0)
words = [f"w{i}" for i in range(500)]
vocabulary = {text: i for i, text in enumerate(["<unk>", "<s>", "</s>", *words])}
tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
special = dict(unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>")
PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained("tiny/llama")
config = LlamaConfig(
    hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=512, max_position_embeddings=512, tie_word_embeddings=False,
)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained("tiny/llama")
folder = pathlib.Path("HuggingFaceH4/ultrachat_200k/data")
folder.mkdir(parents=True)
with open(folder / "train_sft-00000-of-00001.jsonl", "w") as file:
    for row in range(8):
        said = [" ".join(words[(row * step + 3 * i) % 500] for i in range(60)) for step in (7, 11)]
        turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), said)]
        file.write(json.dumps({"messages": turns}) + "\\n")
"""
READ = """
import json, sys
from safetensors import safe_open

folder = sys.argv[1]
config = json.load(open(folder + "/config.json")).get("quantization_config")
file = safe_open(folder + "/model.safetensors", "pt")
up, head = "model.layers.0.mlp.up_proj", file.get_tensor("lm_head.weight")
found = {name.removeprefix(up + "."): file.get_tensor(name) for name in file.keys() if name.startswith(up)}
print(json.dumps({
    "format": config and config["format"],
    "tensors": {name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in found.items()},
    "zeros_of_four": sorted({int(n) for n in (found["weight"].reshape(-1, 4) == 0).sum(1)}) if config is None else None,
    "head": [str(head.dtype).removeprefix("torch."), bool((head == 0).float().mean() < 0.1)],
}))
"""


def run(folder: Path, *arguments: str) -> str:
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
    quiet = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [str(PYTHON), *arguments],
        cwd=folder,
        env={**os.environ, **offline, **quiet},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    run(folder, "-c", TINY)
    return folder


@pytest.mark.parametrize(
    ("kind", "form", "tensors"),
    [
        (
            RecipeKind.GPTQ_INT4,
            "pack-quantized",
            # 256 x 128 weights at 4 bits: 8 to an int32 word; one scale per group of 128
            {
                "weight_packed": ["int32", [256, 16]],
                "weight_scale": ["bfloat16", [256, 1]],
                "weight_shape": ["int64", [2]],
            },
        ),
        (
            RecipeKind.GPTQ_INT8_WEIGHT_ONLY,
            "pack-quantized",
            {
                "weight_packed": ["int32", [256, 32]],
                "weight_scale": ["bfloat16", [256, 1]],
                "weight_shape": ["int64", [2]],
            },
        ),
        (
            RecipeKind.SMOOTHQUANT_GPTQ_INT8,
            "int-quantized",
            {"weight": ["int8", [256, 128]], "weight_scale": ["bfloat16", [256, 1]]},
        ),
        (
            RecipeKind.FP8_DYNAMIC,
            "float-quantized",
            {"weight": ["float8_e4m3fn", [256, 128]], "weight_scale": ["bfloat16", [256, 1]]},
        ),
        (
            RecipeKind.NVFP4,
            "nvfp4-pack-quantized",
            {
                "input_global_scale": ["float32", [1]],
                "weight_global_scale": ["float32", [1]],
                "weight_packed": ["uint8", [256, 64]],
                "weight_scale": ["float8_e4m3fn", [256, 8]],  # one per 16
            },
        ),
        (
            RecipeKind.MXFP4,
            "mxfp4-pack-quantized",
            {"weight_packed": ["uint8", [256, 64]], "weight_scale": ["uint8", [256, 4]]},  # one per 32
        ),
        (RecipeKind.SPARSEGPT_2_4, None, {"weight": ["bfloat16", [256, 128]]}),  # stored dense
    ],
)
def test_the_script_makes_the_checkpoint_it_promises(workplace, kind, form, tensors):
    made = recipe_script(MODEL, kind)
    script = workplace / f"{kind.name.lower()}.py"
    script.write_text(made.script)
    run(workplace, script.name)
    seen = json.loads(run(workplace, "-c", READ, made.output))
    assert seen["format"] == form
    assert seen["tensors"] == tensors
    assert seen["head"] == ["bfloat16", True]  # left alone
    if kind is RecipeKind.SPARSEGPT_2_4:
        assert seen["zeros_of_four"] == [2]


def test_the_awq_modifiers_can_be_built(workplace):
    script = workplace / "awq.py"
    script.write_text(recipe_script(MODEL, RecipeKind.AWQ_INT4).script)
    build = (
        "import runpy; names = runpy.run_path('awq.py', run_name='read');"
        "names['AWQModifier'](duo_scaling='both');"
        "names['QuantizationModifier'](targets='Linear', scheme='W4A16_ASYM', ignore=names['IGNORE'])"
    )
    run(workplace, "-c", build)


MIXTURE = """
import torch
from transformers import AutoTokenizer, Qwen3MoeConfig, Qwen3MoeForCausalLM

torch.manual_seed(0)
config = Qwen3MoeConfig(
    hidden_size=128, moe_intermediate_size=128, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
    head_dim=32, num_experts=4, num_experts_per_tok=2, vocab_size=512,
)
Qwen3MoeForCausalLM(config).to(torch.bfloat16).save_pretrained("tiny/mixture")
AutoTokenizer.from_pretrained("tiny/llama").save_pretrained("tiny/mixture")
"""
READ_ROUTER = """
import json, sys
from safetensors import safe_open

file = safe_open(sys.argv[1] + "/model.safetensors", "pt")
router = file.get_tensor("model.layers.0.mlp.gate.weight")
expert = [name for name in file.keys() if "experts.0.up_proj.weight" in name]
print(json.dumps([str(router.dtype), bool((router == 0).any()), len(expert)]))
"""


def test_routers_of_a_mixture_stay_wide(workplace):
    run(workplace, "-c", MIXTURE)
    for kind, tensors_of_an_expert in ((RecipeKind.FP8_DYNAMIC, 2), (RecipeKind.SPARSEGPT_2_4, 1)):
        made = recipe_script("tiny/mixture", kind, moe=True)
        script = workplace / f"mixture_{kind.name.lower()}.py"
        script.write_text(made.script)
        run(workplace, script.name)
        seen = json.loads(run(workplace, "-c", READ_ROUTER, made.output))
        assert seen == ["torch.bfloat16", False, tensors_of_an_expert]
