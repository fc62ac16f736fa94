"""Every number of the Cost page: what is typed there, worked by hand."""

from __future__ import annotations

from app.exploring.token_cost import prices_of_tokens
from app.format import usd
from tests.app.views.pages import metrics, opened, planned, table, text_of, unfolded

LINK = {"instance": "g6.xlarge"}


def test_tokens_at_half_the_hours_cost_twice() -> None:
    page = opened("cost", **LINK)
    page.slider(key="bill_busy").set_value(50).run()
    found, _ = planned(**LINK)
    busy = prices_of_tokens(found, 1.0)
    assert busy is not None
    boxes = metrics(page)
    for name, whole in (
        ("input", busy.usd_per_million_input),
        ("output", busy.usd_per_million_output),
        ("blended", busy.usd_per_million_blended),
    ):
        assert boxes[f"Per million {name} tokens, as billed"] == (usd(2 * whole), f"{usd(whole)} if always busy")


def test_a_discount_and_every_line_beside_the_machines() -> None:
    """$587.50 at list less 20 % is $470.00; EKS is $73 less 20 %; a tenth of an engineer of $120,000 is $1,000 a month:
    $1,528.40; a spare machine is $470 more."""
    page = opened("cost", discount="20", bill_control="eks", bill_people="10", bill_salary="120000", **LINK)
    said = text_of(page)
    assert (
        "The whole bill is $1,528 a month: $470 for the machines alone, one L4 (g6.xlarge), and $1,058 beside" in said
    )
    assert "What was negotiated saves $118 of $588 at list." in said
    lines = {row["Line"]: row["A month"] for row in table(page, "Line", "A month")}
    assert lines == {"Machines": "$470", "Control plane": "$58.40", "People": "$1,000", "Whole bill": "$1,528"}
    page.number_input(key="bill_spare").set_value(1).run()
    assert "The whole bill is $1,998 a month" in text_of(page)
    assert not page.exception


def test_business_hours_of_one_machine() -> None:
    """Ten hours of five days and ten minutes to start each: 50.83 of 168 hours a week, of 730 a month 220.9 at $0.8048:
    $177.77, beside 587.50 left on. The load averages 50 / 168 = 30 % of its peak."""
    page = opened("cost", week="8-18x5", **LINK)
    said = text_of(page)
    assert "The machines alone, one L4 (g6.xlarge), are $178 a month; nothing beside them is counted." in said
    assert "30 % of its peak on average: 221 instance hours" in said
    assert "left on all month they would be $588." in said


def test_load_out_of_hours_is_a_share_of_the_peak() -> None:
    """(50 + 118 x 20 %) / 168 = 43.8 %."""
    page = opened("cost", week="8-18x5@20", **LINK)
    assert "44 % of its peak" in text_of(page)


def test_a_week_can_be_drawn_hour_by_hour() -> None:
    page = unfolded(opened("cost", week="8-18x5", **LINK), "week_fold")
    assert not page.exception
    grid = next(frame.value for frame in page.dataframe if "23" in frame.value.columns)
    assert list(grid.loc["Mon"][["7", "8", "17", "18"]]) == [0, 100, 100, 0]


def test_what_cannot_be_billed_is_said_and_the_rest_of_the_page_stands() -> None:
    page = opened("cost", region="eu-west-1", bill_storage="10", instance="g5.xlarge", bill_people="9" * 9)
    assert "Enter eu-west-1's as your own, such as storage:0.08." in page.error[0].value
    assert "bill_people=999999999" in page.warning[0].value
    assert "What a million tokens cost" in text_of(page)


def test_a_machine_of_ones_own() -> None:
    """$35,040 over four years is $1.00 an hour. One L4 of 72 W and 500 W of host are 0.57 kW; half busy, at $0.10 and
    PUE 2: 0.57 x 0.10 x 2 x 0.5 = $0.057. Upkeep of $876 a year: $0.10. $1.157 an hour, x 730 = $844.61."""
    page = opened("cost", **LINK)
    assert page.number_input(key="own_kw").placeholder == "0.57, from the data sheet"
    for key, value in (("own_purchase", 35_040), ("own_tariff", 0.10), ("own_pue", 2.0), ("own_upkeep", 876)):
        page.number_input(key=key).set_value(value)
    page.number_input(key="own_busy").set_value(50).run()
    assert not page.exception
    assert "$1.16 an hour, $845 a month, beside $588 rented. Renting is the cheaper in whichever hours." in text_of(
        page
    )
    rows = {row["Part"]: row["An hour"] for row in table(page, "Part", "An hour")}
    assert rows == {"Purchase": "$1.00", "Power": "$0.06", "Upkeep": "$0.10", "An hour of the calendar": "$1.16"}
