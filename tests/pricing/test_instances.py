"""The bundled instance types, by figures printed on AWS's pages."""

from __future__ import annotations

import pytest

from estimators.provenance import Refusal
from pricing.instances import find_instance, instances


@pytest.mark.parametrize(
    ("instance_type", "accelerator", "count", "memory_gib"),
    [
        ("g5.xlarge", "A10G", 1, 22.352),
        ("g6.xlarge", "L4", 1, 22.352),
        ("g6e.48xlarge", "L40S", 8, 44.703),
        ("g4dn.metal", "T4", 8, 16),
        ("p4d.24xlarge", "A100-40GB-SXM4", 8, 40),
        ("p4de.24xlarge", "A100-80GB-SXM4", 8, 80),
        ("p5.48xlarge", "H100-SXM5", 8, 80),
        ("p5.4xlarge", "H100-SXM5", 1, 80),
        ("p5en.48xlarge", "H200-SXM", 8, 141),
        ("p6-b200.48xlarge", "B200", 8, 179.062),
        ("p3dn.24xlarge", "V100-32GB-SXM2", 8, 32),
        ("p3.2xlarge", "V100-16GB-SXM2", 1, 16),
        ("inf2.48xlarge", "Inferentia2", 12, 32),
        ("trn2.48xlarge", "Trainium2", 16, 96),  # EC2 says 512
        ("p6e-gb200.36xlarge", "GB200 (per GPU)", 4, 185),  # 36 is the UltraServer
        ("g7e.2xlarge", "RTX PRO 6000 Blackwell Server", 1, 96),
        ("g5g.16xlarge", "T4G", 2, 16),
    ],
)
def test_a_machine_carries_these_accelerators(
    instance_type: str, accelerator: str, count: int, memory_gib: float
) -> None:
    found = find_instance(instance_type)
    assert (found.accelerator, found.accelerator_count, found.accelerator_memory_gib) == (
        accelerator, count, memory_gib
    )  # fmt: skip


def test_a_fractional_machine_has_one_accelerator_and_the_memory_of_its_slice() -> None:
    eighth = find_instance("g6f.large")
    assert (eighth.accelerator, eighth.accelerator_count, eighth.partition) == ("L4", 1, 0.125)
    assert eighth.accelerator_memory_gib == 2.794  # 22.352 / 8
    assert "fractional" in eighth.note


def test_memory_of_all_accelerators_is_their_sum() -> None:
    assert find_instance("g5.12xlarge").accelerator_memory_gib_total == pytest.approx(89.408)  # 4 x 22.352


def test_an_ultraserver_is_no_instance_type() -> None:
    assert not find_instance("u-p6e-gb200x72").is_ec2_type
    assert find_instance("p5.48xlarge").is_ec2_type


def test_case_and_space_do_not_matter() -> None:
    assert find_instance(" G5.XLarge ").instance_type == "g5.xlarge"


def test_an_unknown_type_is_refused_with_near_matches() -> None:
    with pytest.raises(Refusal, match=r"'g5\.xlrage'\. Did you mean .*g5\.xlarge") as refused:
        find_instance("g5.xlrage")
    assert refused.value.field == "instance"
    with pytest.raises(Refusal, match=r"g6\.xlarge"):
        find_instance("???")


def test_every_family_of_the_issue_is_there() -> None:
    families = {instance.family for instance in instances()}
    assert len(instances()) == 92
    assert {"g4dn", "g5", "g6", "g6e", "g6f", "g7e", "p4d", "p5", "p5en", "p6-b200", "inf2", "trn1"} <= families
