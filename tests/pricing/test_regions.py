"""AWS regions and where they are."""

from __future__ import annotations

from pricing.regions import regions, regions_within
from pricing.snapshot import load_snapshot


def test_a_region_has_its_name_and_its_country() -> None:
    (found,) = (region for region in regions() if region.region == "eu-west-1")
    assert (found.name, found.country, found.area) == ("Europe (Ireland)", "Ireland", "European Union")


def test_a_residency_filter_gives_the_regions_of_an_area() -> None:
    assert regions_within(frozenset({"European Union"})) == {
        "eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"
    }  # fmt: skip
    assert set(load_snapshot().regions) <= regions_within(None)
