"""The accelerator table: one chip, many names; memory as software sees it."""

import pytest

from estimators.hardware.catalogue import accelerators, find_accelerator, read_as
from estimators.provenance import Refusal

GIB = 2**30


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("A10G", "A10G"),
        ("a10g", "A10G"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA A10", "A10"),
        ("Tesla T4", "T4"),
        ("NVIDIA T4g", "T4G"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM5"),
        ("h100", "H100-SXM5"),
        ("H100 PCIe", "H100-PCIe"),
        ("NVIDIA H100 NVL", "H100-NVL"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB-SXM4"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB-PCIe"),
        ("Tesla V100-SXM2-32GB", "V100-32GB-SXM2"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA RTX PRO Server 6000", "RTX PRO 6000 Blackwell Server"),
        ("AWS Trainium2", "Trainium2"),
        ("AMD Instinct MI300X", "MI300X"),
        ("GB200", "GB200 (per GPU)"),
    ],
)
def test_a_chip_is_found_under_the_names_of_ec2_the_driver_and_people(name: str, canonical: str) -> None:
    assert find_accelerator(name).name == canonical


@pytest.mark.parametrize(
    ("name", "memory_gib", "canonical"),
    [
        ("NVIDIA A100", 40, "A100-40GB-SXM4"),  # p4d
        ("NVIDIA A100", 80, "A100-80GB-SXM4"),  # p4de
        ("NVIDIA V100", 16, "V100-16GB-SXM2"),  # p3
        ("NVIDIA V100", 32, "V100-32GB-SXM2"),  # p3dn
        ("NVIDIA L4", 22.352, "L4"),
        ("NVIDIA L4", 2.794, "L4"),  # g6f: an eighth of the chip
        ("NVIDIA B200", 179.062, "B200"),
        ("GH200", 144, "GH200-144GB"),
    ],
)
def test_ec2_names_resolve_together_with_the_memory(name: str, memory_gib: float, canonical: str) -> None:
    assert find_accelerator(name, memory_gib).name == canonical


@pytest.mark.parametrize(
    ("name", "kind"),
    [("T4", "gddr"), ("L40S", "gddr"), ("V100", "hbm"), ("A100", "hbm"), ("MI300X", "hbm"), ("Inferentia", "ddr")],
)
def test_every_chip_states_its_kind_of_memory(name: str, kind: str) -> None:
    assert find_accelerator(name).memory_kind == kind
    assert {chip.memory_kind for chip in accelerators().values()} == {"hbm", "gddr", "ddr"}


def test_a_size_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(Refusal, match="40, 80 GiB") as refusal:
        find_accelerator("NVIDIA A100", 64)
    assert refusal.value.field == "gpu"


def test_an_ambiguous_name_says_what_was_assumed() -> None:
    said = "A100 is read as A100-80GB-SXM4: 40 and 80 GB exist; 80 GB when the memory is not stated"
    assert read_as("A100") == said
    assert read_as("L40S") == read_as("nvidia l40s") == read_as("no such chip") == ""


@pytest.mark.parametrize("name", ["A100-80", "A100 80G", "a100 80gb"])
def test_a_unit_that_is_left_out_is_read_and_said(name: str) -> None:
    assert find_accelerator(name).name == "A100-80GB-SXM4"
    assert name == "a100 80gb" or read_as(name) == f"{name} is read as A100-80GB-SXM4"


@pytest.mark.parametrize("name", ["H1", "A100-8", "L4000"])
def test_half_a_name_is_not_read_as_another_chip(name: str) -> None:
    with pytest.raises(Refusal):
        find_accelerator(name)


def test_an_unknown_name_is_refused_with_near_matches() -> None:
    with pytest.raises(Refusal, match="H100") as refusal:
        find_accelerator("H1000")
    assert refusal.value.field == "gpu"


@pytest.mark.parametrize("name", ["", "  ", "!!!", "x" * 10_000, "NVIDIA"])
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(Refusal):
        find_accelerator(name)


def test_a_chip_that_is_sold_but_not_described_is_refused_by_name() -> None:
    with pytest.raises(Refusal, match="no data sheet figures"):
        find_accelerator("Habana Gaudi HL-205")


def test_memory_is_what_software_sees_not_what_is_printed_on_the_box() -> None:
    assert find_accelerator("H100").memory_bytes == pytest.approx(79.18 * GIB, rel=1e-6)  # "80 GB"
    assert find_accelerator("A10G").memory_bytes == pytest.approx(22.06 * GIB, rel=1e-6)  # "24 GB"
    assert find_accelerator("T4").memory_bytes == pytest.approx(14.74 * GIB, rel=1e-6)  # "16 GB"
    assert find_accelerator("B200").memory_bytes == pytest.approx(178.35 * GIB, rel=1e-6)  # "180 GB"


def test_the_a10g_is_not_an_a10() -> None:
    assert find_accelerator("A10G").flops_16bit == 70e12
    assert find_accelerator("A10").flops_16bit == 125e12


@pytest.mark.parametrize("accelerator", accelerators().values(), ids=lambda accelerator: accelerator.name)
def test_every_row_is_possible(accelerator) -> None:
    assert 0.86 * accelerator.memory_label_gib * 1e9 < accelerator.memory_bytes
    assert accelerator.memory_bytes <= accelerator.memory_label_gib * GIB
    assert accelerator.memory_source
    assert accelerator.bf16 is (accelerator.architecture not in {"Volta", "Turing", "RDNA"})
    for wide, narrow in [
        (accelerator.flops_16bit, accelerator.flops_fp8),
        (accelerator.flops_fp8, accelerator.flops_fp4),
    ]:
        assert wide is None or narrow is None or narrow >= wide
    assert find_accelerator(accelerator.name) == accelerator


@pytest.mark.parametrize("accelerator", accelerators().values(), ids=lambda accelerator: accelerator.name)
def test_beyond_a_bridge_and_beyond_a_machine_there_is_a_rate(accelerator) -> None:
    bridged = "bridge" in accelerator.link.lower()
    assert (accelerator.bridge_gpus is not None) is (accelerator.bus_bytes_per_s is not None) is bridged
    assert not bridged or accelerator.bus_bytes_per_s < accelerator.link_bytes_per_s
    rack = accelerator.vendor == "AWS" or accelerator.name.startswith(("GB200", "GB300"))
    assert (accelerator.machine_gpus is None) is (accelerator.network_bytes_per_s is None) is rack
    assert accelerator.reach_source
