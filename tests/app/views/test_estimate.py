"""Every number of the first screen is the plan's."""

from __future__ import annotations

import pytest

from app.format import gib, seconds, span, usd
from tests.app.views.pages import metrics, opened, planned, table, text_of, unfolded

# 9 requests over 2 machines at $0.8048 for 100 hours: 2 x 0.8048 x 100 = $160.96.
LINK = {"instance": "g6.xlarge", "concurrency": "9", "replicas": "2", "hours": "100"}


def test_the_four_boxes() -> None:
    boxes, (_, chosen) = metrics(opened(**LINK)), planned(**LINK)
    memory, latency, cost = chosen.memory, chosen.latency, chosen.cost
    assert memory is not None
    assert latency is not None
    assert cost is not None
    assert boxes["Monthly cost"] == ("$161", "$1.61 an hour")
    assert boxes["Memory per GPU"] == (
        gib(memory.memory_bytes_per_gpu),
        f"of {gib(memory.memory_budget_bytes_per_gpu)} usable",
    )
    assert boxes["Whole request"] == (seconds(latency.e2e_s.value), span(latency.e2e_s.low, latency.e2e_s.high))
    low, high = cost.usd_per_million_low, cost.usd_per_million_high
    assert low is not None
    assert high is not None
    assert low < (cost.usd_per_million_output_tokens or 0) < high
    assert boxes["Per million output tokens"][1] == f"{usd(low)} to {usd(high)}"


def test_the_interval_of_memory_and_the_table_of_times() -> None:
    page, (_, chosen) = opened(**LINK), planned(**LINK)
    memory, latency = chosen.memory, chosen.latency
    assert memory is not None
    assert latency is not None
    ends = f"{gib(memory.memory_bytes_per_gpu_low)} to {gib(memory.memory_bytes_per_gpu_high)}"
    assert f"80 % interval {ends}." in text_of(page)
    for name, mean, late in (
        ("Time to first token", latency.ttft_s, latency.ttft_p95_s),
        ("Time per output token", latency.tpot_s, latency.tpot_p95_s),
        ("Whole request", latency.e2e_s, latency.e2e_p95_s),
    ):
        assert f"| {name} | {span(mean.low, mean.high)} | {seconds(late)} |" in text_of(page)


def test_the_chosen_machines_row() -> None:
    """The two machines of the plan, not the one that would carry it alone, and the share of memory they use."""
    page, (_, chosen) = opened(**LINK), planned(**LINK)
    memory = chosen.memory
    assert memory is not None
    (row,) = [row for row in table(page, "Memory used") if row["Machine"] == "2 x g6.xlarge"]
    assert row["A month"] == pytest.approx(160.96)
    assert row["Memory used"] == pytest.approx(memory.memory_bytes_per_gpu / memory.memory_budget_bytes_per_gpu)
    assert 0 < row["Memory used"] < 1
    assert row["Holds"] == memory.max_concurrency


def test_formula_inputs_and_source_of_each_box_stand_in_the_popover_once_it_is_open() -> None:
    page, (_, chosen) = opened(**LINK), planned(**LINK)
    assert "Source: " not in text_of(page)
    said = text_of(unfolded(page, "how"))
    assert chosen.memory is not None
    assert chosen.latency is not None
    assert chosen.cost is not None
    terms = [*chosen.memory.terms, *chosen.latency.terms, *chosen.cost.terms]
    assert said.count("Source: ") == len(terms) > 10
    assert all(term.label in said for term in terms)


def test_the_machines_beside_it_are_those_near_its_price_and_the_others_are_folded() -> None:
    query = {"concurrency": "9"}
    page, (plan, chosen) = opened(**query), planned(**query)
    (near,) = (found.value for found in page.dataframe if "Machine" in found.value)
    most = 3 * float(chosen.usd_per_month or 0)
    assert near["A month"].max() <= most
    rows = table(unfolded(page, "dear"), "Machine", "Why not")
    tables = [found.value for found in page.dataframe if "Machine" in found.value]
    assert len(tables) == 2
    assert rows == near.to_dict("records")
    assert not set(near["Accelerators of a copy"]) & set(tables[1]["Accelerators of a copy"])
    chips = {f"{c.placement.gpus} x {c.accelerator}" if c.placement else c.accelerator for c in plan.candidates}
    assert set(near["Accelerators of a copy"]) | set(tables[1]["Accelerators of a copy"]) == chips
