"""Why a scenario has no answer: the sentence that names the limit and the way out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.format import gib
from app.planning.plan import Candidate, Machine
from app.planning.sentences import option_name
from app.scenario import Scenario
from estimators.provenance import Refusal
from estimators.workload import Placement

_OF_THE_QUESTION = ("spec", "spec_tokens", "accept", "max_len", "model")  # no machine could answer them
_LIVE_ONLY = "Savings Plan prices are live only: set AWS credentials, or choose another purchase option."


def not_offered(scenario: Scenario) -> str:
    """No price is known: not sold there, or, for what has no bundled price, only live."""
    return f"not offered in {scenario.region} as {option_name(scenario.buy)}, as far as known prices go"


def beyond_the_machine(machine: Machine, placement: Placement) -> str:
    """Tensor parallelism needs the links inside a machine; between machines there is only the network."""
    count = machine.instance.accelerator_count if machine.instance else placement.tp
    return f"tensor parallelism over {placement.tp} accelerators needs them in one machine, {machine.name} has {count}"


def of_named_machine(scenario: Scenario, chosen: Candidate, unsupported: Iterable[str]) -> Refusal | None:
    """Why the machine that was named cannot be used as asked, if it cannot."""
    for reason in unsupported:
        return Refusal(f"{reason}.", field="weights", remedy="Choose another precision or machine.")
    if chosen.refusal is not None and chosen.refusal.field == "gpus":
        return chosen.refusal  # of the layout itself: no larger machine changes it
    if chosen.machine.instance and chosen.placement and chosen.placement.tp > chosen.machine.instance.accelerator_count:
        return Refusal(
            f"T{beyond_the_machine(chosen.machine, chosen.placement)[1:]}.",
            field="gpus",
            remedy="Name a larger instance, or use pp to span machines."
            if scenario.instance is not None
            else "Use fewer gpus, or pp to span machines: none that carries it has so many.",
        )
    if chosen.refusal is not None and chosen.refusal.field in _OF_THE_QUESTION:
        return chosen.refusal
    if chosen.holding is None and chosen.reasons:
        return Refusal(f"{chosen.label}: {chosen.reasons[-1]}", field="gpus")
    if chosen.offer is None and chosen.machine.instance is not None:
        return Refusal(
            f"{chosen.label} is {not_offered(scenario)}.",
            field="region",
            remedy="Choose another region, purchase option or machine.",
        )
    return None


def of_automatic_choice(scenario: Scenario, weighed: Sequence[Candidate]) -> Refusal:
    """Which limit kills the last candidate, and by how much."""
    for candidate in weighed:
        if candidate.refusal is not None and candidate.refusal.field in _OF_THE_QUESTION:
            return candidate.refusal
    if all(candidate.placement is None for candidate in weighed):
        most = max(c.machine.instance.accelerator_count for c in weighed if c.machine.instance)
        return Refusal(
            f"No machine has the {scenario.pp} accelerators that pp={scenario.pp} needs; the largest has {most}.",
            field="pp",
            remedy=f"Use pp up to {most}, or name gpu and gpus so that a replica spans machines.",
        )
    offered = [candidate for candidate in weighed if candidate.offer is not None]
    if not offered:
        return Refusal(
            f"No machine is {not_offered(scenario).removeprefix('not ')}.",
            field="region",
            remedy=_LIVE_ONLY
            if scenario.buy.value.startswith("savings")
            else "Choose another region or purchase option.",
        )
    fitting = [candidate for candidate in offered if candidate.fits]
    if fitting:
        nearest = min(fitting, key=lambda candidate: len(candidate.reasons))
        return Refusal(
            f"No machine meets every limit; nearest is {nearest.label}: {'; '.join(nearest.reasons).rstrip('.')}.",
            field="ttft",
            remedy="Loosen that limit, lower the load or choose another precision.",
        )
    sized = [
        (candidate, candidate.holding, candidate.placement.gpus)
        for candidate in offered
        if candidate.holding is not None and candidate.placement is not None
    ]
    if not sized:
        return Refusal(offered[0].reasons[-1], field="gpus")
    nearest, held, gpus = min(sized, key=lambda item: item[1].memory_bytes / max(1, item[1].budget_bytes))
    need, have = held.memory_bytes * gpus, held.budget_bytes * gpus
    return Refusal(
        f"No single machine in {scenario.region} holds one replica: the nearest, {nearest.label}, "
        f"has {gib(have)} usable and this needs {gib(need)}.",
        field="model",
        remedy="Use a lower precision, a shorter context, or name gpus and pp to span machines.",
    )
