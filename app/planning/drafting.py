"""Which ways of drafting are weighed for a model, and up to which load: only those with published acceptance. Pure.

A plan that drafts counts only while no more requests are in flight than some published measurement shows it to pay
at. The estimate's own break-even needs no rule: beyond it the same layout without drafting is as cheap and faster, so
it is ranked first.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.scenario import LoadMode, Scenario
from estimators.latency.drafting_evidence import Bound, Drafted, drafted_for, published_bound
from estimators.quality.models import canonical
from estimators.workload import Speculation

ALONE = 1.0  # requests in flight that any acceptance is published for; what a curve shows goes further
NAMES = {
    "ngram": "prompt look-up, n-gram",
    "eagle": "an EAGLE-3 head",
    "mtp": "its own prediction layers (MTP)",
    "draft": "a draft model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafting:
    """One way to draft for one model, its published acceptance, and the published load it pays up to."""

    drafted: Drafted
    bound: Bound | None

    @property
    def pays_until(self) -> float:
        """Requests in flight per replica up to which a gain is published."""
        return self.bound.pays_until if self.bound else ALONE

    @property
    def speculation(self) -> Speculation:
        row = self.drafted
        return Speculation(method=row.method, tokens=row.tokens, acceptance=row.per_token)

    @property
    def name(self) -> str:
        return f"{NAMES[self.drafted.method]} ({self.drafted.tokens} tokens a step)"


def matters(scenario: Scenario) -> bool:
    """Drafting shortens what comes after the first token: it is weighed where a limit is set on that.

    Not at an engine's maximum, which is beyond any load a gain is published for.
    """
    return (scenario.tpot is not None or scenario.e2e is not None) and scenario.load is not LoadMode.MAX


def draftings_for(scenario: Scenario, model: str) -> tuple[Drafting, ...]:
    """The ways to draft that are weighed for a model under this scenario; none without a limit they could meet."""
    if not matters(scenario):
        return ()
    name = canonical(model) if "/" in model else ""
    return tuple(
        Drafting(drafted=row, bound=published_bound(row.method, name, scenario.engine.value))
        for row in drafted_for(name)
    )


def bound_words(bound: Bound | None, name: str = "") -> str:
    """Up to which load a gain is published, and what is known beyond: "published to pay up to 56 requests in flight
    (1.01 times at 56, ...); not known beyond". `name` is of the model the figure is wanted for."""
    if bound is None:
        return "published without the load it was measured at: not known beyond one request in flight"
    gain = bound.gain
    whose = "" if bound.own_model or not name else f" on {gain.model.rpartition('/')[2]}"
    setting = f"{gain.setting}{f', {gain.accelerator}' if gain.accelerator else ''}, {gain.engine}"
    measured = f"{bound.ratio:g} times{whose} at {bound.pays_until:g} ({setting}; {gain.source}, {gain.as_of})"
    beyond = f"no longer at {bound.stops_at:g}" if bound.stops_at else "not known beyond"
    if bound.slowed is not None:
        beyond += f"; {bound.slowed.ratio:g} times on {bound.slowed.model.rpartition('/')[2]}, {bound.slowed.setting}"
        beyond += f" ({bound.slowed.source})"
    return f"published to pay up to {bound.pays_until:g} in flight, {measured}; {beyond}"
