"""Rates: of a key, of an address, of those who guess keys, behind proxies."""

from ipaddress import ip_network
from typing import Any

import pytest

from secondunit.daemon.http.transport.client_addresses import network_of
from secondunit.daemon.http.transport.rate_limit import MOST_CALLERS, RateLimit
from secondunit.testing.clock import ManualClock
from tests.http.keys import API_KEY, BEARER


async def test_a_key_holder_over_its_rate_is_told_when_to_come_back(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit="2/minute")
    for _ in range(2):
        await harness.call("GET", "/api/jobs", headers=BEARER)
    response = await harness.raw("GET", "/api/jobs", headers=BEARER)
    assert (response.status, response.headers["Retry-After"]) == (429, "30")
    for path in ("/health", "/metrics"):
        assert (await harness.raw("GET", path, headers=BEARER)).status == 200
    await harness.clock.advance(30)
    await harness.call("GET", "/api/jobs", headers=BEARER)
    await harness.call("GET", "/api/jobs", status=429, headers=BEARER)


async def test_a_shared_key_has_its_rate_at_each_address(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit="2/minute", trusted_proxies=(ip_network("127.0.0.0/8"),))
    for _ in range(2):
        await harness.call("GET", "/api/jobs", headers={**BEARER, "X-Forwarded-For": "192.0.2.1"})
    await harness.call("GET", "/api/jobs", status=429, headers={**BEARER, "X-Forwarded-For": "192.0.2.1"})
    await harness.call("GET", "/api/jobs", headers={**BEARER, "X-Forwarded-For": "192.0.2.2"})


@pytest.mark.parametrize("path", ["/metrics", "/health", "/docs", "/api/jobs"])
async def test_wrong_keys_are_limited_wherever_they_are_tried(build: Any, path: str) -> None:
    harness = await build(api_key=API_KEY, rate_limit="3/minute")
    for n in range(3):
        assert (await harness.raw("GET", path, headers={"X-API-Key": f"wrong {n}"})).status in (200, 401)
    assert (await harness.raw("GET", path, headers={"X-API-Key": "another"})).status == 429
    assert (await harness.raw("GET", path, headers=BEARER)).status == 200
    assert (await harness.raw("GET", "/health")).status == 200, "who watches the daemon shows no key"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("2001:db8:0:1::2", "2001:db8:0:1::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_a_caller_is_an_address_or_a_network_of_ipv6(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_guessing_keys_is_limited_by_address_and_does_not_touch_the_key_holder(build: Any) -> None:
    harness = await build(api_key=API_KEY, rate_limit="3/minute")
    for guess in range(3):
        await harness.call("GET", "/api/jobs", status=401, headers={"X-API-Key": f"guess {guess}"})
    await harness.call("GET", "/api/jobs", status=429, headers={"X-API-Key": "another"})
    await harness.call("GET", "/nowhere", status=429)
    await harness.call("GET", "/api/jobs", headers=BEARER)


async def test_a_keyless_daemon_does_not_limit_its_own_machine(build: Any) -> None:
    harness = await build(rate_limit="1/day")
    for _ in range(5):
        await harness.call("GET", "/api/jobs")


@pytest.mark.parametrize(
    ("proxies", "limited"),
    [((), True), (("127.0.0.0/8",), False), (("127.0.0.0/8", "10.9.0.0/16"), False)],
)
async def test_addresses_from_a_proxy_count_only_if_the_proxy_is_trusted(
    build: Any, proxies: tuple[str, ...], limited: bool
) -> None:
    harness = await build(api_key=API_KEY, rate_limit="1/hour", trusted_proxies=tuple(map(ip_network, proxies)))
    through = ", 10.9.9.9" if len(proxies) > 1 else ""
    first = {"X-Forwarded-For": f"1.1.1.1, 2.2.2.2{through}"}
    second = {"X-Forwarded-For": f"1.1.1.1, 3.3.3.3{through}"}
    forged = {"X-Forwarded-For": f"9.9.9.9, 2.2.2.2{through}"}
    await harness.call("GET", "/api/jobs", status=401, headers=first)
    await harness.call("GET", "/api/jobs", status=429 if limited else 401, headers=second)
    await harness.call("GET", "/api/jobs", status=429, headers=forged)


@pytest.mark.parametrize(
    "hop", ["10.9.0.{n}", "127.0.9.{n}", "nobody{n}", "1.2.3.4:{n}", "", "2.2.2.2, 10.9.0.{n}, x{n}"]
)
async def test_what_is_written_where_a_proxy_tells_nobody_spends_the_proxys_own_budget(build: Any, hop: str) -> None:
    proxies = tuple(map(ip_network, ("127.0.0.0/8", "10.9.0.0/16")))
    harness = await build(api_key=API_KEY, rate_limit="2/hour", trusted_proxies=proxies)
    told = [{"X-Forwarded-For": hop.format(n=n)} for n in range(3)]
    for headers, status in zip([*told, {}], (401, 401, 429, 429), strict=True):
        await harness.call("GET", "/api/jobs", status=status, headers=headers)


async def test_a_budget_is_spent_at_once_and_comes_back_evenly() -> None:
    clock = ManualClock()
    limit = RateLimit("3/minute", clock)
    assert [limit.spend("a") for _ in range(5)] == [None, None, None, 20, 20]
    assert limit.spend("b") is None
    await clock.advance(20)
    assert [limit.spend("a"), limit.spend("a")] == [None, 20]
    await clock.advance(10**6)
    assert [limit.spend("a") for _ in range(4)] == [None, None, None, 20]


async def test_what_costs_more_than_is_left_is_let_in_and_owed() -> None:
    clock = ManualClock()
    limit = RateLimit("3/minute", clock)
    assert limit.spend("a", 10) is None
    assert limit.spend("a") == 160, "7 are owed, and the next is the eighth"
    await clock.advance(160)
    assert [limit.spend("a"), limit.spend("a")] == [None, 20]


async def test_a_crowd_of_callers_takes_no_more_memory_than_its_share() -> None:
    limit = RateLimit("1/day", ManualClock())
    for number in range(2 * MOST_CALLERS):
        limit.spend(f"address {number}")
    assert len(limit._full_at) <= MOST_CALLERS
    assert limit.spend(f"address {2 * MOST_CALLERS - 1}") is not None
