"""What a device achieves, measured on it: the table every estimate of an unknown device is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from estimators.measuring.foreign import ForeignInput, at, count, number, text

CACHE_BYTES = 32 << 20  # last-level cache of a server CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The products that are timed: matrices (out, in), each for numbers of tokens as long as the work is bounded."""

    shapes: tuple[tuple[int, int], ...]
    tokens: tuple[int, ...]
    most_work: float  # tokens x elements
    pool_bytes: int  # beyond the last-level cache, so that weights come from memory, as in a model

    def pool(self, elements: int, element_bytes: int) -> int:
        """Matrices of a size that are read in turn."""
        return max(1, min(64, self.pool_bytes // (elements * element_bytes)))


# From next to nothing to 128 tokens of a 16 Mi-element projection, a tenth of a second on a slow core. 64 MB is twice
# the last-level cache of a server CPU.
CPU_GRID = Grid(
    shapes=((64, 64), (256, 256), (512, 512), (1408, 512), (1024, 1024), (2816, 1024), (4096, 4096)),
    tokens=(1, 4, 32, 128, 512),
    most_work=2.2e9,
    pool_bytes=64 << 20,
)
# To 8,192 tokens of a 64 Mi-element projection, 1.1 PFLOP. 256 MB is twice the second-level cache of a B200.
GPU_GRID = Grid(
    shapes=(*CPU_GRID.shapes, (8192, 8192)),
    tokens=(*CPU_GRID.tokens, 2048, 8192),
    most_work=5.6e11,
    pool_bytes=256 << 20,
)
TINY_LAYERS = (2, 10)
# A layer of a real size, timed as the difference of two depths: its weights do not fit the cache together.
REFERENCE = {
    "model_type": "llama",
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "vocab_size": 64,
}
REFERENCE_LAYERS = (4, 8)
REFERENCE_TOKENS = 128
REFERENCE_CONTEXT = 16.0  # cached tokens about which single tokens are timed
MOST_ELEMENTWISE = 8.0  # times its cost alone; more is a disturbed reading
_FIELD = "device"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedProduct:
    """One timed matrix product: `tokens` rows through a matrix of `elements` weights."""

    tokens: int
    elements: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """A device's micro-benchmark in one dtype and thread count. Seconds and elements."""

    device: str
    dtype: str
    element_bytes: int
    threads: int
    products: tuple[TimedProduct, ...]
    layer_s: float  # one layer's Python and kernel launches, among large weights
    layer_alone_s: float  # the same with warm caches, as in a model that fits them
    step_s: float  # launches of a forward pass beside its layers
    norm_s_per_element: float  # RMSNorm, rotary embedding and their like
    gate_s_per_element: float  # SiLU times the other half, residual additions
    attention_s_per_pair: float  # of a prompt: per query x key x head x head dimension, both products and the softmax
    decode_s_per_pair: float  # the same of one new token, which keeps a processor less busy
    cache_s_per_element: float  # growing the KV cache by a token copies it

    @property
    def bandwidth_bytes_per_s(self) -> float:
        """Achieved bandwidth: bytes of the largest weights read for one token, over the time."""
        single = [p for p in self.products if p.tokens == 1]
        largest = max(single, key=lambda p: p.elements)
        return largest.elements * self.element_bytes / largest.seconds

    @property
    def flops(self) -> float:
        """Achieved FLOP/s: the best of the products timed, 2 x tokens x elements / seconds."""
        return max(2.0 * p.tokens * p.elements / p.seconds for p in self.products)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


RATES = (
    "layer_s",
    "layer_alone_s",
    "step_s",
    "norm_s_per_element",
    "gate_s_per_element",
    "attention_s_per_pair",
    "cache_s_per_element",
    "decode_s_per_pair",
)


def read_profile(found: object) -> DeviceProfile:
    """A profile that the worker or the store wrote, checked."""
    listed = at(found, "products")
    products = []
    for entry in listed[:500] if isinstance(listed, list) else []:
        tokens, elements, seconds = (number(at(entry, key)) for key in ("tokens", "elements", "seconds"))
        if not tokens or not elements or not seconds:
            raise ForeignInput("The device's micro-benchmark is damaged.", field=_FIELD, remedy="Measure it again.")
        products.append(TimedProduct(tokens=int(tokens), elements=int(elements), seconds=seconds))
    rates: Mapping[str, float | None] = {key: number(at(found, key)) for key in RATES}
    size, threads = count(at(found, "element_bytes")), count(at(found, "threads"))
    if not any(p.tokens == 1 for p in products) or None in rates.values() or not size or not threads:
        raise ForeignInput("The device's micro-benchmark is incomplete.", field=_FIELD, remedy="Measure it again.")
    return DeviceProfile(
        device=text(at(found, "device"), 80),
        dtype=text(at(found, "dtype"), 20),
        element_bytes=size,
        threads=threads,
        products=tuple(products),
        **{key: value for key, value in rates.items() if value is not None},
    )
