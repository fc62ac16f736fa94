"""What single operators reach of the data sheet, from measured kernels; kin where an accelerator has none.

An operator's time is its start plus its work over a share of a ceiling. The table is fitted to kernels alone
(`estimators.fitting.kernel_fit`); nothing in it was chosen to make a served figure come out right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from estimators.hardware.catalogue import accelerators
from estimators.latency.chip_classes import class_of, kind_of, link_of
from estimators.provenance import read_table

_TABLE = Path(__file__).parent / "data" / "operators.csv"
OPERATORS = ("product", "expert", "cache", "prompt", "all_reduce")
# A format no kernel of which was measured goes by the next like it.
_LIKE: Mapping[str, str] = {
    "fp8-block": "fp8", "mx4": "fp4", "fp4": "fp8", "int8": "fp8", "fp8": "16bit", "w8a16": "16bit",
    "w4a16": "w8a16", "nf4": "w8a16", "fp32": "16bit", "latent-fp8": "latent-16bit", "latent-16bit": "16bit",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator: seconds before its work counts, shares of bandwidth (or link) and peak, and its length.

    `length`: tokens a product or an expert pays beyond those it has, or by which a prompt's attention is longer.
    """

    start_s: float
    memory: float
    compute: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an operator runs, from the nearest to the most general."""

    chip: str
    chip_class: str
    memory_kind: str
    engine: str
    link: str = ""  # between its GPUs


@cache
def _rows() -> tuple[tuple[Mapping[str, str], Operator], ...]:
    if not _TABLE.exists():
        return ()
    return tuple(
        (
            row,
            Operator(
                start_s=1e-6 * float(row["start_us"]), memory=float(row["memory"]), compute=float(row["compute"]),
                length=float(row["length"]),
            ),
        )
        for row in read_table(_TABLE)
    )  # fmt: skip


def _of_one_peak(form: str, chip: str) -> Callable[[str], bool]:
    """Whether another chip multiplies this format by the same kind of arithmetic: MXFP4 in FP8 where there is FP4, else
    in 16 bits. What is reached of one peak says nothing of the other."""
    chips = accelerators()
    if form != "mx4" or chip not in chips:
        return lambda other: True
    return lambda other: (chips[other].flops_fp4 is None) == (chips[chip].flops_fp4 is None)


@cache
def find_operator(operator: str, form: str, place: Place) -> Operator:
    """The middle of the nearest rows: this chip and engine, this chip, its class, its kind of memory, any."""
    nearness: tuple[Callable[[Mapping[str, str]], bool], ...] = (
        lambda row: row["chip"] == place.chip and row["engine"] == place.engine,
        lambda row: row["chip"] == place.chip,
        lambda row: class_of(row["chip"]) == place.chip_class and row["engine"] == place.engine,
        lambda row: class_of(row["chip"]) == place.chip_class,
        lambda row: kind_of(row["chip"]) == place.memory_kind and row["engine"] == place.engine,
        lambda row: kind_of(row["chip"]) == place.memory_kind,
        lambda row: True,
    )
    tried = form
    while True:
        alike = _of_one_peak(tried, place.chip)
        rows = [
            (row, made) for row, made in _rows()
            if row["operator"] == operator and row["format"] == tried and alike(row["chip"])
        ]  # fmt: skip
        if operator == "all_reduce" and place.link == "pcie":  # of the board's bridges and sockets, not of the chip
            return _middle([made for row, made in rows if link_of(row["chip"]) == place.link])
        for near in nearness if tried == form else nearness[:4]:
            found = [made for row, made in rows if near(row)]
            if found:
                return _middle(found)
        if tried not in _LIKE:
            return _middle([made for row, made in _rows() if row["operator"] == operator] or [_USUAL])
        tried = _LIKE[tried]


_USUAL = Operator(start_s=5e-6, memory=0.8, compute=0.55, length=16.0)


def _middle(found: list[Operator]) -> Operator:
    return Operator(
        start_s=median(o.start_s for o in found), memory=median(o.memory for o in found),
        compute=median(o.compute for o in found), length=median(o.length for o in found),
    )  # fmt: skip
