"""Why an estimate of speed is what it is: the operators of its steps and a term for each of its times."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.latency.drafting_evidence import speed_up
from estimators.latency.estimate import OperatorTime
from estimators.latency.plan import ReplicaPlan
from estimators.latency.serving import Steady
from estimators.latency.step import Step, operators
from estimators.provenance import Term

_FITTED = "logistic of where measured kernels put it plus its fitted effects"


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
                f"{round(state.waiting, 6):.3g} + step under way and front end"
            ),
            source=source,
        )
        later = self.plan.server.output
        waves = state.e2e / (state.ttft + later * state.tpot)  # more than one where a batch does not fit at once
        whole = Term(
            label="Whole request",
            value=state.e2e,
            unit="second",
            formula=f"{waves:.3g} x (first token {state.ttft:.3g} + {later:.0f} later tokens x {state.tpot:.3g})",
            source=source,
        )
        draft = self.plan.draft
        drafted = (*draft.terms, *_published_gain(draft.method, state.running)) if draft is not None else ()
        return (whole, ttft, tpot, decode, read, computed, *drafted)


def _published_gain(method: str, running: float) -> tuple[Term, ...]:
    """What was published of this way of drafting at this load, beside the estimate's own."""
    found = speed_up(method, max(1.0, running))
    if found is None:
        return ()
    return (
        Term(
            label="Published speed-up at this load",
            value=found.ratio,
            unit="ratio",
            formula=f"exp(a + b log2 N), N = {running:.3g}; 80 % of models {found.low:.2f} to {found.high:.2f}",
            source=f"{found.rows} pairs with and without drafting (drafting_curves.csv)",
        ),
    )
