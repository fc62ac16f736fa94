"""The accelerator table, and the one place where a chip's many names become one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimators.hardware.accelerator import Accelerator
from estimators.provenance import Refusal, number, read_table

_DATA = Path(__file__).with_name("data")
_REQUIRED = ("name", "memory_source", "memory_kind", "reach_source", "source", "as_of", "confidence")
_MAKERS = ("nvidia", "tesla", "geforce", "amd", "instinct", "aws", "amazon", "habana")
_LONGEST_NAME = 80  # characters; a longer "name" is not a name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alias:
    accelerator: str  # empty for a chip that is sold but has no figures here
    memory_gib: float | None  # set where one name stands for chips of several sizes
    note: str


@cache
def accelerators() -> Mapping[str, Accelerator]:
    """Every accelerator of the table by its canonical name."""
    rows = read_table(_DATA / "accelerators.csv", required=_REQUIRED, key=("name",))
    return MappingProxyType({row["name"]: _accelerator(row) for row in rows})


def find_accelerator(name: str, memory_gib: float | None = None) -> Accelerator:
    """The accelerator called `name` by EC2, by the driver or by people.

    `memory_gib` decides between chips that share a name: EC2's "A100" is the 40 GB part in p4d and the 80 GB part
    in p4de. Raises `Refusal` (field "gpu") with near matches.
    """
    if not _key(name) or len(name) > _LONGEST_NAME:
        raise Refusal("No accelerator is named.", field="gpu", remedy=_some_names())
    candidates = _candidates(name)
    if not candidates:
        raise Refusal(f"No accelerator {name!r} in the table.", field="gpu", remedy=_near(_key(name)))
    chosen = candidates[0] if memory_gib is None else _of_size(candidates, memory_gib, name)
    if not chosen.accelerator:
        raise Refusal(f"{name!r} is {chosen.note}.", field="gpu", remedy=_some_names())
    return accelerators()[chosen.accelerator]


def read_as(name: str) -> str:
    """What a person should know of how a name was read: "A100 is read as A100-80GB-SXM4: 80 GB when the memory is not
    stated"; nothing where it is the table's own name, or stands for one chip."""
    candidates = _candidates(name)
    if not candidates or not candidates[0].accelerator or name in accelerators():
        return ""
    chosen = candidates[0]
    if not chosen.note and _exact(name):
        return ""
    return f"{name} is read as {chosen.accelerator}{f': {chosen.note}' if chosen.note else ''}"


def _candidates(name: str) -> tuple[_Alias, ...]:
    """As it is written, else with the unit that people leave out: "A100-80", "A100 80G"."""
    return _exact(name) or _by_key().get(re.sub(r"g?$", "gb", _key(name), count=1), ())


def _exact(name: str) -> tuple[_Alias, ...]:
    """As written first: EC2's "NVIDIA A100" and people's "A100" differ only in the maker, and in the default size."""
    return _by_writing().get(_written(name)) or _by_key().get(_key(name), ())


def _of_size(candidates: tuple[_Alias, ...], memory_gib: float, name: str) -> _Alias:
    sized = [alias for alias in candidates if alias.memory_gib is not None]
    if not sized:
        return candidates[0]
    best = min(sized, key=lambda alias: abs((alias.memory_gib or 0) - memory_gib))
    if abs((best.memory_gib or 0) - memory_gib) > 0.12 * memory_gib:  # 80 "GB" may be stated as 74.5 GiB
        sizes = ", ".join(f"{alias.memory_gib:g}" for alias in sized)
        raise Refusal(f"No {name} has {memory_gib:g} GiB.", field="gpu", remedy=f"It is sold with {sizes} GiB.")
    return best


@cache
def _by_writing() -> Mapping[str, tuple[_Alias, ...]]:
    return _index(_written)


@cache
def _by_key() -> Mapping[str, tuple[_Alias, ...]]:
    return _index(_key)


def _index(spelling: Callable[[str], str]) -> Mapping[str, tuple[_Alias, ...]]:
    found: dict[str, list[_Alias]] = {}
    fact = ("alias", "memory_gib")
    for row in read_table(_DATA / "aliases.csv", required=("alias", "source", "as_of"), key=fact):
        size = float(row["memory_gib"]) if row["memory_gib"] else None
        alias = _Alias(accelerator=row["accelerator"], memory_gib=size, note=row["note"])
        found.setdefault(spelling(row["alias"]), []).append(alias)
    for name, accelerator in accelerators().items():
        own = _Alias(accelerator=name, memory_gib=None, note=accelerator.note)
        found.setdefault(spelling(name), [own])
    return MappingProxyType({key: tuple(aliases) for key, aliases in found.items()})


def _written(name: str) -> str:
    return " ".join(name.casefold().split())


def _key(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.casefold())
    return "".join(word for word in words if word and word not in _MAKERS)


_USUAL = ("T4", "A10G", "L4", "L40S", "A100-80GB-SXM4", "H100-SXM5", "H200-SXM", "B200", "MI300X", "Trainium2")


def _near(key: str) -> str:
    names = {_key(name): name for name in accelerators()}
    close = get_close_matches(key, names, n=4, cutoff=0.5)
    return f"Near: {', '.join(names[match] for match in close)}." if close else _some_names()


def _some_names() -> str:
    known = accelerators()
    return f"Such as {', '.join(name for name in _USUAL if name in known)}."


def _accelerator(row: dict[str, str]) -> Accelerator:
    return Accelerator(
        name=row["name"],
        vendor=row["vendor"],
        architecture=row["architecture"],
        memory_label_gib=float(row["memory_label_gib"]),
        memory_bytes=int(row["memory_bytes"]),
        memory_kind=row["memory_kind"],
        bandwidth_bytes_per_s=number(row["bandwidth_bytes_per_s"]),
        flops_16bit=number(row["flops_16bit"]),
        flops_fp8=number(row["flops_fp8"]),
        ops_int8=number(row["ops_int8"]),
        flops_fp4=number(row["flops_fp4"]),
        bf16=row["bf16"] == "true",
        link=row["link"],
        link_bytes_per_s=number(row["link_bytes_per_s"]),
        tdp_watts=number(row["tdp_watts"]),
        compute_capability=row["compute_capability"],
        source=row["source"],
        as_of=row["as_of"],
        confidence=row["confidence"],
        bridge_gpus=number(row["bridge_gpus"]),
        bus_bytes_per_s=number(row["bus_bytes_per_s"]),
        machine_gpus=number(row["machine_gpus"]),
        network_bytes_per_s=number(row["network_bytes_per_s"]),
        reach_source=row["reach_source"],
        memory_source=f"{row['memory_source']} ({row['memory_confidence']})",
        note=row["note"],
    )
