"""`python -m app describe ORG/NAME`: layers, tensors, cache per token, and how sure the reading is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.planning.sentences import reading_phrase
from estimators.architecture.parse import parse_config_text
from estimators.architecture.spec import Attention, LayerGroup, ModelSpec, SpecSource, Tensor
from estimators.provenance import Refusal


def add_describe_command(commands: Any) -> None:
    """Register `describe`; it sets `run` to what carries it out."""
    describe = commands.add_parser("describe", help="what a model is made of, and how it was read")
    describe.add_argument("model", help="a model of the Hub or the catalogue, or the path of a config.json")
    describe.add_argument("--json", action="store_true")
    describe.set_defaults(run=_describe)


def _describe(asked: argparse.Namespace) -> int:
    try:
        spec = found(asked.model)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    print(json.dumps(as_json(spec), indent=2) if asked.json else "\n".join(as_lines(spec)))
    return 0


def found(model: str) -> ModelSpec:
    """The spec of a config.json on disk, else of the catalogue or the Hub."""
    path = Path(model)
    if model.endswith(".json"):
        try:
            text = path.read_bytes()
        except OSError as error:
            raise Refusal(f"{model} cannot be read: {error.strerror}.", field="model", remedy="Name a file.") from None
        return parse_config_text(text, model_id=path.stem, source=SpecSource.FILE, source_note=f"config in {model}")
    from app.sources import shared_sources

    return shared_sources().spec(model)


def as_lines(spec: ModelSpec) -> Iterator[str]:
    """The description for a person."""
    yield f"{spec.id}  {spec.architecture} ({spec.model_type}), {spec.dtype}"
    yield f"sure      {reading_phrase(spec)}"
    yield f"source    {spec.source_note}"
    yield f"params    {spec.resident_params:,} resident, {spec.active_params:,} active"
    context = f"{spec.max_positions:,} tokens" if spec.max_positions else "no stated limit"
    yield f"shape     width {spec.hidden_size:,}, vocabulary {spec.vocab_size:,}, {spec.layer_count} layers, {context}"
    yield f"cache     {cache_elements(spec):,} elements per token"
    if state := state_elements(spec):
        yield f"state     {state:,} elements per request"
    for group in spec.groups:
        yield ""
        yield f"{group.prefix}  {group.stack} {spans(group.layers)}: {mixer(group)}"
        yield from (f"  {line(tensor)}" for tensor in group.tensors)
    yield ""
    yield "outside of the layers"
    yield from (f"  {line(tensor)}" for tensor in spec.tensors)
    yield from (f"note      {note}" for note in spec.notes)


def as_json(spec: ModelSpec) -> dict[str, object]:
    """The same for a program. A mixer's kind is `attention.kind` or `state.kind`."""
    return {
        "model": spec.id,
        "architecture": spec.architecture,
        "model_type": spec.model_type,
        "dtype": spec.dtype,
        "reading": spec.reading.value,
        "relative_range": spec.relative_range,
        "source": spec.source_note,
        "resident_params": spec.resident_params,
        "active_params": spec.active_params,
        "stored_bytes": spec.stored.total_bytes if spec.stored is not None else None,
        "hidden_size": spec.hidden_size,
        "vocab_size": spec.vocab_size,
        "layers": spec.layer_count,
        "max_positions": spec.max_positions,
        "cache_elements_per_token": cache_elements(spec),
        "state_elements_per_request": state_elements(spec),
        "groups": [_group(group) for group in spec.groups],
        "tensors": [_tensor(tensor) for tensor in spec.tensors],
        "notes": list(spec.notes),
    }


def cache_elements(spec: ModelSpec) -> int:
    """Keys and values that one more token adds over all layers while no window is full, indexer keys included."""
    return sum(
        group.count * (group.attention.cached_elements_per_token + group.attention.indexer_dim)
        for group in spec.groups
        if group.attention is not None and group.stack == "decoder"
    )


def state_elements(spec: ModelSpec) -> int:
    """What a request keeps in recurrent layers, whatever its length."""
    return sum(
        group.count * (group.state.conv_elements + group.state.recurrent_elements)
        for group in spec.groups
        if group.state is not None and group.stack == "decoder"
    )


def mixer(group: LayerGroup) -> str:
    """How the layer mixes tokens and what follows, in a few words."""
    parts = [_attention(group.attention)] if group.attention else []
    if group.state:
        parts.append(f"{group.state.kind} state of {group.state.recurrent_elements:,}")
    if group.cross_attention:
        parts.append("cross attention")
    if group.ffn and group.ffn.experts:
        parts.append(f"{group.ffn.experts_per_token} of {group.ffn.experts} experts of {group.ffn.width:,}")
    elif group.ffn:
        parts.append(f"feed-forward of {group.ffn.width:,}")
    return ", ".join(parts) or "no mixer"


def _attention(attention: Attention) -> str:
    if attention.latent_dim:
        return f"latent attention of {attention.latent_dim} + {attention.rope_dim}"
    window = f", window {attention.window:,}" if attention.window else ""
    return (
        f"{attention.kind.value} attention, {attention.q_heads} heads over {attention.kv_heads} of "
        f"{attention.head_dim}{window}"
    )


def spans(layers: tuple[int, ...]) -> str:
    """Layer numbers as ranges: "0-2, 5"."""
    made: list[list[int]] = []
    for index in layers:
        if made and index == made[-1][1] + 1:
            made[-1][1] = index
        else:
            made.append([index, index])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in made]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")


def line(tensor: Tensor) -> str:
    shape = " x ".join(map(str, tensor.shape))
    copies = f" ({tensor.copies} times)" if tensor.copies > 1 else ""
    kind = "buffer" if tensor.buffer else tensor.role.value
    return f"{tensor.name:44} {shape}{copies}  {kind}"


def _tensor(tensor: Tensor) -> dict[str, object]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "copies": tensor.copies,
        "role": tensor.role.value,
        "buffer": tensor.buffer,
        "dtype": tensor.dtype,
    }


def _group(group: LayerGroup) -> dict[str, object]:
    attention, state, ffn = group.attention, group.state, group.ffn
    return {
        "prefix": group.prefix,
        "stack": group.stack,
        "layers": list(group.layers),
        "attention": None
        if attention is None
        else {
            "kind": attention.kind.value,
            "q_heads": attention.q_heads,
            "kv_heads": attention.kv_heads,
            "head_dim": attention.head_dim,
            "value_dim": attention.value_dim,
            "window": attention.window,
            "cached_elements_per_token": attention.cached_elements_per_token,
        },
        "state": None
        if state is None
        else {"kind": state.kind, "conv": state.conv_elements, "recurrent": state.recurrent_elements},
        "ffn": None
        if ffn is None
        else {
            "width": ffn.width,
            "gated": ffn.gated,
            "experts": ffn.experts,
            "experts_per_token": ffn.experts_per_token,
            "shared_experts": ffn.shared_experts,
        },
        "tensors": [_tensor(tensor) for tensor in group.tensors],
    }
