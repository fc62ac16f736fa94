"""Memory: what one replica holds per GPU, what it leaves for load, and the command that realises it."""

from estimators.memory.assemble import estimate_memory
from estimators.memory.command import vllm_command
from estimators.memory.drafting import draft_precision
from estimators.memory.estimate import HeldMemory, MemoryEstimate
from estimators.memory.sweep import Held, Sweep

__all__ = ["Held", "HeldMemory", "MemoryEstimate", "Sweep", "draft_precision", "estimate_memory", "vllm_command"]
