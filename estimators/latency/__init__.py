"""Time of a step, of a request and of a load: DESIGN section 6."""

from estimators.latency.drafting import DraftingGain, drafting_gain
from estimators.latency.estimate import Interval, LatencyEstimate, OperatorTime
from estimators.latency.model import CurvePoint, curve, estimate_latency

__all__ = [
    "CurvePoint",
    "DraftingGain",
    "Interval",
    "LatencyEstimate",
    "OperatorTime",
    "curve",
    "drafting_gain",
    "estimate_latency",
]
