"""Measurements: what they summarise, and what of somebody else's file is believed."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.measuring.foreign import ForeignInput
from estimators.measuring.measurement import RepeatedReadings, Way, export_json, import_json
from estimators.provenance import Refusal
from tests.profiling_samples import measurement, spread


def test_a_spread_of_three_readings() -> None:
    found = RepeatedReadings.of([1.0, 2.0, 3.0])
    assert (found.median, found.low, found.high, found.n) == (2.0, 1.0, 3.0, 3)
    assert found.cv == pytest.approx(0.5)  # sample deviation 1.0 over mean 2.0


def test_readings_spread_by_more_than_ten_percent_are_unstable() -> None:
    assert not measurement(itl_s=spread(0.04, cv=0.10)).unstable
    assert measurement(itl_s=spread(0.04, cv=0.11)).unstable
    assert measurement(ttft_s=spread(0.06, cv=0.30)).unstable


def test_queueing_does_not_make_a_server_unstable() -> None:
    served = measurement(way=Way.ENDPOINT, ttft_s=spread(0.06, cv=0.8))
    assert not served.unstable


def test_an_export_reads_back_as_it_was() -> None:
    made = (measurement(), measurement(id="f" * 32, ttft_s=None, peak_memory_bytes=None, draft_step_s=spread(0.001)))
    assert import_json(export_json(made)) == made


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "../../etc/passwd"}, "id"),
        ({"way": "guessed"}, "way"),
        ({"engine": "<script>"}, "engine"),
        ({"weights": 4}, "weights"),
        ({"batch": 0}, "batch"),
        ({"batch": 1e300}, "batch"),
        ({"prompt_tokens": True}, "prompt_tokens"),
        ({"ttft_s": {"median": -1, "low": -1, "high": 1, "cv": 0, "n": 1}}, "ttft_s"),
        ({"ttft_s": {"median": 5, "low": 6, "high": 7, "cv": 0, "n": 1}}, "ttft_s"),
        ({"ttft_s": "fast"}, "ttft_s"),
        ({"itl_s": {"median": 0, "low": 0, "high": 0, "cv": 0, "n": 1}}, "itl_s"),
        ({"kv_usage_share": 7.5}, "kv_usage_share"),
        ({"measured_at": "yesterday"}, "measured_at"),
        ({"measured_at": "2026-11-21T03:00:00"}, "measured_at"),
        ({"provenance": ""}, "provenance"),
        ({"device": []}, "device.kind"),
        ({"peak_memory_bytes": -1}, "peak_memory_bytes"),
    ],
)
def test_forged_entries_are_refused_by_name(change: dict[str, object], field: str) -> None:
    document = json.loads(export_json([measurement()]))
    document["measurements"][0] |= change
    with pytest.raises(ForeignInput, match=f"measurement 1 has no usable {field}"):
        import_json(json.dumps(document))


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "null",
        '{"format": "rightsize-measurements"',
        '{"format": "other"}',
        '{"format": "rightsize-measurements", "version": 99}',
        '{"format": "rightsize-measurements", "version": 1, "measurements": {}}',
        '{"format": "rightsize-measurements", "version": 1, "measurements": [3]}',
        '{"format": NaN}',
        "[" * 100_000,
        '{"a":' * 100_000,
        b"\xff\xfe\x00",
        '{"a": ' + "9" * 10_000 + "}",
    ],
)
def test_files_that_are_no_export_are_refused(document: str | bytes) -> None:
    with pytest.raises(ForeignInput):
        import_json(document)


def test_a_huge_file_is_refused_unread() -> None:
    with pytest.raises(ForeignInput, match="larger than 16 MiB"):
        import_json(" " * (17 << 20))


LOGGED = {
    "pool_bytes_per_gpu": 75_000_000_000,
    "weights_bytes_per_gpu": None,
    "server": {"kv": "fp8", "placement": {"tp": 2}, "settings": {"engine": "vllm", "memory_utilization": 0.9}},
}


def with_logged(path: str, value: object) -> str:
    """A document whose one measurement holds a start-up log, one value of it changed."""
    document = json.loads(export_json([measurement(way=Way.LOG)]))
    holder = document["measurements"][0]["logged"] = json.loads(json.dumps(LOGGED))
    *steps, last = path.split(".")
    for step in steps:
        holder = holder[step]
    holder[last] = value
    return json.dumps(document)


def test_a_logged_server_is_read() -> None:
    (made,) = import_json(with_logged("server.settings.max_num_seqs", 256))
    assert made.logged is not None
    server = made.logged.server
    assert (server.kv.value, server.placement.tp, server.settings.max_num_seqs) == ("fp8", 2, 256)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("pool_bytes_per_gpu", 0, "pool_bytes_per_gpu"),
        ("pool_bytes_per_gpu", "much", "pool_bytes_per_gpu"),
        ("weights_bytes_per_gpu", -1, "weights_bytes_per_gpu"),
        ("server", [], "kv"),
        ("server.kv", "fp3", "kv"),
        ("server.placement.tp", 0, "tp"),
        ("server.placement.pp", 1.5, "pp"),
        ("server.settings", "default", "settings"),
        ("server.settings.engine", "none", "engine"),
        ("server.settings.memory_utilization", 1.2, "memory_utilization"),
        ("server.settings.memory_utilization", 0, "memory_utilization"),
        ("server.settings.max_model_len", 1e12, "max_model_len"),
        ("server.settings.speculation", {"method": "guess", "tokens": 2}, "speculation"),
        ("server.settings.speculation", {"method": "mtp"}, "speculation"),
    ],
)
def test_a_forged_log_is_refused_by_field(path: str, value: object, field: str) -> None:
    with pytest.raises(ForeignInput, match=f"no usable logged.{field}"):
        import_json(with_logged(path, value))


def test_text_of_others_is_one_printable_line() -> None:
    document = json.loads(export_json([measurement()]))
    document["measurements"][0]["notes"] = ["a\x00b\n\n<b>" + "x" * 5000, 7, None]
    (found,) = import_json(json.dumps(document))
    assert found.notes[0].startswith("a b <b>x")
    assert len(found.notes) == 1
    assert len(found.notes[0]) == 300


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = sorted(json.loads(export_json([measurement()]))["measurements"][0])


@given(st.sampled_from(KEYS), json_values)
def test_any_value_anywhere_is_read_or_refused(key: str, value: object) -> None:
    document = json.loads(export_json([measurement()]))
    document["measurements"][0][key] = value
    with suppress(Refusal):  # anything else that is raised fails the test
        assert len(import_json(json.dumps(document))) == 1
