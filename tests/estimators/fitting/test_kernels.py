"""Operators fitted to measured kernels: what the tables may hold, and what the curves say of cases one can work out."""

from __future__ import annotations

from pathlib import Path

import pytest

from estimators.fitting.kernels_measured import KERNELS, kernels, read_kernels
from estimators.latency.operators import OPERATORS, Place, find_operator
from estimators.provenance import Refusal, read_table
from tests.conftest import ROOT

H100 = Place(chip="H100-SXM5", chip_class="sm9.0", memory_kind="hbm", engine="vllm")
A10G = Place(chip="A10G", chip_class="sm8.6", memory_kind="gddr", engine="vllm")
HEADER = "chip,engine,version,format,m,n,k,latency_us,source,as_of\n"
# 8192 x 8192 in 16 bits is 134 MB, 40.1 us at 3.35 TB/s
SOUND = "H100-SXM5,vllm,0.24.0,16bit,1,8192,8192,51.64,here,2026-11-28\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in KERNELS.glob("*.csv")))
def test_every_committed_kernel_is_sound(name: str) -> None:
    assert len(kernels(name)) > 500


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (SOUND, "the same kernel twice"),
        (SOUND.replace("H100-SXM5", "H100X"), "no accelerator whose kernels are known"),
        (SOUND.replace("vllm", "tgi"), "no engine whose kernels are known"),
        (SOUND.replace(",1,8192", ",2,8192").replace("51.64", "-1"), "no positive number"),
        (SOUND.replace(",1,8192", ",2,8192").replace("51.64", "fast"), "could not convert"),
        (SOUND.replace(",1,8192", ",8192,8192"), "less than the"),  # 1.1 TFLOP in 51.64 us on 989 TFLOP/s
    ],
)
def test_a_kernel_that_cannot_be_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "products.csv"
    path.write_text(HEADER + SOUND + line, encoding="utf-8")
    with pytest.raises(Refusal, match=rf"products.csv:3: .*{said}"):
        list(read_kernels(path))


def test_an_all_reduce_over_eight_h100_starts_within_six_microseconds() -> None:
    """8 K elements over eight H100 take 3.6 us (TensorRT-LLM) to 5.3 us (vLLM) in a captured graph."""
    trt = Place(chip="H100-SXM5", chip_class="sm9.0", memory_kind="hbm", engine="tensorrt-llm")
    assert find_operator("all_reduce", "8", trt).start_s == pytest.approx(3.6e-6, rel=0.1)
    assert find_operator("all_reduce", "8", H100).start_s == pytest.approx(5.3e-6, rel=0.1)


def test_a_large_product_of_one_token_reads_at_the_share_its_kernels_show() -> None:
    """134 MB in 16 bits on an H100 by vLLM: 51.6 us published, of which 40.1 us are the data sheet's bandwidth."""
    found = find_operator("product", "16bit", H100)
    assert found.start_s + 8192 * 8192 * 2 / 3.35e12 / found.memory == pytest.approx(51.64e-6, rel=0.06)


def test_a_chip_without_kernels_stands_where_its_kind_of_memory_does() -> None:
    kin = find_operator("product", "16bit", A10G)
    l40s, pro = (
        find_operator("product", "16bit", Place(chip=chip, chip_class="", memory_kind="gddr", engine="vllm"))
        for chip in ("L40S", "RTX PRO 6000 Blackwell Server")
    )
    assert min(l40s.memory, pro.memory) <= kin.memory <= max(l40s.memory, pro.memory)


def test_mxfp4_on_a_chip_that_widens_it_is_like_those_that_widen_it_too() -> None:
    """B200 reaches 11 % of the 4.5 PFLOP/s it has in FP8; H100 and H200 reach 46 % of their 16-bit peak,
    and so does an A100, whose peak is of 16 bits as well."""
    a100 = Place(chip="A100-80GB-SXM4", chip_class="sm8.0", memory_kind="hbm", engine="vllm")
    assert find_operator("expert", "mx4", a100).compute == pytest.approx(0.46, abs=0.02)
    b200 = Place(chip="B200", chip_class="sm10", memory_kind="hbm", engine="vllm")
    assert find_operator("expert", "mx4", b200).compute == pytest.approx(0.11, abs=0.01)


def test_curves_are_close_to_the_kernels_they_come_from() -> None:
    off: dict[str, list[float]] = {}
    for row in read_table(ROOT / "estimators" / "latency" / "data" / "operators.csv"):
        off.setdefault(row["operator"], []).append(float(row["median_off"]))
    assert set(off) == set(OPERATORS)
    typical = {operator: sorted(found)[len(found) // 2] for operator, found in off.items()}
    assert all(found <= 0.12 for found in typical.values()), typical
    assert typical["product"] <= 0.08
