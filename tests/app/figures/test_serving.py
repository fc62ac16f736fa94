"""Pictures of one plan's speed: the band of the curve, and shares of a step."""

from __future__ import annotations

import pytest

from app.figures.serving import step_bound, throughput_latency
from estimators.latency.estimate import Interval, OperatorTime
from estimators.latency.model import CurvePoint


def point(concurrency: float, tpot: float, rate: float) -> CurvePoint:
    time, tokens = (Interval(value=v, low=0.8 * v, high=1.25 * v) for v in (tpot, rate))
    return CurvePoint(
        concurrency=concurrency,
        ttft_s=time,
        tpot_s=time,
        e2e_s=time,
        output_tok_per_s=tokens,
        req_per_s=tokens,
        waits_for_memory=False,
    )


def test_the_band_runs_along_the_upper_ends_and_back_along_the_lower() -> None:
    """20 ms at 50 tokens a second within 16 to 25; 40 ms at 200 within 32 to 50; the limit, 30 ms, as a line at 30."""
    figure = throughput_latency([point(1, 0.020, 50), point(8, 0.040, 200)], 0.030, 7.0)
    band, line, near = figure.data
    assert list(band.x) == [50, 200, 200, 50]
    assert list(band.y) == pytest.approx([25, 50, 32, 16])
    assert list(line.y) == pytest.approx([20, 40])
    assert figure.layout.shapes[0].y0 == pytest.approx(30)
    assert (near.x[0], near.y[0]) == pytest.approx((200, 40))


def test_operators_are_drawn_as_shares_of_their_step() -> None:
    def operator(name: str, seconds: float, bound: str) -> OperatorTime:
        return OperatorTime(name=name, seconds=seconds, bytes=0, flops=0, bound=bound)

    decode = [operator("experts", 0.003, "bandwidth"), operator("host", 0.001, "host")]
    prefill = [operator("experts", 0.5, "compute")]
    found = {(bar.y[0], bar.name): bar.x[0] for bar in step_bound(decode, prefill).data}
    assert found == {("a token", "bandwidth"): 0.75, ("a token", "host"): 0.25, ("a prompt", "compute"): 1.0}
