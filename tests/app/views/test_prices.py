"""Every number of the Prices page's table, by hand."""

from __future__ import annotations

import pytest

from tests.app.views.pages import opened, table


def test_an_hour_of_a_machine_of_an_accelerator_of_a_gib_and_of_a_tflop() -> None:
    """g6.12xlarge, $4.6016 an hour: 4 L4, 4 x 22.35 GiB as EC2 counts them, and 4 x 121 TFLOP/s."""
    page = opened("prices", instance="g6.12xlarge")
    page.multiselect(key="price_chips").set_value(["L4"]).run()
    rows = table(page, "$/GPU-h")
    (row,) = [one for one in rows if one["Machine"] == "g6.12xlarge" and one["Region"] == "us-east-1"]
    assert row["Accelerators"] == "4 x L4"
    assert (row["$/h"], row["$/GPU-h"]) == pytest.approx((4.6016, 1.1504))
    assert row["$/GiB-h"] == pytest.approx(4.6016 / (4 * 22.35), rel=0.01)
    assert row["$/TFLOP-h"] == pytest.approx(4.6016 / (4 * 121), rel=0.01)
