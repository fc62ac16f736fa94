"""Why an estimate of speed is what it is: the operators of its steps and a term for each of its times."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.latency.estimate import OperatorTime
from estimators.latency.plan import ReplicaPlan
from estimators.latency.serving import Steady
from estimators.latency.step import Step, operators
from estimators.provenance import Term

_FITTED = "logistic of the sum of its fitted effects"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyExplanation:
    """What stands behind one estimate: nothing of it is put into words before somebody reads it."""

    plan: ReplicaPlan
    state: Steady
    source: str

    def decode_step(self) -> tuple[OperatorTime, ...]:
        plan, server = self.plan, self.plan.server
        step = Step(plan.shard, server.rates, prompts=False, context=server.context, verified=plan.request.verified)
        return operators(step, max(1.0, self.state.running) / plan.shard.stages)

    def prefill_step(self) -> tuple[OperatorTime, ...]:
        plan, server = self.plan, self.plan.server
        step = Step(plan.shard, server.rates, prompts=True, prompt_context=server.prompt_context, eager=1.0)
        return operators(step, 0.0, self.state.chunk)

    def terms(self) -> tuple[Term, ...]:
        state, rates, source = self.state, self.plan.server.rates, self.source
        decode = Term(
            label="Decode step",
            value=state.decode_step,
            unit="second",
            formula=(
                "sum over operators of max(bytes / (BW e_mem), FLOPs / (peak e_flop)) + launch + host, "
                f"B = {state.running:.3g}"
            ),
            source=source,
        )
        read = Term(
            label="Share of bandwidth reached on weights",
            value=rates.linear_memory,
            unit="ratio",
            formula=_FITTED,
            source=source,
        )
        computed = Term(
            label="Share of peak reached in prefill",
            value=rates.linear_compute,
            unit="ratio",
            formula=_FITTED,
            source=source,
        )
        tpot = Term(
            label="Time per output token",
            value=state.tpot,
            unit="second",
            formula=(
                f"decode steps of {state.decode_step:.3g} s; a share {state.mixed_share:.3g} of steps "
                f"carries prompts and takes {state.mixed_step:.3g} s"
            ),
            source=source,
        )
        ttft = Term(
            label="Time to first token",
            value=state.ttft,
            unit="second",
            formula=(
                f"own prefill {state.own:.3g} + other prompts {state.queue:.3g} + waiting for a place "
                f"{state.waiting:.3g} + step under way and front end"
            ),
            source=source,
        )
        drafted = self.plan.draft.terms if self.plan.draft is not None else ()
        return (decode, read, computed, tpot, ttft, *drafted)
