"""The command that starts what was estimated: which checkpoint, which drafting head, which arguments."""

from estimators.launch.command import Launch, launch

__all__ = ["Launch", "launch"]
