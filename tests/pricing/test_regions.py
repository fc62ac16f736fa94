"""AWS regions and where they are."""

from __future__ import annotations

import pytest

from estimators.provenance import Refusal
from pricing.regions import find_region, regions_within
from pricing.snapshot import load_snapshot


def test_a_region_has_its_name_and_its_country() -> None:
    found = find_region(" EU-West-1 ")
    assert (found.name, found.country, found.area) == ("Europe (Ireland)", "Ireland", "European Union")


def test_a_residency_filter_gives_the_regions_of_an_area() -> None:
    assert regions_within(frozenset({"European Union"})) == {
        "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"
    }  # fmt: skip
    assert set(load_snapshot().regions) <= regions_within(None)


def test_an_unknown_region_is_refused_with_near_matches() -> None:
    with pytest.raises(Refusal, match="us-east-1") as refused:
        find_region("us-east1")
    assert refused.value.field == "region"
