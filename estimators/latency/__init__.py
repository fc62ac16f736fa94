"""Time of a step, of a request and of a load."""

from estimators.latency.estimate import Interval, LatencyEstimate, OperatorTime
from estimators.latency.model import CurvePoint, curve, estimate_latency

__all__ = [
    "CurvePoint",
    "Interval",
    "LatencyEstimate",
    "OperatorTime",
    "curve",
    "estimate_latency",
]
