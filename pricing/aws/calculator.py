"""A month's machine hours as a workload estimate of AWS's Pricing Calculator, in the account of the credentials.

AWS prices it by itself, so that both can be held against each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from estimators.provenance import Refusal
from pricing.aws.errors import UnexpectedReply, aws_call, documented_form
from pricing.aws.price_list import usage_of

if TYPE_CHECKING:
    from pricing.aws.clients import AwsClients

CREATE, ADD, GET = ("CreateWorkloadEstimate", "BatchCreateWorkloadEstimateUsage", "GetWorkloadEstimate")
ACTIONS = (
    "bcm-pricing-calculator:CreateWorkloadEstimate",
    "bcm-pricing-calculator:CreateWorkloadEstimateUsage",
    "bcm-pricing-calculator:GetWorkloadEstimate",
    "pricing:GetProducts",
    "sts:GetCallerIdentity",
)
LOOKS, PAUSE_S = 10, 1.0  # at an estimate that AWS is still pricing


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineHours:
    """On-demand hours of one instance type in a month, of all machines together."""

    instance_type: str
    region: str
    hours: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEstimate:
    """What AWS has made of it; its cost once it is priced."""

    id: str
    name: str
    status: str
    usd_per_month: Decimal | None


def make_estimate(
    clients: AwsClients, machines: MachineHours, name: str, *, pause: Callable[[float], None] = time.sleep
) -> WorkloadEstimate:
    """Makes the estimate and waits a little for its price. Raises `Refusal`, `AwsError` among them.

    The usage type is the one that the region's price list has: its prefix is no function of the region's name.
    """
    usage_type, operation = usage_of(clients, machines.instance_type, machines.region)
    account = clients.account()
    client = clients.calculator()
    with aws_call(f"bcm-pricing-calculator {CREATE}", ACTIONS[0]), documented_form(CREATE):
        made = str(client.create_workload_estimate(name=name, rateType="BEFORE_DISCOUNTS")["id"])
    entry = {
        "serviceCode": "AmazonEC2",
        "usageType": usage_type,
        "operation": operation,
        "key": "1",
        "group": "machines",
        "usageAccountId": account,
        "amount": float(machines.hours),
    }
    with aws_call(f"bcm-pricing-calculator {ADD}", ACTIONS[1]), documented_form(ADD):
        reply = client.batch_create_workload_estimate_usage(workloadEstimateId=made, usage=[entry])
        codes = [str(error["errorCode"]) for error in reply.get("errors", ())]
    if codes:
        raise UnexpectedReply(f"AWS made the estimate {name} and took no usage of {usage_type} ({codes[0][:40]}).")
    for _ in range(LOOKS):
        with aws_call(f"bcm-pricing-calculator {GET}", ACTIONS[2]), documented_form(GET):
            found = client.get_workload_estimate(identifier=made)
            cost = found.get("totalCost")
            status = str(found["status"])
        if status != "UPDATING":
            break
        pause(PAUSE_S)
    priced = cost is not None and status == "VALID"
    if priced and found.get("costCurrency", "USD") != "USD":
        raise Refusal(f"AWS prices the estimate {name} in {found['costCurrency']}.", field="calculator")
    return WorkloadEstimate(id=made, name=name, status=status, usd_per_month=Decimal(str(cost)) if priced else None)
