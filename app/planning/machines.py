"""Which machines a scenario may run on, and how a replica may be laid over each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from app.planning.plan import Machine
from app.scenario import Scenario
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators, find_accelerator
from estimators.provenance import Refusal
from estimators.workload import Placement
from pricing.instances import Instance, find_instance, instances
from pricing.offers import PurchaseOption

GPU_COUNTS = (1, 2, 4, 8, 16)  # tensor-parallel sizes tried when `gpus` is auto


@lru_cache(maxsize=512)
def machine_of(instance: Instance) -> Machine | None:
    """The machine behind an EC2 type, or None when its accelerator is not in the estimators' table."""
    accelerator = accelerators().get(instance.accelerator)
    if accelerator is None:
        return None
    memory = accelerator.memory_bytes
    if instance.partition < 1:  # a slice has its own memory, and EC2 states it
        memory = min(memory, int(instance.accelerator_memory_gib * 2**30))
    return Machine(accelerator=accelerator, instance=instance, memory_bytes=memory)


@lru_cache(maxsize=1)
def aws_machines() -> tuple[Machine, ...]:
    """Every EC2 type whose accelerator the estimators know."""
    return tuple(machine for item in instances() if (machine := machine_of(item)) is not None)


def automatic_machines() -> Iterator[Machine]:
    """Machines weighed when none is named: whole NVIDIA accelerators with a known bandwidth.

    Slices share their chip's bandwidth in ways nobody has published, so they are used only when named.
    """
    for machine in aws_machines():
        if machine.accelerator.vendor == "NVIDIA" and machine.partition == 1:
            yield machine


def named_machines(scenario: Scenario) -> tuple[Machine, ...] | None:
    """The machines that `gpu` or `instance` names; None when neither does. Raises `Refusal` for an unknown name."""
    if scenario.instance is not None:
        machine = machine_of(find_instance(scenario.instance))
        if machine is None:
            raise Refusal(
                f"{scenario.instance} carries an accelerator without published figures.",
                field="instance",
                remedy="Name another instance type, or leave the machine on auto.",
            )
        return (machine,)
    if scenario.gpu is None:
        return None
    accelerator = find_accelerator(scenario.gpu)
    if scenario.buy is PurchaseOption.OWNED:
        return (_outside_aws(accelerator),)
    sold = tuple(m for m in aws_machines() if m.accelerator.name == accelerator.name and m.partition == 1)
    return sold or (_outside_aws(accelerator),)


def _outside_aws(accelerator: Accelerator) -> Machine:
    return Machine(accelerator=accelerator, instance=None, memory_bytes=accelerator.memory_bytes)


def placements(scenario: Scenario, machine: Machine) -> tuple[Placement, ...]:
    """Layouts of one replica to try on a machine, preferred first.

    `gpus` names the tensor-parallel count. Without it a named instance gives all its accelerators to one replica;
    a named accelerator starts from one; an automatic choice starts from all of the machine and goes down.
    """
    pp, ep = scenario.pp, scenario.ep
    if scenario.gpus is not None:
        return (Placement(tp=scenario.gpus, pp=pp, ep=ep),)
    count = machine.instance.accelerator_count if machine.instance else None
    if scenario.instance is not None and count is not None:
        if count % pp:
            raise Refusal(
                f"pp={pp} does not divide the {count} accelerators of {scenario.instance}.",
                field="pp",
                remedy=f"Use a divisor of {count}, or name gpus as well.",
            )
        return (Placement(tp=count // pp, pp=pp, ep=ep),)
    sizes = [n for n in GPU_COUNTS if count is None or n * pp <= count]
    if scenario.gpu is None:
        sizes.reverse()
    return tuple(Placement(tp=n, pp=pp, ep=ep) for n in sizes)


def instances_needed(machine: Machine, placement: Placement, replicas: int) -> int:
    """Whole machines that hold `replicas` copies; a replica larger than an instance spans several.

    An accelerator that AWS does not sell is counted as one machine per replica.
    """
    if machine.instance is None:
        return replicas
    count = machine.instance.accelerator_count
    if placement.gpus <= count:
        return -(-replicas // (count // placement.gpus))
    return replicas * -(-placement.gpus // count)
