"""Bringing the bundled instance table up to date from EC2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing.aws.errors import AwsError
from pricing.aws.instance_types import read_instance_types
from pricing.instances import TABLE, Instance, instances
from pricing.reading import Progress, no_progress
from pricing.rebuild import write_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from pricing.aws.clients import AwsClients

COLUMNS = (
    "instance_type", "accelerator", "accelerator_count", "accelerator_memory_gib", "partition", "vcpus", "memory_gib",
    "network_gbps", "local_storage", "usage_classes", "regions", "source", "as_of", "note",
)  # fmt: skip


def _cells(instance: Instance) -> list[str]:
    values = (getattr(instance, column) for column in COLUMNS)
    return ["|".join(value) if isinstance(value, tuple) else _plain(value) for value in values]


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def merged(known: Iterable[Instance], read: dict[str, tuple[Instance, ...]]) -> tuple[Instance, ...]:
    """The table with what EC2 said in each region read: its facts, and the regions a type is now listed in.

    A type no region showed keeps its facts: it may be retired, and people still own reservations of it.
    """
    seen: dict[str, Instance] = {}
    listed: dict[str, set[str]] = {}
    for region, found in read.items():
        for instance in found:
            seen[instance.instance_type] = instance
            listed.setdefault(instance.instance_type, set()).add(region)
    table = {instance.instance_type: instance for instance in known}
    merged_rows = []
    for name in [*table, *sorted(seen.keys() - table.keys())]:
        before = set(table[name].regions) if name in table else set()
        here = tuple(sorted(before - read.keys() | listed.get(name, set())))
        merged_rows.append(replace(seen.get(name) or table[name], regions=here))
    return tuple(merged_rows)


def rebuild_instances(
    clients: AwsClients,
    regions: Iterable[str],
    *,
    today: date,
    path: Path = TABLE,
    progress: Progress = no_progress,
) -> tuple[str, ...]:
    """Writes the instance table anew from EC2; a sentence for each region or type that could not be read."""
    wanted = tuple(regions)
    read: dict[str, tuple[Instance, ...]] = {}
    remarks: list[str] = []
    for done, region in enumerate(wanted):
        progress(f"{region} instance types", done, len(wanted))
        try:
            read[region], said = read_instance_types(clients, region, today)
        except AwsError as error:
            said = (f"{region}: {error}",)
        remarks += said
    write_table(path, COLUMNS, (_cells(instance) for instance in merged(instances(), read)))
    return tuple(dict.fromkeys(remarks))
