"""The page of pipelines and routers."""

from __future__ import annotations

from tests.app.views.pages import opened, table, text_of

STEPS = "classify, Llama 3.1 8B, 5, 1024, 128, 0.5\nsynthesis, Llama 3.1 70B, 1, 4096, 512, 0"


def test_a_link_opens_to_its_steps() -> None:
    page = opened("pipelines", pipe_steps=STEPS, pipe_tasks="200000")
    assert "200,000 tasks a day cost" in text_of(page)
    assert [row["Step"] for row in table(page, "Step", "Model")] == ["classify", "synthesis"]


def test_a_link_opens_to_its_router() -> None:
    page = opened("pipelines", pipe_kind="router", pipe_tasks="500000", route_share="60")
    assert "60 % of 500,000 tasks a day to Llama 3.1 8B" in text_of(page)


def test_steps_in_a_circle_and_none_are_refused_on_the_page() -> None:
    page = opened("pipelines", pipe_steps="a, 8B, 1, 9, 1, 0, a")
    assert ["in a circle" in box.value for box in page.error] == [True]
    page.text_area(key="pipe_steps").set_value("").run()
    assert ["There are no steps" in box.value for box in page.error] == [True]
