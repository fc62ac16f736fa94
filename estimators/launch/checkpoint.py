"""Which repository holds a model in the precision of an estimate: its own, a published copy, one made while loading,
or one that a script makes first."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.hardware.accelerator import Accelerator
from estimators.launch.arguments import Arguments, Listed, last_with
from estimators.precision import DTYPE_OF, NAME_OF, Method, Precision, Weights, name_suggests
from estimators.provenance import Refusal
from estimators.quality.checkpoints import Checkpoint, deployed, published_checkpoints
from estimators.quality.models import canonical
from estimators.quality.recipes import RecipeScript, check_model_id, recipe_script, recipes_for
from estimators.quality.schemes import ANY_METHOD

AT_LOAD = {Weights.FP8: "fp8", Weights.NF4: "bitsandbytes"}  # precisions vLLM makes itself while loading


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What stands after `vllm serve`, and the arguments that go with it."""

    model: str
    words: tuple[str, ...] = ()
    revision: str | None = None
    base: str  # the model itself, for which heads are published
    said: str = ""  # where the checkpoint is from, where it is not the model's own
    published: bool = True  # it holds the precision; otherwise nobody is known to have published one that does
    recipe: RecipeScript | None = None  # to be run first


def served(
    precision: Precision, accelerator: Accelerator, known: Arguments, room_bytes: int, found: str | None = None
) -> Repository:
    """The checkpoint to serve. `room_bytes` is what the GPUs of a replica hold together, `found` a repository the Hub
    was seen to hold. Raises `Refusal` with the reason where there is none.

    Llama 3.1 8B in INT4 is RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16.
    """
    spec = precision.spec
    name = spec.id
    named = name_suggests(spec)  # some leave their quantization to another file than config.json
    is_copy = spec.quantization is not None or named is not None
    base = deployed(name, "as-published")[0] if is_copy else name
    if precision.published or precision.weights is named:
        _check_loads(precision, known)
        wide = precision.weights is Weights.FP32  # loaded in 16 bits unless told
        told = ("--dtype", "float32") if wide else ()
        return Repository(model=name, words=told, revision=spec.revision, base=base)
    label = precision.weights.value.upper()
    if is_copy and base == canonical(name):  # nothing is known that it was made from
        return _published_otherwise(precision, accelerator, label, found)
    if precision.weights in DTYPE_OF:
        dtype = ("--dtype", DTYPE_OF[precision.weights])
        if is_copy:
            return Repository(model=base, words=dtype, base=base, said=f"{base}, which {name} was made from.")
        return Repository(model=name, words=dtype, revision=spec.revision, base=base)
    if found is not None:
        return Repository(model=found, base=base, said=f"{found}, which the Hub holds: read its card first.")
    entry = published_copy(base, precision, accelerator)
    if entry is not None:
        said = f"{entry.id}, published in {label}: {entry.source}, {entry.as_of}."
        return Repository(model=entry.id, base=base, said=said)
    made = AT_LOAD.get(precision.weights)
    if made is not None and not is_copy and _made_while_loading(precision, known, made, room_bytes):
        return Repository(
            model=name,
            words=("--dtype", precision.compute_dtype, "--quantization", made),
            revision=spec.revision,
            base=base,
            said=f"No checkpoint in {label} is known: vLLM makes it of {name} each time it loads.",
            published=False,
        )
    return _made_by_script(base, precision, known, label)


def _check_loads(precision: Precision, known: Arguments) -> None:
    """Refuse a checkpoint whose method of quantization this version no longer has, or has not yet."""
    own = precision.spec.quantization
    if own is None or known.has(Listed.QUANTIZATION, own.method):
        return
    last = last_with(Listed.QUANTIZATION, own.method)
    raise Refusal(
        f"vLLM {known.version} does not load {own.method} checkpoints such as {precision.spec.id}"
        + (f"; {last} does." if last else "."),
        field="model",
        remedy="Choose another checkpoint or version.",
    )


def published_copy(base: str, precision: Precision, accelerator: Accelerator) -> Checkpoint | None:
    """The published checkpoint of a model in the precision and by the method asked for, that vLLM loads on the chip."""
    asked = next((method.value for method, name in NAME_OF.items() if name == precision.method), "")
    usual = precision.method == "compressed-tensors"  # what is made where no method is asked for
    return next(
        (
            entry
            for entry in published_checkpoints(base, precision.weights.value)
            if (usual or asked in ANY_METHOD or entry.native or entry.method == asked) and loads(entry.id, accelerator)
        ),
        None,
    )


def loads(checkpoint: str, accelerator: Accelerator) -> bool:
    """FP-Quant is refused as deprecated by vLLM 0.21.0 and 0.33.0 and unknown to 0.11.0; of AMD's Quark checkpoints
    nothing was read on other makers' chips."""
    return "-FPQuant-" not in checkpoint and (not checkpoint.startswith("amd/") or accelerator.vendor == "AMD")


def _made_while_loading(precision: Precision, known: Arguments, made: str, room_bytes: int) -> bool:
    """vLLM has the method, and the original, which may be loaded whole before it is made smaller, fits the GPUs."""
    if not known.has(Listed.QUANTIZATION, made):
        return False
    return made != AT_LOAD[Weights.FP8] or 2 * precision.spec.resident_params <= room_bytes


def _made_by_script(base: str, precision: Precision, known: Arguments, label: str) -> Repository:
    """The folder that LLM Compressor's script writes, with the script."""
    kinds = recipes_for(precision.weights.value)
    named = [kind for kind in kinds if kind.value.startswith(precision.method)]
    if not kinds or (precision.method in (Method.AWQ, Method.GPTQ) and not named):
        method = AT_LOAD.get(precision.weights)
        last = last_with(Listed.QUANTIZATION, method) if method else None
        lacks = f"vLLM {known.version} makes none while loading" + (f" ({last} still did)" if last else "")
        raise Refusal(
            f"No checkpoint of {base} in {label} is known to be published, {lacks}, and LLM Compressor has no recipe "
            "for it.",
            field="weights",
            remedy="Choose another precision.",
        )
    mixture = any(group.ffn is not None and group.ffn.experts for group in precision.spec.groups)
    script = recipe_script(check_model_id(base), (named or list(kinds))[0], moe=mixture)
    said = f"No checkpoint of {base} in {label} is known to be published: make it first, with the script below."
    return Repository(model=f"./{script.output}", base=base, said=said, recipe=script, published=False)


def _published_otherwise(precision: Precision, accelerator: Accelerator, label: str, found: str | None) -> Repository:
    """A model that its maker publishes quantized, asked for in another precision: a published copy, or nothing."""
    name = precision.spec.id
    entry = published_copy(name, precision, accelerator) if precision.weights not in DTYPE_OF else None
    if found is not None or entry is not None:
        model = found or (entry.id if entry else "")
        source = "the Hub holds it" if found or entry is None else f"{entry.source}, {entry.as_of}"
        return Repository(model=model, base=name, said=f"{model}, published in {label}: {source}.")
    raise Refusal(
        f"{name} is published quantized, and no checkpoint of it in {label} is known.",
        field="weights",
        remedy="Use weights=as-published, or name the checkpoint you have as the model.",
    )
