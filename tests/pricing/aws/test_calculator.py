"""A plan's machines in the AWS Pricing Calculator: real clients, whose requests botocore holds to AWS's own model."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from app.__main__ import main
from pricing.aws.calculator import MachineHours, make_estimate
from pricing.aws.clients import AwsClients
from pricing.aws.errors import AccessDenied, UnexpectedReply
from tests.servers.aws import AwsServer, Fault, fresh_server, loopback

TWO = MachineHours(instance_type="g6.xlarge", region="us-west-2", hours=Decimal(1460))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    server = fresh_server(monkeypatch)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.sell("g6.xlarge", "us-east-1", "0.8048")
    server.sell("g6.xlarge", "us-west-2", "0.8048")
    return server


def clients() -> AwsClients:
    return loopback()[1]


def test_the_hours_are_of_the_usage_type_that_the_price_list_names(aws: AwsServer) -> None:
    aws.products[1].attributes["usagetype"] = "USW2-BoxUsage:g6.xlarge"
    made = make_estimate(clients(), TWO, "two-L4", pause=lambda _: None)
    assert (made.name, made.status, made.usd_per_month) == ("two-L4", "VALID", Decimal("1175.008"))  # 1,460 x 0.8048
    (usage,) = aws.workloads[made.id]
    assert usage == {
        "serviceCode": "AmazonEC2",
        "usageType": "USW2-BoxUsage:g6.xlarge",
        "operation": "RunInstances",
        "key": "1",
        "group": "machines",
        "usageAccountId": "111122223333",
        "amount": 1460.0,
    }


def test_an_estimate_that_is_still_being_priced_is_looked_at_again(aws: AwsServer) -> None:
    aws.pricing_takes = 3
    pauses: list[float] = []
    assert make_estimate(clients(), TWO, "slow", pause=pauses.append).usd_per_month == Decimal("1175.008")
    assert pauses == [1.0, 1.0, 1.0]
    aws.pricing_takes = 99
    late = make_estimate(clients(), TWO, "slower", pause=lambda _: None)
    assert (late.status, late.usd_per_month) == ("UPDATING", None)


def test_what_aws_refuses_is_said(aws: AwsServer) -> None:
    aws.faults.append(Fault("denied", "CreateWorkloadEstimate"))
    with pytest.raises(AccessDenied, match=r"Allow bcm-pricing-calculator:CreateWorkloadEstimate in the IAM policy"):
        make_estimate(clients(), TWO, "denied")
    aws.refuses_usage = True
    with pytest.raises(UnexpectedReply, match=r"took no usage of BoxUsage:g6.xlarge \(BAD_REQUEST\)"):
        make_estimate(clients(), TWO, "refused")
    elsewhere = MachineHours(instance_type="g6.xlarge", region="eu-west-1", hours=Decimal(1))
    with pytest.raises(UnexpectedReply, match=r"no on-demand g6\.xlarge in eu-west-1"):
        make_estimate(clients(), elsewhere, "nowhere")


def test_the_command_makes_it_and_says_what_both_come_to(aws: AwsServer, capsys: pytest.CaptureFixture[str]) -> None:
    question = ["--model", "8B", "--instance", "g6.xlarge", "--replicas", "2", "--name", "ours"]
    assert main(["calculator", *question]) == 0
    made, compared = capsys.readouterr().out.splitlines()
    assert made.startswith("Made the workload estimate ours (")
    assert made.endswith("): 1,460 hours of g6.xlarge in us-east-1.")
    assert compared == "AWS comes to $1,175.01, this plan to $1,175.01."
    assert main(["calculator", *question, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usd_per_month_by_aws"] == pytest.approx(1175.008)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--model", "8B", "--instance", "g6.xlarge", "--buy", "spot"], "buy"),
        (["--model", "8B", "--gpu", "RTX 4090"], "instance"),
        (["--model", "8B", "--instance", "g6.xlarge", "--name", "two words"], "name"),
        (["--model", "8B", "--prompt", "x"], "prompt"),
    ],
)
def test_what_the_calculator_cannot_hold_is_refused_before_aws_is_asked(
    aws: AwsServer, words: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calculator", *words, "--json"]) == 2
    assert field in capsys.readouterr().out
    assert aws.operations == []
