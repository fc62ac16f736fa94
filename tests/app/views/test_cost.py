"""Every number of the Cost page: what is typed there, worked by hand."""

from __future__ import annotations

from decimal import Decimal

from app.exploring.token_cost import prices_of_tokens
from app.format import usd
from tests.app.views.pages import metrics, opened, planned, text_of

LINK = {"instance": "g6.xlarge"}


def test_tokens_at_half_the_hours_cost_twice() -> None:
    page = opened("cost", **LINK)
    page.slider(key="utilisation").set_value(50).run()
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


def test_business_hours_of_one_machine() -> None:
    """Ten hours of five days and ten minutes to start each: 50.83 of 168 hours a week, of 730 a month 220.9 at $0.8048:
    $177.77, beside 587.50 left on. The load averages 50 / 168 = 30 % of its peak."""
    page = opened("cost", **LINK)
    page.button_group(key="profile").set_value("business hours").run()
    assert not page.exception
    boxes = metrics(page)
    assert boxes["Instance hours"][0] == "221"
    assert boxes["As billed"][0] == "$178"
    assert boxes["If left on all month"][0] == "$588"
    assert "Load averages 30% of its peak" in text_of(page)


def test_load_out_of_hours_is_a_share_of_the_peak() -> None:
    """(50 + 118 x 20 %) / 168 = 43.8 %."""
    page = opened("cost", **LINK)
    page.button_group(key="profile").set_value("business hours").run()
    page.number_input(key="profile_rest").set_value(20).run()
    assert "Load averages 44% of its peak" in text_of(page)


def test_a_machine_of_ones_own() -> None:
    """$35,040 over four years is $1.00 an hour. One L4 of 72 W and 500 W of host are 0.57 kW; half busy, at $0.10 and
    PUE 2: 0.57 x 0.10 x 2 x 0.5 = $0.057. Upkeep of $876 a year: $0.10. $1.157 an hour, x 730 = $844.61."""
    page = opened("cost", **LINK)
    assert page.number_input(key="own_kw").value == 0.57
    for key, value in (("own_purchase", 35_040), ("own_busy", 50), ("own_tariff", 0.10), ("own_pue", 2.0)):
        page.number_input(key=key).set_value(value)
    page.number_input(key="own_upkeep").set_value(876).run()
    assert not page.exception
    assert metrics(page)["Owned, a month"][0] == usd(Decimal("844.61"))
    assert "$1.16 an hour, $845 a month, beside $588 rented." in text_of(page)
