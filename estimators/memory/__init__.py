"""Memory: what one replica holds per GPU, and what it leaves for load."""

from estimators.memory.assemble import estimate_memory, with_fixed
from estimators.memory.drafting import draft_precision
from estimators.memory.estimate import HeldMemory, MemoryEstimate
from estimators.memory.sweep import Held, Sweep

__all__ = ["Held", "HeldMemory", "MemoryEstimate", "Sweep", "draft_precision", "estimate_memory", "with_fixed"]
