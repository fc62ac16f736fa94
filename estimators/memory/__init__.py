"""Memory: what one replica holds per GPU, what it leaves for load, and the command that realises it."""

from estimators.memory.assemble import estimate_memory
from estimators.memory.command import vllm_command
from estimators.memory.drafting import draft_precision
from estimators.memory.estimate import MemoryEstimate

__all__ = ["MemoryEstimate", "draft_precision", "estimate_memory", "vllm_command"]
