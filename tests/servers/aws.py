"""A small AWS on loopback that real boto3 clients accept: prices, spot history, Savings Plans, blocks, offers files.

    with AwsServer() as aws:
        aws.sell("g6.xlarge", "us-east-1", "0.8048", reserved={("1yr", "No Upfront", "standard"): ("0.524", "0")})
        aws.faults.append(Fault("throttle"))      # the next request is throttled, the one after is answered
        ...                                        # clients find it through AWS_ENDPOINT_URL, see aws.environment

`python -m tests.servers.aws --port 9009` serves a few machines until it is ended, and prints the variables to set.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from pricing.aws.clients import AwsClients, ClientSettings

Terms = Mapping[tuple[str, str, str], tuple[str, str]]  # (lease, payment, class) -> (hourly, upfront)

LOCATIONS = {"us-east-1": "US East (N. Virginia)", "us-west-2": "US West (Oregon)", "eu-west-1": "Europe (Ireland)"}
ASIC = ("inf", "trn", "dl2q")


@dataclass
class Fault:
    """What goes wrong with one request: throttle, expired, denied, unknown_key, fault, cut, slow, not_enabled."""

    kind: str
    operation: str = ""  # only this operation; empty means whichever comes next


@dataclass
class Product:
    """One SKU of the price list."""

    attributes: dict[str, str]
    sku: str
    family: str
    hourly: str
    currency: str = "USD"
    unit: str = "Hrs"
    reserved: Terms = field(default_factory=dict)

    def terms(self) -> Iterator[tuple[str, str, dict[str, str], list[tuple[str, str]]]]:
        """Kind, code, attributes and (unit, price) of each term."""
        yield "OnDemand", f"{self.sku}.JRTCKXETXF", {}, [(self.unit, self.hourly)]
        for number, ((lease, payment, offering), (hourly, upfront)) in enumerate(self.reserved.items()):
            words = {"LeaseContractLength": lease, "PurchaseOption": payment, "OfferingClass": offering}
            rates = [("Hrs", hourly)] + ([("Quantity", upfront)] if upfront != "0" else [])
            yield "Reserved", f"{self.sku}.RESERVED{number}", words, rates

    def as_item(self) -> str:
        """The JSON string GetProducts puts in its list."""
        terms: dict[str, dict[str, object]] = {}
        for kind, code, words, rates in self.terms():
            dimensions = {
                f"{code}.{unit}": {
                    "rateCode": f"{code}.{unit}",
                    "unit": unit,
                    "beginRange": "0",
                    "endRange": "Inf",
                    "description": "",
                    "appliesTo": [],
                    "pricePerUnit": {self.currency: price},
                }
                for unit, price in rates
            }
            terms.setdefault(kind, {})[code] = {
                "sku": self.sku,
                "offerTermCode": code.split(".")[1],
                "effectiveDate": "2026-11-01T00:00:00Z",
                "termAttributes": words,
                "priceDimensions": dimensions,
            }
        product = {"sku": self.sku, "productFamily": self.family, "attributes": self.attributes}
        return json.dumps(
            {"product": product, "serviceCode": "AmazonEC2", "terms": terms, "publicationDate": "2026-11-20T20:00:00Z"}
        )


@dataclass
class SpotEntry:
    """One line of spot price history."""

    instance_type: str
    zone: str
    price: str
    at: str = "2026-11-21T00:00:00.000Z"
    product: str = "Linux/UNIX"


class AwsServer:
    """The server and what it knows; tests add machines and faults before they ask."""

    def __init__(self, port: int = 0) -> None:
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.reset()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"aws": self}))
        self._server.daemon_threads = True

    def reset(self) -> None:
        """Forgets everything, so that one server serves many tests."""
        self.products: list[Product] = []
        self.raw_items: list[object] = []  # put before the first page of GetProducts as they are
        self.spot: list[SpotEntry] = []
        self.rates: list[dict[str, object]] = []
        self.blocks: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.operations: list[str] = []
        self.requests: list[dict[str, object]] = []
        self.page_size = 100
        self.filters_work = True
        self.repeat_token = False
        self.workloads: dict[str, list[dict[str, object]]] = {}  # usage by the id of an estimate of the calculator
        self.pricing_takes = 0  # looks at an estimate until it is priced
        self.refuses_usage = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take this server for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> AwsServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Pulls the plug: open connections end, and new ones are refused."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def count(self, operation: str) -> int:
        with self.lock:
            return self.operations.count(operation)

    def sell(
        self, instance_type: str, region: str, hourly: str, reserved: Terms | None = None, **attributes: str
    ) -> Product:
        """A machine in the price list: plain Linux unless the attributes say otherwise."""
        metal = instance_type.endswith(".metal")
        asic = instance_type.startswith(ASIC)
        said = {
            "servicecode": "AmazonEC2",
            "instanceType": instance_type,
            "instanceFamily": "Machine Learning ASIC Instances" if asic else "GPU instance",
            "regionCode": region,
            "location": LOCATIONS.get(region, region),
            "operatingSystem": "Linux",
            "tenancy": "Dedicated" if metal else "Shared",
            "capacitystatus": "Used",
            "preInstalledSw": "NA",
            "licenseModel": "No License required",
            "marketoption": "OnDemand",
            "operation": "RunInstances",
            "usagetype": f"BoxUsage:{instance_type}",
            "gpuMemory": "NA",
        } | attributes
        family = "Compute Instance (bare metal)" if metal else "Compute Instance"
        sku = f"SKU{len(self.products):013d}"
        product = Product(attributes=said, sku=sku, family=family, hourly=hourly, reserved=reserved or {})
        self.products.append(product)
        return product

    def sell_block_twin(self, instance_type: str, region: str) -> None:
        """The zero-priced twin AWS lists beside machines sold in Capacity Blocks."""
        self.sell(instance_type, region, "0.0000000000", marketoption="CapacityBlock", operation="RunInstances:CB")

    def plan(
        self, instance_type: str, region: str, plan: str, seconds: int, payment: str, rate: str, **said: str
    ) -> None:
        """A Savings Plans rate."""
        words = {
            "region": region,
            "instanceType": instance_type,
            "productDescription": "Linux/UNIX",
            "tenancy": "shared",
        }
        usage = said.pop("usage", "BoxUsage")
        properties = [{"name": name, "value": value} for name, value in (words | said).items()]
        offering = {"offeringId": "0" * 8, "planType": plan, "durationSeconds": seconds, "paymentOption": payment}
        self.rates.append(
            {
                "savingsPlanOffering": offering | {"currency": "USD"},
                "rate": rate,
                "unit": "Hrs",
                "usageType": f"{usage}:{instance_type}",
                "operation": "RunInstances",
                "properties": properties,
            }
        )

    def block(self, instance_type: str, fee: str, start: str, hours: int = 24, currency: str = "USD") -> None:
        """A Capacity Block on sale."""
        self.blocks.append(
            {
                "instanceType": instance_type,
                "availabilityZone": "us-east-1a",
                "instanceCount": "1",
                "startDate": start,
                "capacityBlockDurationHours": str(hours),
                "upfrontFee": fee,
                "currencyCode": currency,
            }
        )

    def matching(self, filters: list[dict[str, str]]) -> list[Product]:
        if not self.filters_work:
            return list(self.products)
        return [product for product in self.products if all(_matches(product, wanted) for wanted in filters)]

    def next_fault(self, operation: str) -> str:
        with self.lock:
            self.operations.append(operation)
            for fault in self.faults:
                if fault.operation in ("", operation):
                    self.faults.remove(fault)
                    return fault.kind
        return ""


def _matches(product: Product, wanted: dict[str, str]) -> bool:
    name, value = wanted["Field"], wanted["Value"]
    said = product.family if name == "productFamily" else product.attributes.get(name, "")
    return value in said if wanted["Type"] == "CONTAINS" else said == value


JSON_ERRORS = {
    "throttle": (400, "ThrottlingException"),
    "expired": (400, "ExpiredTokenException"),
    "denied": (400, "AccessDeniedException"),
    "unknown_key": (400, "UnrecognizedClientException"),
    "bad_token": (400, "ExpiredNextTokenException"),
    "fault": (500, "InternalErrorException"),
}
XML_ERRORS = {
    "throttle": (503, "RequestLimitExceeded"),
    "expired": (400, "RequestExpired"),
    "denied": (403, "UnauthorizedOperation"),
    "not_enabled": (401, "AuthFailure"),
    "unsupported": (400, "Unsupported"),
    "fault": (500, "InternalError"),
}


XML_ERROR = "<Response><Errors><Error><Code>{code}</Code><Message>123456789012</Message></Error></Errors></Response>"


class _Handler(BaseHTTPRequestHandler):
    aws: AwsServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body in one packet: two would wait 40 ms for each other

    def setup(self) -> None:
        super().setup()
        self.aws.connections.add(self.connection)

    def finish(self) -> None:
        self.aws.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if target:
            self._answer_json(target.split(".")[1], json.loads(body))
        elif self.path.startswith("/DescribeSavingsPlansOfferingRates"):
            self._answer_json("DescribeSavingsPlansOfferingRates", json.loads(body))
        else:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            self._answer_xml(form["Action"], form)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        fault = self.aws.next_fault("OffersFile")
        parts = path.strip("/").split("/")
        if parts[:4] != ["offers", "v1.0", "aws", "AmazonEC2"] or parts[-1] != "index.csv":
            self._send(404, b"no such file", "text/plain")
            return
        text = offers_file([product for product in self.aws.products if product.attributes["regionCode"] == parts[-2]])
        self._send(200, text.encode(), "text/csv", cut=fault == "cut")

    def _answer_json(self, operation: str, request: dict[str, object]) -> None:
        fault = self.aws.next_fault(operation)
        self.aws.requests.append(request)
        if fault in JSON_ERRORS:
            status, code = JSON_ERRORS[fault]
            self._send(
                status, json.dumps({"__type": code, "Message": "arn:aws:iam::123456789012:user/secret"}).encode()
            )
            return
        if fault == "slow":
            threading.Event().wait(1)
        reply = {
            "GetProducts": self._products,
            "CreateWorkloadEstimate": self._workload,
            "BatchCreateWorkloadEstimateUsage": self._usage,
            "GetWorkloadEstimate": self._priced,
        }.get(operation, self._rates)(request)
        self._send(200, json.dumps(reply).encode(), "application/x-amz-json-1.1", cut=fault == "cut")

    def _products(self, request: dict[str, object]) -> dict[str, object]:
        found: list[object] = [product.as_item() for product in self.aws.matching(request.get("Filters", []))]  # type: ignore[arg-type]
        if self.aws.raw_items:
            found, self.aws.raw_items = [*self.aws.raw_items, *found], []
        start = int(str(request.get("NextToken") or 0))
        size = min(self.aws.page_size, int(str(request.get("MaxResults") or 100)))
        reply: dict[str, object] = {"FormatVersion": "aws_v1", "PriceList": found[start : start + size]}
        if start + size < len(found):
            reply["NextToken"] = "1" if self.aws.repeat_token else str(start + size)
        return reply

    def _workload(self, request: dict[str, object]) -> dict[str, object]:
        made = f"{len(self.aws.workloads):08d}-0000-4000-8000-000000000000"
        self.aws.workloads[made] = []
        return {"id": made, "name": request["name"], "status": "VALID"}

    def _usage(self, request: dict[str, object]) -> dict[str, object]:
        usage: list[dict[str, object]] = request["usage"]  # type: ignore[assignment]
        if self.aws.refuses_usage:
            return {"items": [], "errors": [{"key": usage[0]["key"], "errorCode": "BAD_REQUEST"}]}
        self.aws.workloads[str(request["workloadEstimateId"])] += usage
        return {"items": [{"id": request["workloadEstimateId"], **entry} for entry in usage], "errors": []}

    def _priced(self, request: dict[str, object]) -> dict[str, object]:
        made = {"id": request["identifier"], "costCurrency": "USD"}
        if self.aws.pricing_takes:
            self.aws.pricing_takes -= 1
            return {**made, "status": "UPDATING"}
        hourly = {product.attributes["usagetype"]: float(product.hourly) for product in self.aws.products}
        usage = self.aws.workloads[str(request["identifier"])]
        cost = sum(float(str(entry["amount"])) * hourly[str(entry["usageType"])] for entry in usage)
        return {**made, "status": "VALID", "totalCost": cost}

    def _rates(self, request: dict[str, object]) -> dict[str, object]:
        start, size = int(str(request.get("nextToken") or 0)), self.aws.page_size
        reply: dict[str, object] = {"searchResults": self.aws.rates[start : start + size]}
        if start + size < len(self.aws.rates):
            reply["nextToken"] = str(start + size)
        return reply

    def _answer_xml(self, action: str, form: dict[str, str]) -> None:
        fault = self.aws.next_fault(action)
        if fault in XML_ERRORS:
            status, code = XML_ERRORS[fault]
            self._send(status, XML_ERROR.format(code=code).encode(), "text/xml")
            return
        if action == "GetCallerIdentity":
            said = "<GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult>"
            self._send(200, f"<GetCallerIdentityResponse>{said}</GetCallerIdentityResponse>".encode(), "text/xml")
            return
        inner = {"DescribeSpotPriceHistory": self._spot, "DescribeCapacityBlockOfferings": self._blocks}.get(action)
        if inner is None:
            self._send(
                400, b"<Response><Errors><Error><Code>InvalidAction</Code></Error></Errors></Response>", "text/xml"
            )
            return
        text = f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{inner(form)}</{action}Response>'
        self._send(200, text.encode(), "text/xml", cut=fault == "cut")

    def _spot(self, form: dict[str, str]) -> str:
        # As the real one does, a page may be empty and still name a next one.
        start, size = int(form.get("NextToken") or 0), self.aws.page_size
        entries = "".join(
            f"<item><instanceType>{entry.instance_type}</instanceType><availabilityZone>{entry.zone}</availabilityZone>"
            f"<productDescription>{escape(entry.product)}</productDescription><spotPrice>{entry.price}</spotPrice>"
            f"<timestamp>{entry.at}</timestamp></item>"
            for entry in self.aws.spot[start : start + size]
        )
        token = str(start + size) if start + size < len(self.aws.spot) else ""
        return f"<spotPriceHistorySet>{entries}</spotPriceHistorySet><nextToken>{token}</nextToken>"

    def _blocks(self, form: dict[str, str]) -> str:
        wanted = form.get("InstanceType") or form.get("UltraserverType")
        items = "".join(
            "<item>" + "".join(f"<{name}>{value}</{name}>" for name, value in block.items()) + "</item>"
            for block in self.aws.blocks
            if block["instanceType"] == wanted
        )
        return f"<capacityBlockOfferingSet>{items}</capacityBlockOfferingSet>"

    def _send(self, status: int, body: bytes, kind: str = "application/x-amz-json-1.1", cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


OFFERS_HEADER = (
    "SKU", "OfferTermCode", "RateCode", "TermType", "PriceDescription", "EffectiveDate", "StartingRange",
    "EndingRange", "Unit", "PricePerUnit", "Currency", "LeaseContractLength", "PurchaseOption", "OfferingClass",
    "Product Family", "serviceCode", "Location", "Location Type", "Instance Type", "Tenancy", "Operating System",
    "License Model", "usageType", "operation", "CapacityStatus", "Pre Installed S/W", "MarketOption", "Region Code",
)  # fmt: skip


def offers_file(products: list[Product]) -> str:
    """The anonymous CSV of a region: five lines about the file, the header, one row per price dimension."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    about = {"FormatVersion": "v1.0", "Disclaimer": "see, the terms", "Publication Date": "2026-11-20T20:00:00Z"}
    writer.writerows((about | {"Version": "20261120200000", "OfferCode": "AmazonEC2"}).items())
    writer.writerow(OFFERS_HEADER)
    for product in products:
        for kind, code, words, rates in product.terms():
            for unit, price in rates:
                said = product.attributes
                row = {
                    "SKU": product.sku, "OfferTermCode": code.split(".")[1], "RateCode": f"{code}.{unit}",
                    "TermType": kind, "EffectiveDate": "2026-11-01", "Unit": unit, "PricePerUnit": price,
                    "Currency": product.currency, "Product Family": product.family, "serviceCode": "AmazonEC2",
                    "Instance Type": said["instanceType"], "Tenancy": said["tenancy"],
                    "Operating System": said["operatingSystem"], "License Model": said["licenseModel"],
                    "usageType": said["usagetype"], "operation": said["operation"],
                    "CapacityStatus": said["capacitystatus"], "Pre Installed S/W": said["preInstalledSw"],
                    "MarketOption": said["marketoption"], "Region Code": said["regionCode"],
                } | words  # fmt: skip
                writer.writerow([row.get(name, "") for name in OFFERS_HEADER])
    return text.getvalue()


@lru_cache(maxsize=1)
def loopback() -> tuple[AwsServer, AwsClients]:
    """One server and one set of clients for all tests of a process: making clients takes half a second."""
    server = AwsServer()
    server.__enter__()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        clients = AwsClients(ClientSettings(connect_timeout_s=1, read_timeout_s=0.3, max_attempts=3))
        for make in (clients.pricing, clients.savings_plans, lambda: clients.ec2("us-east-1")):
            make()
    return server, clients


def fresh_server(patch: pytest.MonkeyPatch) -> AwsServer:
    """The server of `loopback`, empty, and retries without their pauses."""
    patch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    server, _ = loopback()
    server.reset()
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description="A small AWS on loopback, for trying the live prices by hand.")
    parser.add_argument("--port", type=int, default=9009)
    server = AwsServer(parser.parse_args().port)
    for region in LOCATIONS:
        server.sell("g6.xlarge", region, "0.8048", {("1yr", "No Upfront", "standard"): ("0.524", "0")})
        server.sell("g5.xlarge", region, "1.006")
        server.sell("p5.48xlarge", region, "55.04")
        server.sell("inf2.xlarge", region, "0.7582")
    with server:
        for name, value in server.environment.items():
            print(f"export {name}={value}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
