"""Accelerator facts from EC2 itself, with a table of corrections for where EC2 is known to be wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estimators.provenance import read_table
from pricing.aws.errors import UnexpectedReply, aws_call
from pricing.instances import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from pricing.aws.clients import AwsClients

CALL, ACTION = "ec2 DescribeInstanceTypes", "ec2:DescribeInstanceTypes"
DATA = Path(__file__).parent.parent / "data"
# EC2's filter takes wildcards: the families that can hold an accelerator start with these letters.
TYPE_PATTERNS = ("g*", "p*", "inf*", "trn*", "dl*")
MAX_TYPES = 5_000
MIB_PER_GIB = 1024
NETWORK = re.compile(r"(?:(\d+)x )?(?:Up to )?([\d.]+) Gigabit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The accelerators of an instance type in EC2's words."""

    manufacturer: str
    name: str
    count: int
    memory_mib: int  # each
    partition: float = 1.0


def _first(info: Mapping[str, Any], section: str, items: str) -> Mapping[str, Any] | None:
    found = (info.get(section) or {}).get(items) or []
    return found[0] if found else None


def _device(info: Mapping[str, Any]) -> Device | None:
    """EC2's accelerator: a type carries one kind, and inf types say it twice, in the new words and the old."""
    sections = (
        ("GpuInfo", "Gpus", "NVIDIA"),
        ("NeuronInfo", "NeuronDevices", "AWS"),
        ("InferenceAcceleratorInfo", "Accelerators", "AWS"),
    )
    for section, items, maker in sections:
        found = _first(info, section, items)
        if found is not None:
            return Device(
                manufacturer=str(found.get("Manufacturer", maker)),
                name=str(found.get("Name", "")),
                count=int(found.get("Count", 0)),
                memory_mib=int(found.get("MemoryInfo", {}).get("SizeInMiB", 0)),
                partition=float(found.get("GpuPartitionSize", 1.0)),
            )
    return None


@lru_cache(maxsize=1)
def _corrections() -> tuple[dict[str, str], ...]:
    return tuple(read_table(DATA / "instance_corrections.csv", key=("instance_types", "field")))


def corrected(instance_type: str, device: Device | None) -> tuple[Device | None, str]:
    """The device with every correction that still applies, and why; a value EC2 has since changed is left alone."""
    reasons = []
    for row in _corrections():
        if not fnmatchcase(instance_type, row["instance_types"]):
            continue
        said = device or Device(manufacturer="AWS", name="", count=0, memory_mib=0)
        if str(getattr(said, row["field"])) != row["ec2_value"]:
            continue
        value = row["value"] if row["field"] == "name" else int(row["value"])
        device = replace(said, **{row["field"]: value})  # type: ignore[arg-type]
        reasons.append(row["reason"])
    return device, "; ".join(dict.fromkeys(reasons))


@lru_cache(maxsize=1)
def _names() -> dict[tuple[str, str, str], str]:
    rows = read_table(DATA / "ec2_accelerators.csv", key=("manufacturer", "name", "memory_mib"))
    return {(row["manufacturer"], row["name"], row["memory_mib"]): row["accelerator"] for row in rows}


def accelerator_name(device: Device) -> str:
    """The project's name for EC2's: its ``A100`` with 40960 MiB is A100-40GB-SXM4, with 81920 MiB A100-80GB-SXM4."""
    names = _names()
    for memory in (str(device.memory_mib), ""):
        found = names.get((device.manufacturer, device.name, memory))
        if found is not None:
            return found
    raise UnexpectedReply(
        f"EC2 names an accelerator {device.manufacturer} {device.name} of {device.memory_mib} MiB, which is not known.",
        field="gpu",
    )


def _network_gbps(text: str) -> float:
    found = NETWORK.search(text)
    return float(found[2]) * int(found[1] or 1) if found else 0.0


def _storage(info: Mapping[str, Any]) -> str:
    disks = (info.get("InstanceStorageInfo") or {}).get("Disks") or []
    return " + ".join(f"{disk['Count']} x {disk['SizeInGB']} GB NVMe SSD" for disk in disks) or "EBS only"


def parse_instance_type(info: Mapping[str, Any], today: date, region: str) -> Instance | None:
    """One entry of ``InstanceTypes``; None for a type without an accelerator."""
    instance_type = str(info.get("InstanceType", ""))
    device, reason = corrected(instance_type, _device(info))
    if device is None:
        return None
    if device.count < 1 or device.memory_mib < 1:
        raise UnexpectedReply(f"EC2 gives {instance_type} {device.count} accelerators of {device.memory_mib} MiB.")
    network = str(info.get("NetworkInfo", {}).get("NetworkPerformance", ""))
    burst = "network bandwidth is a burst figure" if network.startswith("Up to") else ""
    return Instance(
        instance_type=instance_type,
        accelerator=accelerator_name(device),
        accelerator_count=device.count,
        accelerator_memory_gib=round(device.memory_mib / MIB_PER_GIB, 3),
        partition=device.partition,
        vcpus=int(info["VCpuInfo"]["DefaultVCpus"]),
        memory_gib=int(info["MemoryInfo"]["SizeInMiB"]) / MIB_PER_GIB,
        network_gbps=_network_gbps(network),
        local_storage=_storage(info),
        source=f"EC2 DescribeInstanceTypes, {region}",
        as_of=today.isoformat(),
        note="; ".join(filter(None, (reason, burst))),
        usage_classes=tuple(sorted(str(word) for word in info.get("SupportedUsageClasses", []))),
        regions=(region,),
    )


def _entries(clients: AwsClients, region: str) -> Iterator[Mapping[str, Any]]:
    filters: Any = [{"Name": "instance-type", "Values": list(TYPE_PATTERNS)}]
    with aws_call(CALL, ACTION):
        pages = (
            clients.ec2(region)
            .get_paginator("describe_instance_types")
            .paginate(Filters=filters, PaginationConfig={"PageSize": 100})
        )
        for page in pages:
            yield from page.get("InstanceTypes", [])


def read_instance_types(clients: AwsClients, region: str, today: date) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Every accelerator type EC2 knows in a region, and a sentence for each that could not be read."""
    read: list[Instance] = []
    remarks: list[str] = []
    for number, info in enumerate(_entries(clients, region)):
        if number >= MAX_TYPES:
            raise UnexpectedReply(f"EC2 lists more than {MAX_TYPES} instance types in {region}.")
        try:
            instance = parse_instance_type(info, today, region)
        except UnexpectedReply as error:
            remarks.append(error.message)
        except (KeyError, TypeError, ValueError):
            remarks.append(f"EC2's entry for {str(info.get('InstanceType'))[:32]} is not in the documented form.")
        else:
            if instance is not None:
                read.append(instance)
    return tuple(read), tuple(remarks)
