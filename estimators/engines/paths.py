"""How a stored format is multiplied on an accelerator: natively, or widened to 16 bits on the way in."""

from __future__ import annotations

from enum import StrEnum

from estimators.architecture.quantization import TensorFormat
from estimators.hardware.accelerator import Accelerator


class Path(StrEnum):
    """Kernels that differ in what they reach of the data sheet."""

    WIDE = "16bit"
    FP32 = "fp32"
    FP8 = "fp8"
    FP8_BLOCK = "fp8-block"
    INT8 = "int8"  # W8A8
    W8A16 = "w8a16"
    W4A16 = "w4a16"
    FP4 = "fp4"  # NVFP4 weights and activations
    MX4 = "mx4"  # MXFP4 weights, 16- or 8-bit activations
    NF4 = "nf4"


def compute_path(form: TensorFormat, accelerator: Accelerator) -> tuple[str, float]:
    """(path, dense peak in FLOP/s) of a weight format on an accelerator.

    A format whose arithmetic the chip lacks runs weight-only: its bytes are read as stored and widened to 16 bits,
    so it saves bandwidth and no FLOPs. FP8 on an A100: Marlin kernels, 312 TFLOP/s, not 624.
    """
    wide = accelerator.flops_16bit or 1.0
    fp8, int8, fp4 = accelerator.flops_fp8, accelerator.ops_int8, accelerator.flops_fp4
    layout, bits, activations = form.layout, form.bits, form.activations
    if layout == "dense":
        return (Path.FP32, wide / 2.0) if bits >= 32 else (Path.WIDE, wide)
    if layout == "bnb-4bit":
        return Path.NF4, wide
    if layout in ("mxfp4", "mxfp8"):
        native = fp8 if fp4 else None
        return (Path.MX4, native or wide) if bits <= 4 else (Path.FP8 if native else Path.W8A16, native or wide)
    if bits <= 4:
        if activations == "fp4" and fp4:
            return Path.FP4, fp4
        if activations == "fp8" and fp8:
            return Path.W4A16, fp8
        return Path.W4A16, wide
    if activations == "fp8" and fp8:
        return (Path.FP8_BLOCK if form.block else Path.FP8), fp8
    if activations == "int8" and int8:
        return Path.INT8, int8
    return Path.W8A16, wide
