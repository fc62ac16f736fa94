"""The whole bill of a plan, and hardware of one's own beside it, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from app.exploring.own_hardware import OwnHardware, own_hardware, owned_finding, owned_scenario, owned_sentence
from app.exploring.whole_bill import bill_asked, bill_finding, bill_sentence, edited_week, own_rates_of, whole_bill
from app.kinds import NEGOTIATED
from app.planning.planner import plan
from app.scenario import Scenario, decode_page
from app.sources import shared_sources
from estimators.provenance import Refusal
from pricing.commitments import week_of
from pricing.offers import PurchaseOption

SOURCES = shared_sources()
L4 = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge")
TODAY = date(2026, 11, 28)


def asked(**flat: str) -> dict[str, object]:
    values, problems = decode_page(flat)
    assert problems == ()
    return values


def owned(scenario: Scenario = L4, **flat: str) -> OwnHardware:
    found = own_hardware(plan(scenario, SOURCES), asked(**flat), TODAY)
    assert found is not None
    return found


def test_the_machines_alone_are_what_the_first_screen_says() -> None:
    for scenario in (
        L4,
        replace(L4, hours=Decimal(200)),
        replace(L4, concurrency=40),
        replace(L4, discount=Decimal(20)),
    ):
        result = plan(scenario, SOURCES)
        found = whole_bill(result, bill_asked({}))
        assert result.chosen is not None
        assert result.chosen.cost is not None
        assert found.bill.usd_per_month == found.bill.machines_usd == result.chosen.cost.usd_per_month


def test_a_million_tokens_cost_the_bill_over_the_tokens_of_the_month() -> None:
    """In half of the hours there are half of the tokens; always busy, a million costs what the first screen says."""
    result = plan(L4, SOURCES)
    always, half = (whole_bill(result, bill_asked(asked(week=week))) for week in ("always", "0-12x7"))
    assert half.output_tokens == pytest.approx((always.output_tokens or 0) / 2)
    assert result.chosen is not None
    assert result.chosen.cost is not None
    alone = always.per_million(always.bill.machines_usd)
    assert float(alone or 0) == pytest.approx(float(result.chosen.cost.usd_per_million_output_tokens or 0))


def test_the_sentence_parts_the_machines_from_what_stands_beside_them() -> None:
    """$470.00 of machines, $58.40 of EKS and a tenth of an engineer of $120,000."""
    result = plan(replace(L4, discount=Decimal(20)), SOURCES)
    values = asked(bill_control="eks", bill_people="10", bill_salary="120000")
    found = whole_bill(result, bill_asked(values))
    assert bill_sentence(found) == (
        "The whole bill is $1,528 a month: $470 for the machines alone, one L4 (g6.xlarge), and $1,058 beside them, "
        "the most for people ($1,000). What was negotiated saves $118 of $588 at list."
    )
    finding = bill_finding(found)
    assert [row[:2] for row in finding.rows] == [
        ("Machines", "$470"), ("Control plane", "$58.40"), ("People", "$1,000"), ("Whole bill", "$1,528"),
    ]  # fmt: skip
    assert all(len(row) == len(finding.heads) for row in finding.rows)
    assert any("$0.8048 list less 20 % entered" in note for note in finding.notes)


def test_a_negotiated_price_is_on_the_bill_with_its_saving() -> None:
    result = plan(replace(L4, negotiated=NEGOTIATED("g6.xlarge:0.6")), SOURCES)
    said = bill_sentence(whole_bill(result, bill_asked({})))
    assert "are $438 a month" in said  # 0.6 x 730
    assert "saves $150 of $588 at list" in said


def test_rates_of_ones_own_are_named_by_line() -> None:
    assert own_rates_of("storage:0.1, transfer : 0.12") == {"storage": Decimal("0.1"), "transfer": Decimal("0.12")}
    with pytest.raises(Refusal, match="'eks' is no line of the bill") as refused:
        own_rates_of("eks:0.1")
    assert refused.value.field == "bill_rates"


@pytest.mark.parametrize(
    ("key", "text"),
    [("bill_people", "99999"), ("bill_rates", "storage=1"), ("bill_control", "gke"), ("own_capital", "51"),
     ("own_years", "0"), ("week", "b" * 167)],
)  # fmt: skip
def test_what_no_bill_holds_is_named_with_its_range(key: str, text: str) -> None:
    values, problems = decode_page({key: text})
    assert values == {}
    assert [problem.key for problem in problems] == [key]


def test_a_plan_without_a_price_has_no_bill() -> None:
    unsold = plan(replace(L4, instance=None, gpu="MI250X"), SOURCES)
    with pytest.raises(Refusal):
        whole_bill(unsold, bill_asked({}))


def test_cells_of_the_grid_become_the_week_of_the_link() -> None:
    text = edited_week(week_of("8-18x5").shares, {0: {"8": 50.0, "9": None}, 6: {"23": 400.0}})
    shares = week_of(text).shares
    assert (shares[8], shares[9], shares[10], shares[167]) == (0.5, 0.0, 1.0, 1.0)


def test_a_machine_of_ones_own_pays_from_its_price_over_the_rented() -> None:
    """$17,520 over four years is $0.50 an hour, no power: of $0.8048 rented 62.1 %, and 37.9 % off would even them."""
    found = owned(own_purchase="17520", own_kw="0")
    assert (found.offer.usd_per_hour, found.usd_per_month) == (Decimal("0.5"), Decimal(365))
    assert found.pays_from == Decimal("0.5") / Decimal("0.8048")
    assert found.even_discount is not None
    assert found.even_discount == pytest.approx(Decimal("0.37873"), abs=Decimal("0.00001"))
    assert owned_sentence(found) == (
        "$0.50 an hour, $365 a month, beside $588 rented. Owning pays from 62 % of the month's hours. "
        "38 % off the list price would make renting as cheap."
    )


def test_the_discount_that_evens_owning_and_renting_does() -> None:
    found = owned(own_purchase="17520", own_kw="0")
    assert found.even_discount is not None
    less = plan(replace(L4, discount=round(100 * found.even_discount, 6)), SOURCES)
    assert less.chosen is not None
    assert float(less.chosen.usd_per_month or 0) == pytest.approx(float(found.usd_per_month), rel=1e-6)


def test_a_discount_of_aws_is_not_taken_off_what_one_owns() -> None:
    plain, less = (owned(replace(L4, discount=Decimal(n)), own_purchase="17520", own_kw="0") for n in (0, 50))
    assert plain.usd_per_month == less.usd_per_month
    assert less.pays_from is None  # $0.4024 rented
    assert owned_sentence(less) == (
        "$0.50 an hour, $365 a month, beside $294 rented. Renting is the cheaper in whichever hours."
    )
    scenario = owned_scenario(plan(replace(L4, discount=Decimal(50)), SOURCES), less)
    opened = plan(scenario, SOURCES)
    assert scenario.buy is PurchaseOption.OWNED
    assert opened.chosen is not None
    assert opened.chosen.usd_per_month == 365


def test_every_part_of_the_hour_is_a_row() -> None:
    found = owned(
        own_purchase="250000", own_capital="10", own_kw="10.2", own_busy="100", own_pue="1.3", own_space="8760",
        own_staff="17520", own_resale="0",
    )  # fmt: skip
    finding = owned_finding(found)
    assert [row[:2] for row in finding.rows] == [
        ("Purchase", "$7.13"), ("Cost of capital", "$1.87"), ("Power", "$1.59"), ("Space", "$1.00"),
        ("Staff", "$2.00"), ("An hour of the calendar", "$13.59"),
    ]  # fmt: skip


def test_without_a_price_nothing_is_said_of_owning() -> None:
    assert own_hardware(plan(L4, SOURCES), {}, TODAY) is None
