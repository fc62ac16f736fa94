"""boto3 clients with short timeouts and bounded retries, pinned to regions where the endpoint exists."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pricing.aws.errors import aws_call, documented_form

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.config import Config
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_savingsplans import SavingsPlansClient

# Where api.pricing.<region>.amazonaws.com exists; botocore builds the name for any region without complaint.
PRICING_ENDPOINTS = ("us-east-1", "eu-central-1", "ap-south-1")
CHINA_PRICING_ENDPOINT = "cn-northwest-1"
MOST_EC2_CLIENTS = 4  # of some 5 MB each; regions are read one after the other
SAVINGS_PLANS_REGION = "us-east-1"  # one global endpoint, signed for this region
CALCULATOR_REGION = "us-east-1"  # the only endpoint


def pricing_endpoint_region(near: str | None) -> str:
    """The price list endpoint for a caller near a region; it has nothing to do with the region that is priced.

    eu-west-1 is served from eu-central-1, ap-northeast-1 from ap-south-1, everything else from us-east-1.
    """
    prefix = (near or "").split("-")[0]
    if prefix == "cn":
        return CHINA_PRICING_ENDPOINT
    return {"eu": PRICING_ENDPOINTS[1], "ap": PRICING_ENDPOINTS[2]}.get(prefix, PRICING_ENDPOINTS[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """How long AWS is waited for."""

    profile: str | None = None
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    max_attempts: int = 4  # the first one and three retries, with botocore's growing pauses
    # The Price List API's quota is a bucket of 10 calls that 5 a second fill again; below it nothing is throttled.
    pricing_calls_per_second: float = 5.0
    pricing_calls_at_once: int = 10


class Throttle:
    """Lets a number of calls through at once and then so many a second, over all threads."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._at_once = float(at_once)
        self._left = float(at_once)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Returns when the next call may go out."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._at_once, self._left + (now - self._at) * self._per_second) - 1
            self._at = now
            debt = -self._left / self._per_second
        if debt > 0:
            time.sleep(debt)


@dataclass(slots=True)
class AwsClients:
    """Clients made when first asked for and kept, of EC2 the last few; safe to share between threads."""

    settings: ClientSettings = field(default_factory=ClientSettings)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _session: Session | None = field(default=None, repr=False)
    _ec2: dict[str, EC2Client] = field(default_factory=dict, repr=False)
    _pricing: PricingClient | None = field(default=None, repr=False)
    _pace: Throttle = field(init=False, repr=False)
    _savings_plans: SavingsPlansClient | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._pace = Throttle(self.settings.pricing_calls_per_second, self.settings.pricing_calls_at_once)

    def wait_for_pricing(self) -> None:
        """Waits until a Price List call stays within the quota."""
        self._pace.wait()

    def pricing(self) -> PricingClient:
        """The Price List API."""
        with self._lock, aws_call("pricing", "pricing:GetProducts"):
            if self._pricing is None:
                session = self._opened()
                region = pricing_endpoint_region(session.region_name)
                self._pricing = session.client("pricing", region_name=region, config=self._config())
            return self._pricing

    def ec2(self, region: str) -> EC2Client:
        """EC2 in one region."""
        with self._lock, aws_call("ec2", "ec2:Describe*"):
            if region not in self._ec2:
                self._ec2[region] = self._opened().client("ec2", region_name=region, config=self._config())
            client = self._ec2[region] = self._ec2.pop(region)  # the last used stands last
            while len(self._ec2) > MOST_EC2_CLIENTS:
                del self._ec2[next(iter(self._ec2))]
            return client

    def savings_plans(self) -> SavingsPlansClient:
        """Savings Plans, which has one endpoint for all regions."""
        with self._lock, aws_call("savingsplans", "savingsplans:DescribeSavingsPlansOfferingRates"):
            if self._savings_plans is None:
                session = self._opened()
                self._savings_plans = session.client(
                    "savingsplans", region_name=SAVINGS_PLANS_REGION, config=self._config()
                )
            return self._savings_plans

    def calculator(self) -> Any:
        """The Pricing Calculator, which has one endpoint for all regions; boto3's stubs do not have it."""
        with self._lock, aws_call("bcm-pricing-calculator", "bcm-pricing-calculator:CreateWorkloadEstimate"):
            opened: Any = self._opened()
            return opened.client("bcm-pricing-calculator", region_name=CALCULATOR_REGION, config=self._config())

    def account(self) -> str:
        """The twelve digits of the account that the credentials are of."""
        call = "sts GetCallerIdentity"
        with self._lock, aws_call(call, "sts:GetCallerIdentity"), documented_form(call):
            opened: Any = self._opened()
            client = opened.client("sts", region_name=CALCULATOR_REGION, config=self._config())
            return str(client.get_caller_identity()["Account"])

    def _opened(self) -> Session:
        import boto3

        if self._session is None:
            self._session = boto3.Session(profile_name=self.settings.profile)
        return self._session

    def _config(self) -> Config:
        from botocore.config import Config

        return Config(
            connect_timeout=self.settings.connect_timeout_s,
            read_timeout=self.settings.read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": self.settings.max_attempts},
        )
