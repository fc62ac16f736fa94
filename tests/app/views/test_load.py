"""The page that takes a load in people's units."""

from __future__ import annotations

from tests.app.views.pages import opened, table, text_of


def test_a_link_opens_to_its_load() -> None:
    page = opened("load", load_unit="tasks a day", load_amount="86400", load_each="1", load_peak="1", load_out="64")
    assert "1.00 requests a second at the peak, on average 1,024 tokens in and 64 out" in text_of(page)


def test_a_small_amount_is_read_as_it_was_given() -> None:
    page = opened("load", load_amount="0.05", load_each="1", load_peak="1")
    assert not page.warning
    assert "0.0000139 requests a second" in text_of(page)  # 0.05 / 3600
    page.number_input(key="load_amount").set_value(0.00005).run()
    assert not page.warning  # refused by the planner's range, not as no number
    assert ["0.000001 to 1,000,000" in box.value.replace("\\", "") for box in page.error] == [True]


def test_the_first_screen_is_asked_for_it() -> None:
    page = opened("load", load_amount="3000", load_each="12", load_peak="1", load_in="200/1000/8000", concurrency="5")
    page.button(key="take_load").click().run()
    assert page.text_input(key="rate").value == "10"
    assert page.number_input(key="prompt").value == 2550
    assert page.number_input(key="concurrency").value is None
    assert page.number_input(key="max_len").value == 8128


def test_lengths_of_a_pasted_log() -> None:
    page = opened("load")
    page.text_area(key="load_pasted").set_value("1000,100\n3000,300").run()
    assert [row["Tokens in"] for row in table(page, "Share", "Tokens in")] == ["1,000", "3,000", ""]
    page.text_area(key="load_pasted").set_value("hello").run()
    assert ["says no lengths" in box.value for box in page.error] == [True]


def test_a_pasted_log_with_timestamps_gives_the_rate_until_it_is_told_not_to() -> None:
    """One request each two seconds for 20 minutes: half a request a second, at the peak as well."""
    lines = [f"{1_793_577_600 + 2 * number},1000,100" for number in range(601)]
    page = opened("load")
    page.text_area(key="load_pasted").set_value("\n".join(["timestamp,in,out", *lines])).run()
    assert not page.exception
    assert "0.501 requests a second" in text_of(page)
    assert "601 requests from 2026-11-02 00:00 to 2026-11-02 00:20 UTC" in text_of(page)
    page.toggle(key="timed").set_value(False).run()
    assert "3.33 requests a second" in text_of(page)  # 500 people, as the boxes say


def test_what_a_link_may_not_ask_is_named_with_its_range() -> None:
    page = opened("load", load_peak="101", load_turns="0", load_unit="cats")
    said = " ".join(box.value for box in page.warning).replace("\\", "")
    assert "from 1 to 100" in said
    assert "load_turns" in said
    assert "people, tasks a day or million output tokens a month" in said
