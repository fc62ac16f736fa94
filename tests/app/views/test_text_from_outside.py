"""Every text field of every source, through every output: words, and no markup, link or heading anywhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.exploring.report_page import plans_csv, plans_json, report_html
from app.measuring.jobs import measurement_store
from app.planning.planner import plan
from app.scenario import FROZEN, KEYS, QUESTION_KEYS, Scenario, decode, with_page_defaults
from app.sources import LocalSources, dashboard_sources
from app.storage import engine
from estimators.architecture.catalogue import load_config
from estimators.architecture.hub.client import HubClient
from estimators.measuring.measurement import Measurement, as_dict, from_dict
from pricing.book import Book
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.store import PriceStore
from tests.app.views.pages import MAIN, unfolded
from tests.conftest import ROOT
from tests.hostile import ALL, PAYLOADS, Tags, acts_in_markdown
from tests.profiling_samples import measurement
from tests.servers.hub import HubServer

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
OWN_TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
MARKDOWN = ("body", "label", "help", "text", "delta")  # what Streamlit reads as Markdown, of any element but these:
NOT_MARKDOWN = ("code", "html", "text_input", "text_area", "arrow_data_frame")


FOLDS = ("how", "why_memory", "why_latency", "why_load")  # formulas and sources, drawn once they are open


def opened(view: str = "", **query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    for fold in FOLDS:
        page.session_state[fold] = True
    page.run()
    if view:
        page.switch_page(f"views/{view}.py").run()
    return page


def shown(page: AppTest) -> Iterator[str]:
    """Every text of the page that Streamlit reads as Markdown."""
    for node in page._tree:
        told = getattr(node, "proto", None)
        if told is None or node.type in NOT_MARKDOWN:
            continue
        yield from (str(getattr(told, name)) for name in MARKDOWN if isinstance(getattr(told, name, None), str))
    for table in page.table:
        yield from (str(cell) for row in [table.value.columns, *table.value.to_numpy()] for cell in row)


def figures(page: AppTest) -> Iterator[str]:
    """Every text of every figure."""

    def texts(node: object) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        for part in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
            yield from texts(part)

    for chart in page.get("plotly_chart"):
        yield from texts(json.loads(chart.proto.spec))


def check(page: AppTest, *, told: bool = True) -> None:
    assert not page.exception
    texts = list(shown(page))
    assert not [found for text in texts if (found := acts_in_markdown(text))]
    assert not [text for text in figures(page) if "<" in text and "zqx" in text]
    assert not [cell for table in page.dataframe for cell in table.value.to_numpy().flat if str(cell).startswith("=")]
    assert not told or any("zqx" in text for text in texts)  # it did get there


def check_files(scenario: Scenario, sources: LocalSources) -> None:
    """The report, the CSV and the JSON of a plan."""
    found = plan(with_page_defaults(scenario), sources)
    page = Tags(report_html(found, link="?x=1", today=datetime.now(UTC).date()))
    assert set(page.names) <= OWN_TAGS
    assert page.names.count("h1") == 1
    assert not page.addresses
    cells = [cell for row in csv.reader(io.StringIO(plans_csv([found]))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    json.dumps(plans_json([found]), allow_nan=False)


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_link(text: str) -> None:
    keys = (*KEYS, *FROZEN, *QUESTION_KEYS, "v", text)
    check(opened(**dict.fromkeys(keys, text)))
    check(opened(model=text, owned=text, use=text, quality=text))
    check_files(decode({"gpu": f"A10G ({text})", "spec": text}).scenario, dashboard_sources())


def test_an_embedded_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "is_embedded", property(lambda _: True))
    for text in PAYLOADS:
        page = opened(model=text, gpu=text)
        assert not page.button  # it is the card
        check(page)


def test_pasted_links() -> None:
    page = opened("compare")
    lines = [f"model={MODEL}&" + urlencode({text: text, "gpu": text}) for text in PAYLOADS]
    for start in range(0, len(lines), 5):
        page.text_area(key="links").set_value("\n".join(lines[start : start + 5])).run()
        check(page)
    for text in PAYLOADS:
        page.text_area(key="links").set_value(f"model={text}").run()
        check(page, told=False)


def texts_of(made: Mapping[str, object]) -> list[str]:
    """The free text fields of a measurement, those of its device among them."""
    plain = [found.name for found in fields(Measurement) if found.type == "str" and isinstance(made[found.name], str)]
    return [name for name in plain if name not in ("id", "config_digest")] + ["device.name", "device.driver", "notes"]


def hostile_measurements() -> list[Measurement]:
    """One per text field and payload, as an export or a report may hold it; a field cut short shows the others."""
    found = []
    blank = as_dict(measurement())
    for field in texts_of(blank):
        for text in PAYLOADS:
            entry = json.loads(json.dumps(blank)) | {"id": f"{len(found):032x}"}
            if field == "notes":
                entry["notes"] = [text]
            elif field.startswith("device."):
                entry["device"][field[7:]] = text
            else:
                entry[field] = text
            found.append(from_dict(entry))
    return found


def test_measurements() -> None:
    made = hostile_measurements()
    measurement_store().add(made)
    page = opened("profile")
    said: list[str] = []
    for at in range(0, len(made), 4):  # each field by several payloads, each payload by several fields
        box = next(box for box in page.selectbox if box.label == "Measurement")
        page = box.set_value(made[at].id).run()
        check(page, told=False)
        said += shown(page)
    assert any("zqx" in text for text in said)


def test_a_measurement_laid_over_a_plan() -> None:
    made = replace(measurement(), provenance=ALL, notes=(ALL,), engine_version=ALL[:60])
    measurement_store().add([made])
    page = AppTest.from_file(MAIN, default_timeout=60)
    page.query_params.update({"model": MODEL, "gpu": "A10G", "engine": "transformers", "prompt": "128", "output": "64"})
    page.session_state["own_measurements"] = [made.id]
    check(page.run(), told=False)
    check(page.switch_page("views/speed.py").run(), told=False)


def test_the_queue() -> None:
    store = measurement_store()
    job = store.enqueue(ALL[:200], ALL[:300], ALL[:120])
    store.report(job, message=ALL, status="running")
    check(opened("profile"))


def test_a_config_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dict(load_config("Qwen/Qwen3-8B")) | {"quantization_config": {"quant_method": "fp8", "fmt": "e4m3"}}
    paths = [(key,) for key, value in config.items() if isinstance(value, (str, list)) and key != "layer_types"]
    paths += [("quantization_config", key) for key in config["quantization_config"]]
    said: list[str] = []
    with HubServer() as hub:
        monkeypatch.setattr(dashboard_sources(), "_hub", HubClient(endpoint=hub.url, offline=False))
        for number, path in enumerate(paths):
            for text in (ALL, PAYLOADS[number % len(PAYLOADS)]):
                changed = json.loads(json.dumps(config))
                holder = changed if len(path) == 1 else changed[path[0]]
                holder[path[-1]] = [text] if isinstance(holder[path[-1]], list) else text
                name = f"org/m{number}-{len(text)}"
                hub.add_model(name, config=changed, safetensors={"model.safetensors": {"w": ("BF16", [4, 4])}})
                check(page := opened(model=name), told=False)
                said += shown(page)
                check(page.switch_page("views/memory.py").run(), told=False)
                check_files(Scenario(model=name), dashboard_sources())
    assert any("zqx" in text for text in said)


def test_prices_of_aws_and_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    offer = Offer(
        instance_type="g6.xlarge", region="us-east-1", option=PurchaseOption.ON_DEMAND, usd_per_hour=Decimal("0.8048"),
        source=PriceSource.LIVE, as_of=now.date(), origin=ALL, note=ALL,
    )  # fmt: skip
    reading = PriceReading(
        region="us-east-1", listing=Listing.PRICE_LIST, read_at=now, origin=ALL, offers=(offer,), remarks=(ALL,)
    )
    store = PriceStore(engine())
    store.create()
    store.record(reading)
    monkeypatch.setattr(dashboard_sources(), "_book", Book(store=store))
    asked = {"model": MODEL, "instance": "g6.xlarge"}
    check(opened(**asked))
    check(opened("prices", **asked))
    check(cost := opened("cost", **asked), told=False)
    assert any("zqx" in str(cell) for table in cost.dataframe for cell in table.value.to_numpy().flat)
    check_files(decode(asked).scenario, dashboard_sources())
    dashboard_sources().book._fail("us-east-1", Listing.PRICE_LIST, ALL)
    check(opened("prices", **asked))


def test_results_of_a_harness() -> None:
    reference = json.loads((ROOT / "tests/reference/lm_eval_0.4.13_results.json").read_text())
    page = unfolded(opened(), "validated_fold")
    for text in PAYLOADS:
        changed = json.dumps(reference).replace("gsm8k", json.dumps(f"gsm8k {text}")[1:-1])
        page.text_area(key="harness_json").set_value(changed).run()
        check(page.button(key="use_results").click().run(), told=False)
