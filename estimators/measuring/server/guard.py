"""Which servers may be reached: named hosts only, looked up once, and connected to at the address that was checked."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from estimators.provenance import Refusal

HOSTS = "RIGHTSIZE_ENDPOINT_HOSTS"
PRIVATE = "RIGHTSIZE_ENDPOINT_PRIVATE"
LONGEST_URL = 2000

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]

# Where clouds answer questions about the machine itself; never a model server.
METADATA = frozenset(
    map(
        ipaddress.ip_address,
        (
            "169.254.169.254",  # AWS, GCP, Azure: link-local, refused anyway
            "fd00:ec2::254",  # AWS over IPv6: a private address
            "fd20:ce::254",  # GCP over IPv6
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's wire server: a public address
            "192.0.0.192",  # Oracle Cloud
        ),
    )
)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
SHARED = ipaddress.IPv4Network("100.64.0.0/10")  # carrier-grade NAT: neither private nor global to `ipaddress`


class EndpointRefused(Refusal):
    """A server that may not be reached from here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPolicy:
    """Allowed hosts ("host" or "host:port", lower case), and whether they may be on a private network."""

    hosts: frozenset[str]
    private: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> EndpointPolicy:
        listed = environment.get(HOSTS, "").split(",")
        hosts = frozenset(entry.strip().lower().strip("[]") for entry in listed if entry.strip())
        return cls(hosts=hosts, private=environment.get(PRIVATE) == "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server that passed: connections go to `address`, and say `host`."""

    scheme: str
    host: str
    port: int
    address: str
    path: str  # prefix before /v1, without a final slash

    @property
    def shown(self) -> str:
        """What a page or a log may show."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def look_up(host: str, port: int) -> list[str]:
    """Every address of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_endpoint(url: str, policy: EndpointPolicy, resolver: Resolver = look_up) -> Endpoint:
    """The endpoint at `url`, looked up once. Raises `EndpointRefused` (field "endpoint") if it may not be used."""
    endpoint = _split(url)
    if endpoint.host not in policy.hosts and f"{endpoint.host}:{endpoint.port}" not in policy.hosts:
        raise EndpointRefused(
            f"{endpoint.host}:{endpoint.port} is not among the servers that may be measured.",
            field="endpoint",
            remedy=f"The operator adds it to {HOSTS}.",
        )
    try:
        addresses = resolver(endpoint.host, endpoint.port)
    except (OSError, UnicodeError):
        addresses = []
    if not addresses:
        raise EndpointRefused(
            f"The name {endpoint.host} cannot be looked up.", field="endpoint", remedy="Check the address."
        )
    for address in addresses:
        _check_address(address, endpoint.host, policy)
    return Endpoint(
        scheme=endpoint.scheme, host=endpoint.host, port=endpoint.port, address=addresses[0], path=endpoint.path
    )


def _split(url: str) -> Endpoint:
    problem = ""
    try:
        parts = urlsplit(url.strip()[:LONGEST_URL])
        host, port = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError:
        raise EndpointRefused("That is no web address.", field="endpoint", remedy="Give http://host:port.") from None
    if parts.scheme not in ("http", "https"):
        problem = "The address should begin with http:// or https://."
    elif not host or re.search(r"[^a-z0-9.:_%-]", host) or "%" in host:
        problem = "The address names no usable host."
    elif parts.username is not None or parts.password is not None:
        problem = "The address holds a user or password; give the key in its own field."
    elif parts.query or parts.fragment:
        problem = "The address should end at the server's path."
    elif re.search(r"[^A-Za-z0-9/._~-]", parts.path):
        problem = "The path has characters no server path needs."
    if problem:
        raise EndpointRefused(problem, field="endpoint", remedy="Give http://host:port.")
    path = re.sub(r"/v1/?$", "", parts.path).rstrip("/")
    return Endpoint(
        scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80), address="", path=path
    )


def _check_address(text: str, host: str, policy: EndpointPolicy) -> None:
    address = embedded(ipaddress.ip_address(text.partition("%")[0]))
    kind = ""
    if address in METADATA or address.is_link_local:
        kind = "a link-local or metadata address, which are never measured"
    elif address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_loopback):
        kind = "no address of a single server"
    elif not policy.private and not is_public(address):
        kind = f"a private address, which the operator allows with {PRIVATE}=1"
    if kind:
        raise EndpointRefused(f"{host} is at {kind}.", field="endpoint")


def is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        return address.is_global and not address.is_site_local  # fec0::/10, of old networks (RFC 3879)
    return address.is_global and address not in SHARED


def embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
