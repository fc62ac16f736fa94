"""`python -m app prices`: what a maintainer types."""

from __future__ import annotations

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
