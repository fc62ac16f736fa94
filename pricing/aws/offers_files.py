"""The anonymous offers files: on-demand and reserved prices for people without keys, streamed and never kept.

One region's file can be 300 MB: this is for the command line and the background, not for a page.
"""

from __future__ import annotations

import csv
import io
import time
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast
from urllib.parse import quote, urlsplit

from estimators.provenance import Refusal
from pricing.aws.collected import Collected
from pricing.aws.errors import UnexpectedReply, Unreachable
from pricing.aws.products import CURRENCY, MachineSku, Rate, rate, reserved_option
from pricing.instances import instances
from pricing.offers import Listing, PurchaseOption
from pricing.reading import PriceReading, Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE_URL = "https://pricing.us-east-1.amazonaws.com"
PATH = "/offers/v1.0/aws/AmazonEC2/current/{region}/index.csv"
MAX_BYTES = 2_000_000_000
MAX_SECONDS = 1800.0
PROGRESS_ROWS = 20_000
LINES_BEFORE_HEADER = 20  # five were seen

# Column of the file to product attribute, for what tells machines apart.
ATTRIBUTES = {
    "Instance Type": "instanceType",
    "Region Code": "regionCode",
    "Operating System": "operatingSystem",
    "Tenancy": "tenancy",
    "CapacityStatus": "capacitystatus",
    "Pre Installed S/W": "preInstalledSw",
    "License Model": "licenseModel",
    "MarketOption": "marketoption",
    "operation": "operation",
}
OTHER = ("SKU", "RateCode", "TermType", "Unit", "PricePerUnit", "Currency", "LeaseContractLength", "PurchaseOption",
         "OfferingClass", "Product Family")  # fmt: skip


class _Counted(io.RawIOBase):
    """The reply's bytes, counted, so that a connection cut short is not taken for the end of the file."""

    def __init__(self, reply: HTTPResponse) -> None:
        self._reply = reply
        self.total = int(reply.headers.get("Content-Length") or 0)
        self.done = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast("bytearray", buffer))
        data = self._reply.read(len(view))
        if time.monotonic() > self._deadline or self.done > MAX_BYTES:
            raise UnexpectedReply("The offers file is larger or slower than any known one.")
        if not data and self.done < self.total:
            raise Unreachable(f"The offers file broke off after {self.done} of {self.total} bytes.")
        view[: len(data)] = data
        self.done += len(data)
        return len(data)


def _checked_url(base_url: str, region: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise Refusal("The offers files are read over https only.", field="region", remedy="Set an https address.")
    return base_url.rstrip("/") + PATH.format(region=quote(region, safe="-"))


def _columns(rows: Iterator[list[str]]) -> tuple[dict[str, int], str]:
    """Where each needed column is, and the publication date from the lines before the header."""
    published = ""
    for _ in range(LINES_BEFORE_HEADER):
        row = next(rows, [])
        if row[:1] == ["SKU"]:
            missing = [name for name in (*ATTRIBUTES, *OTHER) if name not in row]
            if missing:
                raise UnexpectedReply(f"The offers file has no column {missing[0]!r}.")
            return {name: row.index(name) for name in (*ATTRIBUTES, *OTHER)}, published
        if row[:1] == ["Publication Date"] and len(row) > 1:
            published = row[1][:32]
    raise UnexpectedReply("The offers file has no header line.")


def _option(cells: Mapping[str, str]) -> PurchaseOption | None:
    if cells["TermType"] == "OnDemand":
        return PurchaseOption.ON_DEMAND
    return reserved_option(cells["LeaseContractLength"], cells["PurchaseOption"], cells["OfferingClass"])


@dataclass(slots=True)
class _Sku:
    """The rows of one product."""

    attributes: Mapping[str, str]
    family: str
    dimensions: defaultdict[PurchaseOption, list[tuple[str, object, str]]]
    foreign: bool = False  # priced in another currency

    def product(self, sku: str, published: str) -> MachineSku:
        rates: list[Rate] = []
        refused = [f"it is not priced in {CURRENCY}."] if self.foreign else []
        for option, dimensions in self.dimensions.items():
            try:
                rates.append(rate(option, dimensions))
            except UnexpectedReply as error:
                refused.append(error.message)
        return MachineSku(
            sku=sku,
            instance_type=self.attributes["instanceType"],
            family=self.family,
            attributes=self.attributes,
            rates=() if self.foreign else tuple(rates),
            refused=tuple(refused),
            publication=published,
        )


def _products(rows: Iterator[list[str]], counted: _Counted, what: str, progress: Progress) -> Iterator[MachineSku]:
    at, published = _columns(rows)
    type_at, width = at["Instance Type"], max(at.values()) + 1
    known = {instance.instance_type for instance in instances()}
    skus: dict[str, _Sku] = {}
    for number, row in enumerate(rows):
        if number % PROGRESS_ROWS == 0:
            progress(what, counted.done, counted.total)
        if len(row) < width or row[type_at] not in known:
            continue
        cells = {name: row[index] for name, index in at.items()}
        option = _option(cells)
        if option is None:
            continue
        said = {attribute: cells[column] for column, attribute in ATTRIBUTES.items()}
        sku = skus.setdefault(cells["SKU"][:64], _Sku(said, cells["Product Family"], defaultdict(list)))
        sku.foreign |= cells["Currency"] != CURRENCY
        sku.dimensions[option].append((cells["Unit"], cells["PricePerUnit"], cells["RateCode"][:128]))
    for code, sku in skus.items():
        yield sku.product(code, published)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffersFileReader:
    """A `PriceReader` over the anonymous files; the base address is a setting, for mirrors and for tests."""

    base_url: str = BASE_URL
    timeout_s: float = 30.0
    listings: tuple[Listing, ...] = (Listing.PRICE_LIST,)

    def read(
        self, region: str, listing: Listing = Listing.PRICE_LIST, progress: Progress = no_progress
    ) -> PriceReading:
        """On-demand and reserved prices of a region, from its current file."""
        url = _checked_url(self.base_url, region)
        collected = Collected(region, "AWS offers file")
        try:
            with urllib.request.urlopen(url, timeout=self.timeout_s) as reply:  # noqa: S310 - scheme checked above
                counted = _Counted(cast("HTTPResponse", reply))
                text = io.TextIOWrapper(io.BufferedReader(counted, 1 << 20), encoding="utf-8", newline="")
                for product in _products(csv.reader(text), counted, f"{region} offers file", progress):
                    collected.add(product)
        except urllib.error.HTTPError as error:
            raise UnexpectedReply(f"There is no offers file for {region} (HTTP {error.code}).") from None
        except (OSError, HTTPException) as error:
            name = type(error).__name__
            raise Unreachable(f"The offers file of {region} could not be read ({name}).", remedy="Try later.") from None
        except (csv.Error, UnicodeDecodeError):
            raise UnexpectedReply(f"The offers file of {region} is not CSV.") from None
        return collected.reading(datetime.now(UTC))
