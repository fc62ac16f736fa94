"""Every number of the first screen is the plan's."""

from __future__ import annotations

import threading

import pytest

from app.exploring.question_link import Asked
from app.format import gib, percent, seconds, span, usd
from app.scenario import Decoded, Scenario
from app.sources import shared_sources
from app.views import current
from tests.app.views.pages import machines, metrics, opened, planned, table, text_of, unfolded

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
    (row,) = [row for row in machines(page) if row["Machine"] == "2 x g6.xlarge"]
    assert row["A month"] == "$161"
    used = memory.memory_bytes_per_gpu / memory.memory_budget_bytes_per_gpu
    assert 0 < used < 1
    assert row["Memory used"] == percent(used)
    assert row["Holds"] == str(memory.max_concurrency)


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
    near = machines(page)
    most = 3 * float(chosen.usd_per_month or 0)
    assert all(float(row["A month"].strip("$").replace(",", "")) <= most for row in near)
    rest = table(unfolded(page, "dear"), "Machine", "Why not")
    assert machines(page) == near
    above, below = ({row["Accelerators of a copy"] for row in rows} for rows in (near, rest))
    assert not above & below
    chips = {f"{c.placement.gpus} x {c.accelerator}" if c.placement else c.accelerator for c in plan.candidates}
    assert above | below == chips


@pytest.mark.parametrize(
    "query", [{"owned": "8 x A100-80GB"}, {"buy": "owned", "price": "2", "gpu": "A100-80GB", "concurrency": "8"}]
)
def test_of_ones_own_hardware_the_machine_is_that_of_the_plan(query: dict[str, str]) -> None:
    page = opened(**query)
    (row,) = machines(page)
    assert row["Accelerators of a copy"] == "1 x A100-80GB-SXM4"
    assert not [fold for fold in page.expander if fold.label.startswith("Other machines")]


def test_where_none_will_do_the_fold_says_so() -> None:
    page = opened(ttft="0.0001")
    assert not machines(page)
    assert [fold.label for fold in page.expander if "Machines" in fold.label] == ["Machines that will not do, and why"]
    assert all(row["Why not"] for row in table(unfolded(page, "dear"), "Machine", "Why not"))


def test_the_pages_of_two_threads_are_those_of_their_own_visits() -> None:
    """The run of a page is at hand by its thread; one that began in another is not seen."""
    told = {}

    def visit(concurrency: int) -> None:
        begun.wait(timeout=10)
        current.begin(Decoded(Scenario(concurrency=concurrency), (), None), Asked(), shared_sources(), ())
        begun.wait(timeout=10)
        told[concurrency] = current.scenario().concurrency

    begun = threading.Barrier(2)
    threads = [threading.Thread(target=visit, args=(concurrency,)) for concurrency in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert told == {3: 3, 4: 4}
