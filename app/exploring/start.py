"""How the chosen plan is started: the command of one replica, or why there is none. Pure but for the Hub."""

from __future__ import annotations

from app.exploring.levers import ready_on_the_hub
from app.planning.loads import settings_of, workload_of
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources
from estimators.launch import Launch, launch

# Fields of a refusal that stand against starting the plan at all, where the page still shows its memory.
_STOPS = frozenset({"weights", "gpus", "gpu", "pp", "spec"})


def launch_of(plan: Plan, found: str | None = None) -> Launch:
    """The command that starts one replica of the chosen plan. `found` is a checkpoint the Hub was seen to hold."""
    chosen = plan.chosen
    if plan.precision is None or chosen is None or chosen.placement is None or chosen.memory is None:
        return Launch(why=str(plan.refusal or "There is no plan to start."))
    if plan.refusal is not None and plan.refusal.field in _STOPS:
        return Launch(why=str(plan.refusal))
    return launch(
        plan.precision,
        chosen.machine.accelerator,
        chosen.placement,
        workload_of(plan.asked, max(1, chosen.replicas)),
        settings_of(plan.asked),
        memory_bytes=chosen.machine.memory_bytes,
        draft=plan.draft,
        found=found,
    )


def checkpoint_on_the_hub(plan: Plan, sources: VersionedSources) -> tuple[str | None, str]:
    """(a checkpoint of the plan's precision that the Hub holds under the usual publishers' names, what to say if none).

    The names are guesses by convention: what is found is to be read before it is used.
    """
    if plan.asked.model is None or plan.precision is None:
        return None, "A parameter count names no model to look for."
    names, problem = ready_on_the_hub(plan.asked.model, plan.precision.weights.value, sources)
    return (names[0], "") if names else (None, problem or "Nothing under the usual publishers' names.")
