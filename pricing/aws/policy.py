"""The IAM policy the live prices need, made from what each reader calls."""

from __future__ import annotations

from pricing.aws import capacity_blocks, instance_types, price_list, savings_plans, spot

ACTIONS = tuple(
    sorted(
        {
            price_list.ACTION,
            spot.ACTION,
            savings_plans.ACTION,
            capacity_blocks.ACTION,
            instance_types.ACTION,
            instance_types.OFFERINGS_ACTION,
        }
    )
)


def iam_policy() -> dict[str, object]:
    """Read-only, and on no resource in particular: none of these calls knows one."""
    statement = {"Effect": "Allow", "Action": list(ACTIONS), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
