"""`python -m app calculator`: the plan's machines as a workload estimate in the AWS Pricing Calculator."""

from __future__ import annotations

import argparse
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from app.ask_commands import EXIT_CODES, add_keys, fail, read_flat
from app.scenario import KEYS
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from app.planning.plan import Plan
    from pricing.aws.calculator import MachineHours


def add_calculator_command(commands: Any, program: str) -> None:
    """Register `calculator`; it sets `run` to what carries it out."""
    command = commands.add_parser(
        "calculator",
        usage=f"{program} calculator [FILE_OR_LINK] [--KEY VALUE ...] [--name NAME] [--json]",
        help="put a plan's machines into the AWS Pricing Calculator",
        description="Makes a workload estimate of a plan's on-demand machines in the account of the AWS credentials.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("question", nargs="?", metavar="FILE_OR_LINK", help="keys as JSON or YAML, or a copied link")
    add_keys(command, KEYS)
    command.add_argument(
        "--name", help="of the estimate: letters, digits and hyphens, 64 at most; default: the model's"
    )
    command.add_argument("--json", action="store_true", help="the answer as one JSON object")
    command.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from app.answers import estimate
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    try:
        flat = read_flat(asked.question, KEYS) if asked.question else {}
        flat |= {key: value for key in KEYS if (value := getattr(asked, key)) is not None}
        plan = estimate(read_asking(flat, shared_sources(), KEYS), shared_sources()).plans[0]
        body = _made(plan, asked.name)
    except Refusal as refusal:
        return fail(refusal, as_json=asked.json)
    print(json.dumps(body, indent=2) if asked.json else "\n".join(_lines(body)))
    return 0


def machine_hours(plan: Plan) -> MachineHours:
    """What a month of the plan runs. Raises `Refusal` for what the calculator has no usage of."""
    from app.planning.sentences import verdict
    from pricing.aws.calculator import MachineHours
    from pricing.offers import PurchaseOption

    if plan.refusal is not None:
        raise plan.refusal
    chosen = plan.chosen
    if chosen is None or not chosen.fits:
        raise Refusal(verdict(plan), field="model")
    instance = chosen.machine.instance
    if instance is None or not instance.is_ec2_type:
        raise Refusal(f"{chosen.label} is no EC2 instance type.", field="instance")
    if plan.asked.buy is not PurchaseOption.ON_DEMAND:
        raise Refusal("A workload estimate knows usage on demand only.", field="buy", remedy="Choose on_demand.")
    return MachineHours(
        instance_type=instance.instance_type,
        region=plan.asked.region,
        hours=chosen.instances * plan.asked.hours,
    )


def _made(plan: Plan, name: str | None) -> dict[str, object]:
    from pricing.aws.calculator import make_estimate
    from pricing.aws.clients import AwsClients

    machines = machine_hours(plan)
    made = make_estimate(AwsClients(), machines, _name(plan, name))
    ours = plan.chosen.usd_per_month if plan.chosen else None
    return {
        "id": made.id,
        "name": made.name,
        "status": made.status,
        "instance": machines.instance_type,
        "region": machines.region,
        "hours": float(machines.hours),
        "usd_per_month": None if ours is None else float(ours),
        "usd_per_month_by_aws": None if made.usd_per_month is None else float(made.usd_per_month),
    }


def _name(plan: Plan, given: str | None) -> str:
    if given is not None:
        if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", given):
            raise Refusal(f"{given[:70]} is no name of an estimate.", field="name", remedy="Letters, digits, hyphens.")
        return given
    model = re.sub(r"[^A-Za-z0-9]+", "-", plan.asked.model or "sized").strip("-")
    return f"{model[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _lines(body: dict[str, object]) -> list[str]:
    said = f"{body['hours']:,.0f} hours of {body['instance']} in {body['region']}"
    ours, theirs = (
        "no price" if body[key] is None else f"${body[key]:,.2f}" for key in ("usd_per_month", "usd_per_month_by_aws")
    )
    compared = f"AWS comes to {theirs}, this plan to {ours}."
    if body["usd_per_month_by_aws"] is None:
        compared = f"AWS has no price for it yet ({body['status']}); this plan comes to {ours}."
    return [f"Made the workload estimate {body['name']} ({body['id']}): {said}.", compared]
