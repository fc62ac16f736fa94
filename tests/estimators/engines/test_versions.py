"""One version type: what people write, how it is ordered, what is refused."""

import pytest

from estimators.engines.versions import NEWEST, Version, read_version
from estimators.provenance import Refusal


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.11.0", Version(0, 11, 0)),
        ("0.11", Version(0, 11, 0)),
        ("v0.8.5.post1", Version(0, 8, 5)),
        ("V1.2.0rc3", Version(1, 2, 0)),
        (" 0.9.2+cu128 ", Version(0, 9, 2)),
        ("0.11rc1", Version(0, 11, 0)),
        ("5", Version(5, 0, 0)),
    ],
)
def test_a_version_is_read_as_people_write_it(text: str, version: Version) -> None:
    assert read_version(text) == version


@pytest.mark.parametrize("text", ["", "  ", "latest", "newest", "v", "rc1", ".9", "-1"])
def test_a_version_without_a_number_is_refused_and_the_field_named(text: str) -> None:
    with pytest.raises(Refusal, match="is not a version") as refusal:
        read_version(text)
    assert refusal.value.field == "engine_version"
    assert "0.11.0" in refusal.value.remedy


def test_versions_are_ordered_by_number_and_a_version_left_out_is_the_newest() -> None:
    assert read_version("0.8.5") < read_version("0.9") < read_version("0.10.2") < read_version("0.11") < NEWEST
    assert read_version(None) == NEWEST


def test_a_version_is_printed_with_three_numbers() -> None:
    assert str(read_version("v0.11")) == "0.11.0"
