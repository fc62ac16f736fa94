"""`python -m app prices`: what a maintainer types."""

from __future__ import annotations

import json

import pytest

from app.__main__ import main
from pricing import rebuild


def test_the_instance_table_is_rebuilt_for_the_regions_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def rebuilt(clients: object, regions: tuple[str, ...], **_: object) -> tuple[str, ...]:
        asked.append(regions)
        return ("us-east-1: No AWS credentials were found.",)

    monkeypatch.setattr(rebuild, "rebuild_instances", rebuilt)
    assert main(["prices", "rebuild", "--instances", "--region", "us-east-1"]) == 1
    assert asked == [("us-east-1",)]
    assert "error: us-east-1: No AWS credentials were found." in capsys.readouterr().err


def test_offers_and_differences_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "show", "g6.xlarge", "--region", "us-east-1", "--json"]) == 0
    offers = json.loads(capsys.readouterr().out)
    on_demand = next(offer for offer in offers if offer["buy"] == "on_demand")
    assert (on_demand["instance"], on_demand["usd_per_hour"]) == ("g6.xlarge", 0.8048)
    assert main(["prices", "diff", "--since", "2026-01-01", "--region", "us-east-1", "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)
    assert all(set(change) == {"before", "after"} for change in changes)
    assert any(change["after"] for change in changes)
