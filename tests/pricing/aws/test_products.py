"""One price list item: a record as AWS writes it, and everything that is not one."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.aws.clients import Throttle
from pricing.aws.errors import AwsError, UnexpectedReply, documented_form
from pricing.aws.products import amount, effective_rate, is_plain_linux, parse_product, reserved_option
from pricing.offers import PurchaseOption

# The p4d.24xlarge record of AWS's us-east-1 offer file, version 20240528203522, without the attributes nobody reads;
# prices as they were before June 2025.
ATTRIBUTES = {
    "instanceType": "p4d.24xlarge", "instanceFamily": "GPU instance", "tenancy": "Shared", "operatingSystem": "Linux",
    "licenseModel": "No License required", "usagetype": "BoxUsage:p4d.24xlarge", "operation": "RunInstances",
    "capacitystatus": "Used", "gpu": "8", "gpuMemory": "NA", "marketoption": "OnDemand", "preInstalledSw": "NA",
    "regionCode": "us-east-1", "location": "US East (N. Virginia)",
}  # fmt: skip
SKU = "H7NGEAC6UEHNTKSJ"


def term(code: str, price: str, **words: str) -> dict[str, object]:
    rate = f"{SKU}.{code}.6YS6EN2CT7"
    dimension = {"rateCode": rate, "unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": price}}
    return {f"{SKU}.{code}": {"priceDimensions": {rate: dimension}, "termAttributes": words}}


RECORD = {
    "product": {"productFamily": "Compute Instance", "attributes": ATTRIBUTES, "sku": SKU},
    "serviceCode": "AmazonEC2",
    "terms": {
        "OnDemand": term("JRTCKXETXF", "32.7726000000"),
        "Reserved": term(
            "Z2E3P23VKM", "14.9987536000", LeaseContractLength="3yr", OfferingClass="convertible",
            PurchaseOption="No Upfront",
        ),
    },
    "publicationDate": "2024-05-28T20:35:22Z",
}  # fmt: skip


def test_a_record_of_aws() -> None:
    product = parse_product(json.dumps(RECORD))
    assert [(rate.option, rate.usd_per_hour, rate.rate_code) for rate in product.rates] == [
        (PurchaseOption.ON_DEMAND, Decimal("32.7726"), f"{SKU}.JRTCKXETXF.6YS6EN2CT7"),
        (PurchaseOption.RESERVED_3YR_NO_UPFRONT_CONVERTIBLE, Decimal("14.9987536"), f"{SKU}.Z2E3P23VKM.6YS6EN2CT7"),
    ]
    assert (product.sku, product.instance_type, product.refused) == (SKU, "p4d.24xlarge", ())
    assert is_plain_linux(product, "us-east-1")
    assert not is_plain_linux(product, "us-east-2")


@pytest.mark.parametrize(
    ("lease", "payment", "offering", "option"),
    [
        ("1yr", "No Upfront", "standard", PurchaseOption.RESERVED_1YR_NO_UPFRONT),
        ("3yr", "Partial Upfront", "convertible", PurchaseOption.RESERVED_3YR_PARTIAL_UPFRONT_CONVERTIBLE),
        ("3yr", "All Upfront", "standard", PurchaseOption.RESERVED_3YR_ALL_UPFRONT),
        ("5yr", "No Upfront", "standard", None),
        ("1yr", "No Upfront", "flexible", None),
        ("1yr", "Heavy Utilization", "standard", None),
    ],
)
def test_the_words_of_a_term_name_the_option_or_none(
    lease: str, payment: str, offering: str, option: PurchaseOption | None
) -> None:
    assert reserved_option(lease, payment, offering) is option


def test_an_upfront_sum_is_spread_over_its_hours() -> None:
    assert effective_rate(Decimal(0), Decimal(67523), 1) == Decimal("7.7081050228")
    assert effective_rate(Decimal(3), Decimal(52560), 3) == 5
    assert effective_rate(Decimal("0.5"), Decimal(0), 1) == Decimal("0.5")


@pytest.mark.parametrize("text", ["", "-1", "NaN", "Infinity", "1,5", "free", None, "1e12", [], {}])
def test_what_is_no_amount_is_refused(text: object) -> None:
    with pytest.raises(UnexpectedReply, match="as a price"):
        amount(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values | st.text(max_size=40))
def test_anything_at_all_is_a_product_or_refused(value: object) -> None:
    for text in (value, json.dumps(value)):
        with pytest.raises(UnexpectedReply):
            parse_product(text)


@given(st.data(), json_values)
def test_a_record_with_one_part_replaced_by_anything_is_read_or_refused(data: st.DataObject, value: object) -> None:
    record = json.loads(json.dumps(RECORD))
    node = record
    for _ in range(data.draw(st.integers(0, 5))):
        inner = [key for key in node if isinstance(node[key], dict) and node[key]]
        if not inner:
            break
        node = node[data.draw(st.sampled_from(sorted(inner)))]
    node[data.draw(st.sampled_from(sorted(node)))] = value
    try:
        product = parse_product(json.dumps(record))
    except AwsError:
        return
    assert all(0 < rate.usd_per_hour < 1e9 for rate in product.rates)


def test_a_reply_of_another_shape_is_a_sentence_and_a_refusal_stays_one() -> None:
    with pytest.raises(UnexpectedReply, match=r"answer to spot is not in the documented form \(KeyError\)"), \
            documented_form("spot"):  # fmt: skip
        raise KeyError("Timestamp")
    with pytest.raises(UnexpectedReply, match="a sentence"), documented_form("spot"):
        raise UnexpectedReply("a sentence")


def test_calls_are_spaced_once_the_bucket_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = [100.0], []
    monkeypatch.setattr("pricing.aws.clients.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("pricing.aws.clients.time.sleep", waited.append)
    pace = Throttle(per_second=5, at_once=3)
    for _ in range(5):
        pace.wait()
    assert waited == pytest.approx([0.2, 0.4])
    clock[0] += 2
    pace.wait()
    assert len(waited) == 2
