"""Stored bytes of one linear weight, N outputs by K inputs, in each format, scales and zero points included.

Formulas were compared with the safetensors headers of checkpoints made in each format: sizes, tools and date are in
`tests/reference/quantized_sizes.csv`. FBGEMM, ModelOpt FP8, Quark and torchao int4 were not; they are read from the
tools' own layouts. g is the group size (K when there is one group), b the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from estimators.architecture.quantization import TensorFormat

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


def ceil_div(value: int, by: int) -> int:
    return -(-value // by)


def groups(form: TensorFormat, k: int) -> int:
    """Scale groups along the input: ceil(K / g)."""
    return ceil_div(k, form.group_size) if form.group_size else 1


def dense(form: TensorFormat, n: int, k: int) -> int:
    return n * k * form.bits // 8


def ct_pack(form: TensorFormat, n: int, k: int) -> int:
    """4 N ceil(K b / 32) + 2 N ceil(K / g) + 16, and 4 ceil(N b / 32) ceil(K / g) of zero points when asymmetric.

    640 x 1792 at 4 bits, g 128: 573,440 + 17,920 + 16 = 591,376.
    """
    count = 1 if form.per_tensor else n * groups(form, k)
    zeros = 0 if form.symmetric else 4 * ceil_div(n * form.bits, 32) * groups(form, k)
    order = 4 * k if form.act_order else 0
    return 4 * n * ceil_div(k * form.bits, 32) + 2 * count + 16 + zeros + order


def ct_plain(form: TensorFormat, n: int, k: int) -> int:
    """One byte an element (INT8 or FP8) and 2-byte scales: one per channel, group, block or tensor."""
    if form.block:
        scales = ceil_div(n, form.block[0]) * ceil_div(k, form.block[1])
    else:
        scales = 1 if form.per_tensor else n * groups(form, k)
    zeros = 0 if form.symmetric else scales
    return n * k + 2 * scales + zeros + (2 if form.static else 0)


def fp8_block(form: TensorFormat, n: int, k: int) -> int:
    """N K + 4 ceil(N / 128) ceil(K / 128): DeepSeek's float32 `weight_scale_inv`.

    7168 x 2048: 14,680,064 + 4 x 56 x 16 = 14,683,648.
    """
    rows, columns = form.block or (128, 128)
    return n * k + 4 * ceil_div(n, rows) * ceil_div(k, columns)


def fp8_block_e8m0(form: TensorFormat, n: int, k: int) -> int:
    """N K + ceil(N / 128) ceil(K / 128): block scales kept as exponent bytes (DeepSeek V4)."""
    rows, columns = form.block or (128, 128)
    return n * k + ceil_div(n, rows) * ceil_div(k, columns)


def tensor_scale(form: TensorFormat, n: int, k: int) -> int:
    """One float32 scale of the weight and, when static, one of the activations."""
    return n * k + 4 + (4 if form.static else 0)


def channel_scale(form: TensorFormat, n: int, k: int) -> int:
    """N K + 4 N: a float32 scale per output channel."""
    return n * k + 4 * n


def nvfp4(form: TensorFormat, n: int, k: int) -> int:
    """N K / 2 + N ceil(K / 16) + 4, and 4 more when activations are quantized too."""
    return ceil_div(n * k, 2) + n * ceil_div(k, form.group_size or 16) + (8 if form.activations != "16" else 4)


def mxfp4(form: TensorFormat, n: int, k: int) -> int:
    """N K / 2 + N ceil(K / 32): one exponent byte per block of 32."""
    return ceil_div(n * k, 2) + n * ceil_div(k, form.group_size or 32)


def mxfp8(form: TensorFormat, n: int, k: int) -> int:
    return n * k + n * ceil_div(k, form.group_size or 32)


def gptq(form: TensorFormat, n: int, k: int) -> int:
    """4 ceil(K b / 32) N + 2 N ceil(K / g) + 4 ceil(K / g) ceil(N b / 32) + 4 K.

    Zero points are stored even when symmetric, the group index even without activation order.
    """
    return auto_round(form, n, k) + 4 * k


def auto_round(form: TensorFormat, n: int, k: int) -> int:
    """GPTQ's packing without the group index."""
    count = groups(form, k)
    return 4 * ceil_div(k * form.bits, 32) * n + 2 * n * count + 4 * count * ceil_div(n * form.bits, 32)


def awq(form: TensorFormat, n: int, k: int) -> int:
    """4 K ceil(N / 8) + 2 N ceil(K / g) + 4 ceil(K / g) ceil(N / 8): packed along the output."""
    count = groups(form, k)
    return 4 * k * ceil_div(n, 8) + 2 * n * count + 4 * count * ceil_div(n, 8)


def bnb_int8(form: TensorFormat, n: int, k: int) -> int:
    """N K + 4 N + 1: a float32 scale per row and a format byte."""
    return n * k + 4 * n + 1


def bnb_4bit(form: TensorFormat, n: int, k: int) -> int:
    """N K / 2 + 4 ceil(N K / 64) + 64; with double quantization one byte a block and float32 per 256 blocks.

    The file adds a JSON note of about 80 to 170 bytes a linear, which no device holds; it is left out.
    """
    blocks = ceil_div(n * k, form.group_size or 64)
    if form.double_quant:
        return ceil_div(n * k, 2) + blocks + 4 * ceil_div(blocks, 256) + 1088
    return ceil_div(n * k, 2) + 4 * blocks + 64


def torchao_int8(form: TensorFormat, n: int, k: int) -> int:
    """N K + 5 N: float32 scale and int8 zero point per row."""
    return n * k + 5 * n


def torchao_int4(form: TensorFormat, n: int, k: int) -> int:
    """N K / 2 + 4 N ceil(K / g): a 16-bit scale and zero point per group."""
    return ceil_div(n * k, 2) + 4 * n * groups(form, k)


LAYOUTS: Mapping[str, Callable[[TensorFormat, int, int], int]] = {
    "auto-round": auto_round,
    "awq": awq,
    "bnb-4bit": bnb_4bit,
    "bnb-int8": bnb_int8,
    "ct-float": ct_plain,
    "ct-int": ct_plain,
    "ct-pack": ct_pack,
    "dense": dense,
    "fbgemm-fp8": channel_scale,
    "fp8-block": fp8_block,
    "fp8-block-e8m0": fp8_block_e8m0,
    "fp8-tensor": tensor_scale,
    "gptq": gptq,
    "modelopt-fp8": tensor_scale,
    "mxfp4": mxfp4,
    "mxfp8": mxfp8,
    "nvfp4": nvfp4,
    "torchao-fp8": channel_scale,
    "torchao-int4": torchao_int4,
    "torchao-int8": torchao_int8,
}


def stored_bytes(form: TensorFormat, n: int, k: int) -> int:
    """Bytes of one N x K weight in this format."""
    return LAYOUTS[form.layout](form, n, k)
