"""How the chosen plan is started: the command of one replica, or why there is none. Pure but for the Hub."""

from __future__ import annotations

from app.planning.loads import settings_of, workload_of
from app.planning.plan import Plan
from app.planning.sentences import precision_name
from app.sources import LocalSources
from estimators.launch import Launch, launch
from estimators.launch.checkpoint import loads
from estimators.provenance import Refusal
from estimators.quality.checkpoints import checkpoints, deployed

# Fields of a refusal that stand against starting the plan at all, where the page still shows its memory.
_STOPS = frozenset({"weights", "gpus", "gpu", "pp", "spec"})


def launch_of(plan: Plan, found: str | None = None) -> Launch:
    """The command that starts one replica of the chosen plan. `found` is a checkpoint the Hub was seen to hold."""
    chosen = plan.chosen
    if plan.precision is None or chosen is None or chosen.placement is None or chosen.memory is None:
        return Launch(why=str(plan.refusal or "There is no plan to start."))
    if plan.refusal is not None and plan.refusal.field in _STOPS:
        return Launch(why=str(plan.refusal))
    machine = chosen.machine
    return launch(
        plan.precision,
        machine.accelerator,
        chosen.placement,
        workload_of(plan.asked, max(1, chosen.replicas)),
        settings_of(plan.asked),
        memory_bytes=machine.memory_bytes,
        draft=plan.draft,
        gpus_a_machine=machine.instance.accelerator_count if machine.instance else None,
        found=found,
    )


def checkpoint_on_the_hub(plan: Plan, sources: LocalSources) -> tuple[str | None, str]:
    """(a checkpoint of the plan's precision that the Hub lists, what to say if there is none).

    Only of publishers whose checkpoints vLLM is known to load, or of the model's own maker: a name says the precision,
    not the format.
    """
    if plan.asked.model is None or plan.precision is None or plan.chosen is None:
        return None, "A parameter count names no model to look for."
    base, label = deployed(plan.asked.model, "as-published")[0], plan.precision.weights.value
    publishers = {entry.publisher for entry in checkpoints()} | {base.partition("/")[0]}
    try:
        copies = sources.made_of(base).quantized
    except Refusal as refusal:
        return None, str(refusal)
    chip = plan.chosen.machine.accelerator
    for copy in copies:
        if copy.label == label and copy.id.partition("/")[0] in publishers and loads(copy.id, chip):
            return copy.id, ""
    return None, f"The Hub lists no copy of {base} in {precision_name(plan.precision.weights)} by a known publisher."
