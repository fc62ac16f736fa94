"""State-space and gated linear mixers: what a layer stores, and the fixed state a request keeps in it."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.architecture.blocks import Tensors, linear, norm, vector
from estimators.architecture.spec import RecurrentState, Role, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba1:
    """Widths of a first-generation Mamba mixer: I inner, S state, R rank of the time step, W convolution."""

    width: int
    inner: int
    state: int
    rank: int
    window: int
    bias: bool
    conv_bias: bool


def mamba1(m: Mamba1, prefix: str) -> Tensors:
    tensors = linear(f"{prefix}.in_proj", 2 * m.inner, m.width, Role.STATE, Split.COLUMN, bias=m.bias)
    tensors += vector(f"{prefix}.conv1d", (m.inner, 1, m.window), Role.STATE, Split.COLUMN)
    tensors += vector(f"{prefix}.conv1d.bias", (m.inner,), Role.STATE, Split.COLUMN) if m.conv_bias else ()
    tensors += linear(f"{prefix}.x_proj", m.rank + 2 * m.state, m.inner, Role.STATE, Split.ROW)
    tensors += linear(f"{prefix}.dt_proj", m.inner, m.rank, Role.STATE, Split.COLUMN, bias=True)
    tensors += vector(f"{prefix}.A_log", (m.inner, m.state), Role.STATE, Split.COLUMN)
    tensors += vector(f"{prefix}.D", (m.inner,), Role.STATE, Split.COLUMN)
    return tensors + linear(f"{prefix}.out_proj", m.width, m.inner, Role.STATE, Split.ROW, bias=m.bias)


def mamba1_state(m: Mamba1, dtype: str) -> RecurrentState:
    """I (W - 1) of convolution window and I S of state per layer. Falcon-Mamba 7B: 24,576 and 131,072 elements."""
    return RecurrentState(
        kind="mamba1",
        conv_elements=m.inner * (m.window - 1),
        recurrent_elements=m.inner * m.state,
        recurrent_dtype=dtype,
        heads=m.inner,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mamba2:
    """Widths of a second-generation mixer: N heads of P, G groups of state S, W convolution."""

    width: int
    heads: int
    head_dim: int
    groups: int
    state: int
    window: int
    bias: bool
    conv_bias: bool
    gated_norm: bool = True
    out_bias: bool | None = None  # as `bias` unless said

    @property
    def inner(self) -> int:
        return self.heads * self.head_dim

    @property
    def conv_dim(self) -> int:
        """Channels that pass the convolution: x, B and C."""
        return self.inner + 2 * self.groups * self.state


def mamba2(m: Mamba2, prefix: str) -> Tensors:
    rows = m.inner + m.conv_dim + m.heads
    tensors = linear(f"{prefix}.in_proj", rows, m.width, Role.STATE, Split.COLUMN, bias=m.bias)
    tensors += vector(f"{prefix}.conv1d", (m.conv_dim, 1, m.window), Role.STATE, Split.COLUMN)
    tensors += vector(f"{prefix}.conv1d.bias", (m.conv_dim,), Role.STATE, Split.COLUMN) if m.conv_bias else ()
    for name in ("A_log", "D", "dt_bias"):
        tensors += vector(f"{prefix}.{name}", (m.heads,), Role.STATE, Split.COLUMN)
    tensors += norm(f"{prefix}.norm", m.inner) if m.gated_norm else ()
    out_bias = m.bias if m.out_bias is None else m.out_bias
    return tensors + linear(f"{prefix}.out_proj", m.width, m.inner, Role.STATE, Split.ROW, bias=out_bias)


def mamba2_state(m: Mamba2, dtype: str) -> RecurrentState:
    """(I + 2 G S)(W - 1) of convolution window and N P S of state per layer.

    Nemotron-H 8B: 10,240 x 3 and 128 x 64 x 128 = 1,048,576 elements.
    """
    return RecurrentState(
        kind="mamba2",
        conv_elements=m.conv_dim * (m.window - 1),
        recurrent_elements=m.inner * m.state,
        recurrent_dtype=dtype,
        heads=m.heads,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaNet:
    """Widths of a gated DeltaNet mixer: K key heads of Hk, V value heads of Hv, W convolution."""

    width: int
    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    window: int

    @property
    def keys(self) -> int:
        return self.key_heads * self.key_dim

    @property
    def values(self) -> int:
        return self.value_heads * self.value_dim


def delta_net(m: DeltaNet, *, fused: bool, prefix: str = "linear_attn") -> Tensors:
    """`fused`: Qwen3-Next keeps q, k, v, z in one matrix and b, a in another; Qwen 3.5 keeps qkv, z, b and a."""
    if fused:
        shapes = {"in_proj_qkvz": 2 * m.keys + 2 * m.values, "in_proj_ba": 2 * m.value_heads}
    else:
        shapes = {
            "in_proj_qkv": 2 * m.keys + m.values,
            "in_proj_z": m.values,
            "in_proj_b": m.value_heads,
            "in_proj_a": m.value_heads,
        }
    tensors: Tensors = ()
    for name, rows in shapes.items():
        tensors += linear(f"{prefix}.{name}", rows, m.width, Role.STATE, Split.COLUMN)
    tensors += vector(f"{prefix}.conv1d", (2 * m.keys + m.values, 1, m.window), Role.STATE, Split.COLUMN)
    for name in ("dt_bias", "A_log"):
        tensors += vector(f"{prefix}.{name}", (m.value_heads,), Role.STATE, Split.COLUMN)
    tensors += norm(f"{prefix}.norm", m.value_dim)
    return tensors + linear(f"{prefix}.out_proj", m.width, m.values, Role.STATE, Split.ROW)


def delta_state(m: DeltaNet, dtype: str) -> RecurrentState:
    """(2 K Hk + V Hv)(W - 1) of convolution window and V Hk Hv of state per layer.

    Qwen3-Next 80B: 8,192 x 3 and 32 x 128 x 128 = 524,288 elements.
    """
    return RecurrentState(
        kind="gated_delta_net",
        conv_elements=(2 * m.keys + m.values) * (m.window - 1),
        recurrent_elements=m.value_heads * m.key_dim * m.value_dim,
        recurrent_dtype=dtype,
        heads=m.value_heads,
    )
