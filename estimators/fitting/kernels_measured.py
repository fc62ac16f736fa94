"""The measured kernels: times of single operators on one GPU, read as facts and refused where they cannot be right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

from estimators.engines.paths import Path as FormatPath
from estimators.fitting.tables import RECORDS
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators
from estimators.provenance import Refusal, read_table

KERNELS = RECORDS / "kernels"
ENGINES = ("vllm", "sglang", "tensorrt-llm")
# Bytes an element of each format takes, scales included.
WIDTH: Mapping[str, float] = {
    FormatPath.WIDE: 2.0, FormatPath.FP8: 1.0, FormatPath.FP8_BLOCK: 1.0, FormatPath.FP4: 0.5625,
    FormatPath.INT8: 1.0, FormatPath.W8A16: 1.0, FormatPath.W4A16: 0.516, FormatPath.MX4: 0.531,
}  # fmt: skip
# Bytes of L2 cache: a matrix that fits is read from there when it is multiplied again and again.
L2_BYTES: Mapping[str, float] = {
    "A100-80GB-SXM4": 40e6, "H100-SXM5": 50e6, "H200-SXM": 50e6, "L40S": 96e6,
    "RTX PRO 6000 Blackwell Server": 128e6, "B200": 126e6, "B300": 126e6, "GB200 (per GPU)": 126e6,
}  # fmt: skip
_SLACK = 1.05  # clocks are read to a few per cent
_TABLES = ("products", "decode_attention", "prompt_attention", "experts", "all_reduce")

Kernel = Mapping[str, str | float]


def peak_of(accelerator: Accelerator, form: str) -> float:
    """FLOP/s of the data sheet on the path a format takes, as `compute_path` has it."""
    wide = accelerator.flops_16bit or 1.0
    fp8, int8, fp4 = accelerator.flops_fp8, accelerator.ops_int8, accelerator.flops_fp4
    if form == FormatPath.MX4:
        return (fp8 if fp4 else None) or wide
    narrow = {FormatPath.FP8: fp8, FormatPath.FP8_BLOCK: fp8, FormatPath.FP4: fp4, FormatPath.INT8: int8}
    return dict(narrow).get(FormatPath(form)) or wide


@cache
def kernels(name: str) -> tuple[Kernel, ...]:
    """Rows of one table, numbers read. Raises `Refusal` naming file and line of one that cannot be right."""
    return tuple(read_kernels(KERNELS / f"{name}.csv"))


def read_kernels(path: Path) -> Iterator[Kernel]:
    if path.stem not in _TABLES:
        raise Refusal(f"{path.name} is no table of kernels.", field="kernels", remedy=f"Name it {', '.join(_TABLES)}.")
    seen: set[tuple[str, ...]] = set()
    for line, cells in enumerate(read_table(path), start=2):
        try:
            yield _checked(path.stem, cells, seen)
        except ValueError as error:
            raise Refusal(f"{path.name}:{line}: {error}", field="kernels") from None


def _checked(table: str, cells: Mapping[str, str], seen: set[tuple[str, ...]]) -> Kernel:
    texts = {"chip", "engine", "version", "format", "kv", "source", "as_of"}
    key = tuple(value for name, value in cells.items() if name not in ("latency_us", "source", "as_of"))
    if key in seen:
        raise ValueError("the same kernel twice")
    seen.add(key)
    chip = accelerators().get(cells["chip"])
    if chip is None or cells["chip"] not in L2_BYTES:
        raise ValueError(f"{cells['chip']!r} is no accelerator whose kernels are known")
    if cells["engine"] not in ENGINES:
        raise ValueError(f"{cells['engine']!r} is no engine whose kernels are known")
    row: dict[str, str | float] = {
        name: value if name in texts else float(value)
        for name, value in cells.items()
        if name not in ("source", "as_of")
    }
    numbers = [value for value in row.values() if isinstance(value, float)]
    if not all(0.0 <= value < 1e12 for value in numbers) or float(row["latency_us"]) <= 0.0:
        raise ValueError("a size or time that is no positive number")
    least = _LEAST[table](row, chip)
    if float(row["latency_us"]) * 1e-6 * _SLACK < least:
        raise ValueError(f"{row['latency_us']} us, less than the {least * 1e6:.4g} us its data sheet allows")
    return row


def _products(row: Kernel, chip: Accelerator) -> float:
    m, nk = float(row["m"]), float(row["n"]) * float(row["k"])
    return 2.0 * m * nk / peak_of(chip, str(row["format"])) / 1.1  # boost clocks pass the sheet's by a tenth


def _attention(row: Kernel, chip: Accelerator) -> float:
    width = 1.0 if row["kv"] == FormatPath.FP8 else 2.0
    read = float(row["requests"]) * float(row["context"]) * float(row["kv_heads"]) * float(row["head_dim"]) * width
    size = read * (1.0 if row["latent"] else 2.0)
    return 0.0 if size < 1.5 * L2_BYTES[chip.name] else size / (chip.bandwidth_bytes_per_s or 1.0)


def _prompt(row: Kernel, chip: Accelerator) -> float:
    pairs = float(row["requests"]) * float(row["heads"]) * float(row["head_dim"]) * float(row["prompt"]) ** 2
    peak = (chip.flops_fp8 if row["kv"] == FormatPath.FP8 else None) or chip.flops_16bit or 1.0
    return 2.0 * pairs / peak


def _experts(row: Kernel, chip: Accelerator) -> float:
    tokens = float(row["tokens"]) * float(row["top_k"]) / float(row["ep"])
    elements = 3.0 * float(row["hidden"]) * float(row["width"]) / float(row["tp"])
    return 0.5 * 2.0 * tokens * elements / peak_of(chip, str(row["format"]))  # an uneven rank may hold half its share


def _all_reduce(row: Kernel, chip: Accelerator) -> float:
    moved = 2.0 * float(row["elements"]) * (float(row["gpus"]) - 1.0) / float(row["gpus"])  # one way, in the switch
    return moved / ((chip.link_bytes_per_s or 64e9) / 2.0)


_LEAST: Mapping[str, Callable[[Kernel, Accelerator], float]] = {
    "products": _products, "decode_attention": _attention, "prompt_attention": _prompt, "experts": _experts,
    "all_reduce": _all_reduce,
}  # fmt: skip
