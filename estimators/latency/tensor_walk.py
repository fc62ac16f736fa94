"""The tensors of a model at a precision, walked once: what a step reads does not depend on the machine but by its cut.

Walking costs a millisecond, and a comparison lays one model over dozens of machines and splits.
"""

from __future__ import annotations

from dataclasses import dataclass

from estimators.architecture.quantization import TensorFormat
from estimators.architecture.spec import LayerGroup, Role, Split, Tensor
from estimators.precision import Precision
from estimators.remembered import Remembered

_LINEAR_ROLES = frozenset({Role.ATTENTION, Role.STATE, Role.FFN, Role.SHARED_EXPERT, Role.ROUTER})

LINEAR, EXPERT = "linear", "expert"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """One tensor of a group in one format, over the layers that store it so."""

    slot: str  # LINEAR or EXPERT where a step multiplies by it, else ""
    form: TensorFormat
    split: Split
    bytes: int  # of all those layers, whole
    elements: int
    again: bool  # read here, kept by an earlier layer


Walk = tuple[tuple[LayerGroup, tuple[StoredTensor, ...]], ...]
_WALKS: Remembered[Walk] = Remembered(1024)


def decoder_tensors(precision: Precision) -> Walk:
    """(group, its tensors) of the decoder, walked once per precision."""
    groups = (group for group in precision.spec.groups if group.stack == "decoder")
    return _WALKS.of((precision,), None, lambda: tuple((group, tuple(_stored(precision, group))) for group in groups))


def _stored(precision: Precision, group: LayerGroup) -> list[StoredTensor]:
    return [
        StoredTensor(
            slot=_slot(tensor),
            form=form,
            split=tensor.split,
            bytes=size * layers,
            elements=tensor.elements * layers,
            again=again,
        )
        for again, tensors in ((False, group.tensors), (True, group.again))
        for tensor in tensors
        for form, size, layers in (_once(precision, group, tensor) if again else _formats(precision, group, tensor))
    ]


def _once(precision: Precision, group: LayerGroup, tensor: Tensor) -> list[tuple[TensorFormat, int, int]]:
    """As the layer that keeps it stores it."""
    return [(precision.format_of(tensor), precision.bytes_of(tensor), group.count)]


def _slot(tensor: Tensor) -> str:
    if tensor.role is Role.EXPERT:
        return EXPERT
    return LINEAR if tensor.role in _LINEAR_ROLES and (tensor.linear or len(tensor.shape) >= 2) else ""


def _formats(precision: Precision, group: LayerGroup, tensor: Tensor) -> list[tuple[TensorFormat, int, int]]:
    """(format, bytes, layers) of a tensor over the layers of its group; one entry when all layers agree."""
    first, last = group.layers[0], group.layers[-1]
    probes = (first, group.layers[len(group.layers) // 2], last)
    formats = [precision.format_of(tensor, layer) for layer in probes]
    if formats[0] == formats[1] == formats[2]:
        return [(formats[1], precision.bytes_of(tensor, probes[1]), group.count)]
    return [(precision.format_of(tensor, i), precision.bytes_of(tensor, i), 1) for i in group.layers]
