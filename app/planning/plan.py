"""The result of planning one scenario: types only."""

from __future__ import annotations

from dataclasses import dataclass

from app.scenario import Scenario
from estimators.architecture.spec import ModelSpec
from estimators.hardware.accelerator import Accelerator
from estimators.latency.estimate import LatencyEstimate
from estimators.memory.estimate import MemoryEstimate
from estimators.precision import Precision
from estimators.provenance import Refusal
from estimators.workload import Placement
from pricing.cost import MonthlyCost
from pricing.instances import Instance
from pricing.offers import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a replica can run: an EC2 instance type, or an accelerator that AWS does not sell (no instance)."""

    accelerator: Accelerator
    instance: Instance | None
    memory_bytes: int  # of one accelerator, as software sees it; the slice of a fractional instance

    @property
    def name(self) -> str:
        return self.instance.instance_type if self.instance else self.accelerator.name

    @property
    def partition(self) -> float:
        return self.instance.partition if self.instance else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveCheck:
    """One objective against its p95 estimate, in seconds. `estimate` is None while it cannot be checked."""

    key: str
    limit: float
    estimate: float | None

    @property
    def met(self) -> bool | None:
        return None if self.estimate is None else self.estimate <= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One machine weighed for the scenario. `reasons` says why it is not eligible; empty means it is."""

    machine: Machine
    placement: Placement | None
    replicas: int
    instances: int
    memory: MemoryEstimate | None = None
    latency: LatencyEstimate | None = None
    offer: Offer | None = None
    cost: MonthlyCost | None = None
    objectives: tuple[ObjectiveCheck, ...] = ()
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # true of this machine, and no reason against it
    refusal: Refusal | None = None  # of the estimators, when nothing could be estimated

    @property
    def fits(self) -> bool | None:
        return None if self.memory is None else self.memory.fits

    @property
    def eligible(self) -> bool:
        return not self.reasons

    @property
    def label(self) -> str:
        return self.machine.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything known of one scenario. What could not be reached is None, and `refusal` says why."""

    asked: Scenario
    resolved: Scenario  # every auto replaced by what it came to
    spec: ModelSpec | None = None
    precision: Precision | None = None
    draft: Precision | None = None  # of the model that drafts, where one does
    chosen: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()  # every machine weighed, eligible ones first, cheapest first
    refusal: Refusal | None = None
    notes: tuple[str, ...] = ()

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What is noted of the model, then of the machine that was chosen, each once."""
        return tuple(dict.fromkeys((*self.notes, *(self.chosen.notes if self.chosen else ()))))
