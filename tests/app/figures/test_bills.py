"""The steps of a bill: from list price to everything counted."""

from __future__ import annotations

from app.figures.bills import waterfall


def test_steps_lead_from_the_list_price_to_the_whole_bill() -> None:
    """$100 at list less $20, and $30 beside: $110."""
    steps = waterfall(100.0, [("Machines", 80.0), ("People", 30.0)]).data[0]
    assert list(steps.x) == ["At list price", "Negotiated", "People", "Whole bill"]
    assert list(steps.y) == [100.0, -20.0, 30.0, 110.0]
    assert list(steps.measure) == ["absolute", "relative", "relative", "total"]
    assert list(steps.text) == ["$100", "\u2212$20.00", "$30.00", "$110"]


def test_without_anything_negotiated_the_machines_are_the_first_step() -> None:
    steps = waterfall(80.0, [("Machines", 80.0)]).data[0]
    assert list(steps.x) == ["Machines", "Whole bill"]
    assert list(steps.y) == [80.0, 80.0]
