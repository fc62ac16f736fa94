"""A job as everybody sees it: its state, and the ends it can have. Types only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from estimators.provenance import Refusal

LONGEST_DEVICE = 120  # characters of a device's or endpoint's name


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"  # cannot be measured, and why
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"  # its process died: machine restarted, or killed


OPEN = (Status.QUEUED.value, Status.RUNNING.value)


class MeasurementsUnavailable(Refusal):
    """The database does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as everybody sees it."""

    id: int
    device: str
    title: str
    status: Status
    share: float  # of the work, 0 to 1
    message: str
    seconds_left: float | None
    asked_by: str
    asked_at: datetime
    ahead: int  # jobs before it on the same device
    results: tuple[str, ...]  # ids of measurements

    @property
    def waiting(self) -> bool:
        """Whether others stand before it: on a cluster several of a kind may run at once."""
        return self.status is Status.QUEUED and self.ahead > 0

    @property
    def open(self) -> bool:
        return self.status.value in OPEN

    def place(self, *, own: bool) -> str:
        """Where it runs; the address of a server, which may be internal, only for whoever asked for it."""
        return "a running server" if "://" in self.device and not own else self.device
