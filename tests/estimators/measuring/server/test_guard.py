"""Which servers may be reached."""

from __future__ import annotations

import pytest

from estimators.measuring.server.guard import EndpointPolicy, EndpointRefused, check_endpoint

NAMED = EndpointPolicy(hosts=frozenset({"llm.example.com", "10.0.0.5", "gpu:8000"}))
NAMED_PRIVATE = EndpointPolicy(hosts=NAMED.hosts, private=True)


def at(*addresses: str):
    return lambda host, port: list(addresses)


def test_a_named_public_server_is_reached_at_the_address_that_was_checked() -> None:
    found = check_endpoint("https://LLM.example.com/v1/", NAMED, at("93.184.215.14"))
    assert (found.host, found.port, found.address, found.path) == ("llm.example.com", 443, "93.184.215.14", "")


def test_the_name_is_looked_up_once() -> None:
    asked = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["169.254.169.254"]

    assert check_endpoint("http://llm.example.com", NAMED, resolver).address == "93.184.215.14"
    assert asked == ["llm.example.com"]


def test_a_port_in_the_list_binds() -> None:
    assert check_endpoint("http://gpu:8000", NAMED_PRIVATE, at("10.1.2.3")).port == 8000
    with pytest.raises(EndpointRefused, match="not among the servers"):
        check_endpoint("http://gpu:22", NAMED_PRIVATE, at("10.1.2.3"))


@pytest.mark.parametrize(
    "url", ["http://other.example.com", "http://llm.example.com.evil.net", "http://evil-llm.example.com"]
)
def test_unnamed_servers_are_refused_before_any_lookup(url: str) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(f"looked up {host}")

    with pytest.raises(EndpointRefused, match="not among the servers"):
        check_endpoint(url, NAMED, never)


def test_an_empty_list_allows_nothing() -> None:
    policy = EndpointPolicy.from_environment({})
    with pytest.raises(EndpointRefused, match="RIGHTSIZE_ENDPOINT_HOSTS"):
        check_endpoint("http://localhost:8000", policy, at("127.0.0.1"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.5",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd12::1",
        "fec0::1",
        "::ffff:10.0.0.5",
        "2002:a00:5::1",
    ],
)
def test_private_addresses_need_the_operators_switch(address: str) -> None:
    with pytest.raises(EndpointRefused, match="RIGHTSIZE_ENDPOINT_PRIVATE"):
        check_endpoint("http://llm.example.com", NAMED, at(address))
    assert check_endpoint("http://llm.example.com", NAMED_PRIVATE, at(address)).address == address


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "fe80::1%eth0",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
    ],
)
def test_metadata_and_link_local_addresses_are_never_reached(address: str) -> None:
    with pytest.raises(EndpointRefused, match=r"metadata|single server"):
        check_endpoint("http://llm.example.com", NAMED_PRIVATE, at(address))


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST."],
)
def test_the_many_ways_to_write_this_machine_are_looked_up_and_seen_for_what_they_are(host: str) -> None:
    """Named by the operator, with whatever resolver this machine has: still private."""
    policy = EndpointPolicy(hosts=frozenset({host.strip("[]").lower(), host.strip("[]").lower().rstrip(".")}))
    with pytest.raises(EndpointRefused):
        check_endpoint(f"http://{host}:8000", policy)


def test_one_bad_address_among_several_refuses_the_name() -> None:
    with pytest.raises(EndpointRefused):
        check_endpoint("http://llm.example.com", NAMED_PRIVATE, at("93.184.215.14", "169.254.169.254"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://llm.example.com",
        "file:///etc/passwd",
        "http://user:pass@llm.example.com",
        "http://llm.example.com?x=1",
        "http://llm.example.com/#frag",
        "http://llm.example.com/a b",
        "http://llm.example.com/%0d%0aX: y",
        "http://llm.example.com:99999",
        "http://",
        "llm.example.com",
        "http://llm.example.com\r\nX: y",
        "http://[::1",
        "",
        "http://" + "a" * 5000,
    ],
)
def test_addresses_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(EndpointRefused):
        check_endpoint(url, NAMED_PRIVATE, at("93.184.215.14"))
