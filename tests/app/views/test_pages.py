"""Each page, run without a browser: no exception, the numbers of the article, hostile links named."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.views.pages import metrics, unfolded
from tests.conftest import ROOT

MAIN = str(ROOT / "app" / "main.py")


def run(**query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=30)
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def text_of(page: AppTest) -> str:
    return " ".join(element.value for element in [*page.markdown, *page.caption]).replace("\\", "")


def test_the_first_screen_answers_with_nothing_but_the_bundle() -> None:
    page = run()
    assert not page.exception
    assert "Llama 3.1 8B in BF16 fits one L4 (g6.xlarge): $588 a month." in text_of(page)
    assert "snapshot of" in text_of(page)


def test_what_was_negotiated_is_in_the_answer_with_its_list_price() -> None:
    """0.8 x $587.50 is $470; typed into the box it is the same, and a discount nobody gets is named."""
    assert "fits one L4 (g6.xlarge): $470 a month." in text_of(page := run(discount="20"))
    assert "$0.8048 list less 20 % entered" in text_of(page)
    typed = unfolded(run(), "more")
    typed.text_input(key="discount").set_value("20").run()
    assert "fits one L4 (g6.xlarge): $470 a month." in text_of(typed)
    absurd = run(discount="95")
    assert "`discount=95` needs a number from 0 to 90" in absurd.warning[0].value
    assert "fits one L4 (g6.xlarge): $588 a month." in text_of(absurd)


@pytest.mark.parametrize(
    ("model", "weights", "instance", "cost"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "bf16", "g5.xlarge", "$734"),
        ("meta-llama/Llama-3.1-70B-Instruct", "bf16", "p4d.24xlarge", "$16,029"),
        ("meta-llama/Llama-3.1-405B", "fp8", "p5.48xlarge", "$40,179"),
    ],
)
def test_the_articles_machines_cost_what_it_says(model: str, weights: str, instance: str, cost: str) -> None:
    page = run(model=model, weights=weights, instance=instance)
    assert not page.exception
    assert metrics(page)["Monthly cost"][0] == cost


def test_a_hostile_link_is_named_and_nothing_breaks() -> None:
    page = run(prompt="9" * 400, util="inf", model="<script>alert(1)</script>", weird="x", gpus="-1")
    assert not page.exception
    notice = page.warning[0].value.replace("\\", "")
    for key in ("prompt", "util", "model", "weird", "gpus"):
        assert key in notice


@pytest.mark.parametrize("key", ["gpu", "engine_version"])
def test_words_of_a_link_are_quoted_and_make_no_link(key: str) -> None:
    page = run(**{key: "[free credits](https://evil.example)"})
    assert not page.exception
    (notice,) = [box.value for box in page.warning if "free credits" in box.value]
    assert f"`{key}=[free credits](https://evil.example)`" in notice


def test_changing_a_box_changes_the_answer() -> None:
    page = unfolded(run(), "more")
    page.selectbox(key="weights").set_value("int4").run()
    assert not page.exception
    assert "in INT4" in text_of(page)


def test_an_unknown_model_says_what_to_do() -> None:
    page = run(model="nobody/nothing")
    assert not page.exception
    assert "nobody/nothing" in text_of(page)


def test_a_bare_count_is_labelled_an_approximation() -> None:
    page = run(model="13B")
    assert not page.exception
    assert "typical 13B model" in text_of(page)


@pytest.mark.parametrize(
    "view",
    [
        "memory",
        "speed",
        "prices",
        "compare",
        "profile",
        "accuracy",
        "commit",
        "scaling",
        "load",
        "pipelines",
        "apis",
        "change",
    ],
)
def test_every_other_page_opens(view: str) -> None:
    page = run().switch_page(f"views/{view}.py").run()
    assert not page.exception


def test_owned_hardware_is_priced_only_once_its_price_is_given() -> None:
    page = run(instance="g6.xlarge").switch_page("views/cost.py").run()
    assert not page.exception
    assert page.number_input(key="own_purchase").value is None
    assert "rented." not in text_of(page)
    assert any("Give the price of the machine" in box.value for box in page.info)
    page.number_input(key="own_purchase").set_value(8_000).run()
    assert " a month, beside $588 rented." in text_of(page)


def test_storage_and_transfer_are_billed_at_published_rates_or_at_those_that_were_entered() -> None:
    """$587.50, and 100 GB at $0.08, or at $0.50 of one's own."""
    page = run(instance="g6.xlarge").switch_page("views/cost.py").run()
    assert "Not included: a control plane, load balancers, logs, storage, transfer" in text_of(page)
    page.number_input(key="bill_storage").set_value(100).run()
    assert "The whole bill is $596 a month" in text_of(page)
    assert "Not included: a control plane, load balancers, logs, transfer" in text_of(page)
    page.text_input(key="bill_rates").set_value("storage:0.5").run()
    assert "The whole bill is $638 a month" in text_of(page)


def test_a_spot_price_of_last_year_is_said_to_be_old_beside_the_verdict() -> None:
    page = run(instance="g5.2xlarge", buy="spot")
    assert "too old to count on" in " ".join(box.value for box in page.warning)


def test_a_folded_box_that_holds_something_is_drawn_so_that_the_address_keeps_it() -> None:
    """Everything under More is worked out when it is unfolded, but for what a link gave."""
    page = run(prompt="4096", kv="fp8", util="0.8", pp="2")
    keys = {box.key for boxes in (page.number_input, page.text_input, page.selectbox) for box in boxes}
    assert {"prompt", "kv", "util", "pp"} <= keys
    assert not {"output", "weights", "engine", "gpus", "lora", "eager"} & keys
    assert page.session_state["_run"].plan.asked.prompt == 4096
    page = unfolded(page, "more")
    assert (page.number_input(key="prompt").value, page.number_input(key="output").value) == (4096, 128)
    assert (page.selectbox(key="kv").value, page.selectbox(key="weights").value) == ("fp8", "as-published")


def test_what_was_chosen_stays_when_it_is_folded_away() -> None:
    page = unfolded(run(), "more", "choices")
    page.number_input(key="prompt").set_value(2048)
    page.multiselect(key="q_ways").set_value(["spot"]).run()
    page.session_state["more"] = page.session_state["choices"] = False
    page.run().run()
    assert page.session_state["_run"].plan.asked.prompt == 2048
    assert page.text_input(key="ways").value == "spot"
    assert unfolded(page, "choices").multiselect(key="q_ways").value == ["spot"]
