"""Clients of AWS: made once, and not one for every region that anybody ever named."""

from __future__ import annotations

import pytest

from pricing.aws.clients import MOST_EC2_CLIENTS, AwsClients


def test_the_last_few_regions_keep_their_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clients = AwsClients()
    regions = ["us-east-1", "eu-west-1", "ap-south-1", "eu-north-1", "us-west-2", "sa-east-1", "ca-central-1"]
    first = clients.ec2(regions[0])
    assert clients.ec2(regions[0]) is first
    for region in regions:
        assert clients.ec2(region).meta.region_name == region
        assert clients.ec2(regions[0]) is first  # used again and again
    assert len(clients._ec2) == MOST_EC2_CLIENTS
    assert set(clients._ec2) == {regions[0], *regions[-3:]}
