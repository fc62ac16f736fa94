"""Accelerator facts from EC2, as moto's server replays real records, against the bundled table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from estimators.provenance import read_table
from pricing.aws.clients import AwsClients, ClientSettings
from pricing.aws.errors import UnexpectedReply
from pricing.aws.instance_types import (
    Device,
    accelerator_name,
    corrected,
    parse_instance_type,
    read_instance_types,
)
from pricing.aws.source import iam_policy
from pricing.instances import Instance, find_instance, instances
from pricing.rebuild import merged, rebuild_instances

TODAY = date(2026, 11, 21)


@pytest.fixture(scope="module")
def clients() -> Iterator[AwsClients]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_EC2", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        made = AwsClients()
        made.ec2("us-east-1")
        yield made
    server.stop()


@pytest.fixture(scope="module")
def read(clients: AwsClients) -> dict[str, Instance]:
    found, remarks = read_instance_types(clients, "us-east-1", TODAY)
    assert remarks == ()
    return {instance.instance_type: instance for instance in found}


def test_every_type_ec2_lists_is_in_the_bundled_table_with_the_same_facts(read: dict[str, Instance]) -> None:
    assert len(read) == 80  # 65 with GPUs, 13 with Neuron devices, dl2q, and trn2u by correction
    facts = ("accelerator", "accelerator_count", "accelerator_memory_gib", "partition", "vcpus", "memory_gib")
    for name, instance in read.items():
        bundled = find_instance(name)
        for fact in facts:
            assert getattr(instance, fact) == getattr(bundled, fact), (name, fact)


def test_where_ec2_is_wrong_a_correction_says_so(read: dict[str, Instance]) -> None:
    trainium = read["trn2.48xlarge"]
    assert (trainium.accelerator_count, trainium.accelerator_memory_gib) == (16, 96)  # EC2 says 512 GiB
    assert "EC2 gives 512 GiB a device" in trainium.note
    assert read["trn2u.48xlarge"].accelerator_count == 16  # EC2 lists no device
    quarter = read["g6f.2xlarge"]
    assert (quarter.accelerator_count, quarter.partition) == (1, 0.25)  # EC2 counts 0
    assert quarter.accelerator_memory_gib == pytest.approx(5.588)


def test_a_correction_ends_when_ec2_corrects_itself() -> None:
    right = Device(manufacturer="AWS", name="Trainium2", count=16, memory_mib=98_304)
    assert corrected("trn2.48xlarge", right) == (right, "")


def test_ec2s_a100_is_two_chips_told_apart_by_memory() -> None:
    device = Device(manufacturer="NVIDIA", name="A100", count=8, memory_mib=40_960)
    assert accelerator_name(device) == "A100-40GB-SXM4"
    with pytest.raises(UnexpectedReply, match="A100 of 20480 MiB, which is not known"):
        accelerator_name(Device(manufacturer="NVIDIA", name="A100", count=8, memory_mib=20_480))


def test_a_type_without_accelerator_is_none_and_one_without_devices_is_refused() -> None:
    assert parse_instance_type({"InstanceType": "m7i.large"}, TODAY, "us-east-1") is None
    empty = {"InstanceType": "p9.48xlarge", "GpuInfo": {"Gpus": [{"Name": "H100", "Count": 0}]}}
    with pytest.raises(UnexpectedReply, match=r"gives p9\.48xlarge 0 accelerators"):
        parse_instance_type(empty, TODAY, "us-east-1")


def test_the_bundled_table_is_brought_up_to_date_from_ec2(clients: AwsClients, tmp_path: Path) -> None:
    path = tmp_path / "instances.csv"
    assert rebuild_instances(clients, ["us-east-1", "eu-west-3"], today=TODAY, path=path) == ()
    rows = {row["instance_type"]: row for row in read_table(path)}
    assert list(rows) == [instance.instance_type for instance in instances()]
    assert (rows["trn2.48xlarge"]["accelerator_memory_gib"], rows["trn2.48xlarge"]["as_of"]) == ("96", "2026-11-21")
    assert "eu-west-3" in rows["p5e.48xlarge"]["regions"].split("|")  # moto shows every type in every region
    assert rows["p3.2xlarge"]["as_of"] == "2026-11-20"  # not shown any more: as it was


def test_a_type_ec2_no_longer_lists_in_a_region_loses_that_region_only() -> None:
    g6 = find_instance("g6.xlarge")
    (found,) = merged([g6], {"us-east-1": (), "mx-central-1": (replace(g6, regions=("mx-central-1",)),)})
    assert set(found.regions) == set(g6.regions) - {"us-east-1"} | {"mx-central-1"}


def test_a_region_that_cannot_be_read_is_said(clients: AwsClients, tmp_path: Path) -> None:
    path = tmp_path / "instances.csv"
    (remark,) = rebuild_instances(AwsClients(ClientSettings(profile="nobody")), ["us-east-1"], today=TODAY, path=path)
    assert remark.startswith("us-east-1: No AWS credentials were found")


def test_the_policy_names_every_action_that_is_called() -> None:
    (statement,) = iam_policy()["Statement"]  # type: ignore[misc]
    assert statement == {
        "Effect": "Allow",
        "Action": [
            "ec2:DescribeCapacityBlockOfferings",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeSpotPriceHistory",
            "pricing:GetProducts",
            "savingsplans:DescribeSavingsPlansOfferingRates",
        ],
        "Resource": "*",
    }
