"""LLM Compressor scripts that make a quantized or sparse checkpoint, as text to copy and run elsewhere.

Written for LLM Compressor 0.14 (pip install llmcompressor==0.14.0.1). Nothing here imports it, and nothing is run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from string import Template

from estimators.architecture.model_id import MODEL_ID
from estimators.provenance import Refusal
from estimators.quality.schemes import Scheme, scheme_of

# SparseGPT 0.14 matches module names with a dot at the end, so patterns allow one; a bare "lm_head" would be pruned.
_HEAD = "re:.*lm_head"
_ROUTERS = ["re:.*mlp[.]gate[.]?$", "re:.*block_sparse_moe[.]gate[.]?$", "re:.*router[.]?$"]
CALIBRATION_SET, CALIBRATION_SPLIT = "HuggingFaceH4/ultrachat_200k", "train_sft"
CALIBRATION_SAMPLES, CALIBRATION_TOKENS = 512, 2048  # as on the Red Hat AI model cards that print their recipe


class RecipeKind(StrEnum):
    """A way to compress a model with LLM Compressor."""

    GPTQ_INT4 = "gptq-int4"
    AWQ_INT4 = "awq-int4"
    SMOOTHQUANT_GPTQ_INT8 = "smoothquant-gptq-int8"
    GPTQ_INT8_WEIGHT_ONLY = "gptq-int8-weight-only"
    FP8_DYNAMIC = "fp8-dynamic"
    NVFP4 = "nvfp4"
    MXFP4 = "mxfp4"
    SPARSEGPT_2_4 = "sparsegpt-2:4"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What distinguishes one recipe from another."""

    title: str
    scheme: Scheme
    method: str
    imports: tuple[str, ...]
    modifiers: tuple[str, ...]
    suffix: str
    calibrated: bool = True
    verified: str = "ran to the end on a tiny model on the CPU"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeScript:
    """A script and what it makes."""

    kind: RecipeKind
    title: str
    scheme: Scheme
    method: str
    script: str
    output: str  # folder it writes
    calibrated: bool  # needs sample texts
    verified: str  # what was really tried
    note: str


_QUANTIZE = "from llmcompressor.modifiers.quantization import QuantizationModifier"
_GPTQ = "from llmcompressor.modifiers.gptq import GPTQModifier"

_PLANS: dict[RecipeKind, _Plan] = {
    RecipeKind.GPTQ_INT4: _Plan(
        title="INT4 weights (W4A16, group 128) with GPTQ",
        scheme=Scheme.INT4,
        method="gptq",
        imports=(_GPTQ,),
        modifiers=('GPTQModifier(targets="Linear", scheme="W4A16", ignore=IGNORE)',),
        suffix="quantized.w4a16",
    ),
    RecipeKind.AWQ_INT4: _Plan(
        title="INT4 weights (W4A16, group 128, with zero points) with AWQ",
        scheme=Scheme.INT4,
        method="awq",
        imports=(_QUANTIZE, "from llmcompressor.modifiers.transform.awq import AWQModifier"),
        modifiers=(
            'AWQModifier(duo_scaling="both")',
            'QuantizationModifier(targets="Linear", scheme="W4A16_ASYM", ignore=IGNORE)',
        ),
        suffix="awq.w4a16",
        verified="not verified: its modifiers were built, but AWQ needs a GPU to run",
        note="AWQ only rescales channels; the second modifier does the quantizing.",
    ),
    RecipeKind.SMOOTHQUANT_GPTQ_INT8: _Plan(
        title="INT8 weights and activations (W8A8) with SmoothQuant and GPTQ",
        scheme=Scheme.INT8,
        method="gptq",
        imports=(_GPTQ, "from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier"),
        modifiers=(
            "SmoothQuantModifier(smoothing_strength=0.8)",
            'GPTQModifier(targets="Linear", scheme="W8A8", ignore=IGNORE)',
        ),
        suffix="quantized.w8a8",
    ),
    RecipeKind.GPTQ_INT8_WEIGHT_ONLY: _Plan(
        title="INT8 weights (W8A16, group 128) with GPTQ",
        scheme=Scheme.INT8_WEIGHT_ONLY,
        method="gptq",
        imports=(_GPTQ,),
        modifiers=('GPTQModifier(targets="Linear", scheme="W8A16", ignore=IGNORE)',),
        suffix="quantized.w8a16",
    ),
    RecipeKind.FP8_DYNAMIC: _Plan(
        title="FP8 weights, FP8 activations scaled as they come",
        scheme=Scheme.FP8,
        method="rtn",
        imports=(_QUANTIZE,),
        modifiers=('QuantizationModifier(targets="Linear", scheme="FP8_DYNAMIC", ignore=IGNORE)',),
        suffix="FP8-dynamic",
        calibrated=False,
        note="Needs no sample texts: minutes, most of it reading and writing the weights.",
    ),
    RecipeKind.NVFP4: _Plan(
        title="NVFP4 weights and activations (W4A4)",
        scheme=Scheme.NVFP4,
        method="ptq",
        imports=(_QUANTIZE,),
        modifiers=('QuantizationModifier(targets="Linear", scheme="NVFP4", ignore=IGNORE)',),
        suffix="NVFP4",
        note="Runs natively on Blackwell only.",
    ),
    RecipeKind.MXFP4: _Plan(
        title="MXFP4 weights and activations (W4A4)",
        scheme=Scheme.MXFP4,
        method="rtn",
        imports=(_QUANTIZE,),
        modifiers=('QuantizationModifier(targets="Linear", scheme="MXFP4", ignore=IGNORE)',),
        suffix="MXFP4",
        calibrated=False,
    ),
    RecipeKind.SPARSEGPT_2_4: _Plan(
        title="2:4 sparsity with SparseGPT",
        scheme=Scheme.SPARSE_2_4,
        method="sparsegpt",
        imports=("from llmcompressor.modifiers.pruning.sparsegpt import SparseGPTModifier",),
        modifiers=('SparseGPTModifier(sparsity=0.5, mask_structure="2:4", targets=["Linear"], ignore=IGNORE)',),
        suffix="2of4",
        note="Saves no memory on disk or in vLLM: the zeros are stored. Without distillation afterwards quality drops.",
    ),
}

_SCRIPT = Template('''\
"""Make $output: $title, of $model.

pip install llmcompressor==0.14.0.1
"""

${dataset_import}from llmcompressor import oneshot
$imports
from transformers import AutoModelForCausalLM, AutoTokenizer

MODEL = $model_literal
OUTPUT = $output_literal
IGNORE = $ignore
$calibration

def main():
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="auto")
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    recipe = [
$modifiers
    ]
    $oneshot
    model.save_pretrained(OUTPUT, save_compressed=True)
    tokenizer.save_pretrained(OUTPUT)


if __name__ == "__main__":
    main()
''')

_CALIBRATION = Template('''\
DATASET, SPLIT = $dataset, $split
SAMPLES, TOKENS = $samples, $tokens


def sample_texts(tokenizer):
    """Conversations as the model sees them; put your own traffic here if you can."""
    rows = load_dataset(DATASET, split=SPLIT)
    rows = rows.shuffle(seed=42).select(range(min(SAMPLES, len(rows))))

    def encode(row):
        if tokenizer.chat_template:
            text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        else:
            text = "\\n".join(message["content"] for message in row["messages"])
        return tokenizer(text, max_length=TOKENS, truncation=True, add_special_tokens=False)

    return rows.map(encode, remove_columns=rows.column_names)
''')


def check_model_id(model_id: str) -> str:
    """The id, if it is an "organisation/name" of the Hub; refuses anything that could end a string or a path."""
    name = model_id.strip().partition("@")[0]
    if "/" not in name or not MODEL_ID.fullmatch(name):
        raise Refusal(f"{model_id[:80]!r} is not a Hub id.", field="model", remedy='Write it as "organisation/name".')
    return name


def recipes_for(scheme: str) -> tuple[RecipeKind, ...]:
    """The recipes that make a scheme; empty when LLM Compressor makes none."""
    wanted = scheme_of(scheme)
    return tuple(kind for kind, plan in _PLANS.items() if plan.scheme is wanted)


def recipe_script(model_id: str, kind: RecipeKind, *, moe: bool = False) -> RecipeScript:
    """The script that compresses a model, complete and self-contained.

    lm_head stays wide as in every published recipe; `moe` keeps the routers of a mixture of experts wide too.
    """
    name, plan = check_model_id(model_id), _PLANS[kind]
    output = f"{name.rpartition('/')[2]}-{plan.suffix}"
    script = _SCRIPT.substitute(
        title=plan.title,
        model=name,
        output=output,
        dataset_import="from datasets import load_dataset\n" if plan.calibrated else "",
        imports="\n".join(sorted(plan.imports)),
        model_literal=json.dumps(name),
        output_literal=json.dumps(output),
        ignore=json.dumps([_HEAD, *(_ROUTERS if moe else [])]),
        calibration=_calibration() if plan.calibrated else "",
        modifiers="\n".join(f"        {modifier}," for modifier in plan.modifiers),
        oneshot=_oneshot_call(plan.calibrated),
    )
    return RecipeScript(
        kind=kind,
        title=plan.title,
        scheme=plan.scheme,
        method=plan.method,
        script=script,
        output=output,
        calibrated=plan.calibrated,
        verified=plan.verified,
        note=plan.note,
    )


def _calibration() -> str:
    return _CALIBRATION.substitute(
        dataset=json.dumps(CALIBRATION_SET),
        split=json.dumps(CALIBRATION_SPLIT),
        samples=CALIBRATION_SAMPLES,
        tokens=CALIBRATION_TOKENS,
    )


def _oneshot_call(calibrated: bool) -> str:
    if not calibrated:
        return "oneshot(model=model, processor=tokenizer, recipe=recipe)"
    return (
        "oneshot(\n        model=model,\n        processor=tokenizer,\n        dataset=sample_texts(tokenizer),\n"
        "        recipe=recipe,\n        num_calibration_samples=SAMPLES,\n        max_seq_length=TOKENS,\n    )"
    )
