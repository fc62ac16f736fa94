"""Which language model, at which precision, on which machines, meets the bar, and what it costs a month.

    >>> from rightsize import estimate, recommend
    >>> estimate(model="8B", concurrency=40).usd_per_month
    Decimal('1175.008')

Keys are those of links, flags and columns (`python -m rightsize keys`). What cannot be asked or answered raises
`Refusal`, which names the field. Nothing is asked of a network that need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.public import Estimate, Ranking, Refusal, __version__, estimate, recommend

__all__ = ["Estimate", "Ranking", "Refusal", "__version__", "estimate", "recommend"]


def __getattr__(name: str) -> Any:
    """The public names, loaded when one is used."""
    if name not in __all__:
        raise AttributeError(f"module 'rightsize' has no attribute {name!r}")
    from app import public

    return getattr(public, name)
