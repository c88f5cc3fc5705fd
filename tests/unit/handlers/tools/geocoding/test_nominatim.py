"""The geocoder's client: the real geopy over HTTP against a stand-in for Nominatim."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise

import pytest

from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, PlaceQuery
from secondunit.handlers.tools.geocoding.nominatim import Declined, Limited, NominatimTransport, Unreached
from secondunit.queue.outcome import Postponed, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.nominatim import Nominatim, hit
from tests.unit.handlers.locations.journey import Drawer

pytestmark = pytest.mark.slow  # geopy takes half a second to import

AGENT = "secondunit/test"


@asynccontextmanager
async def wired(
    *script: str, prefix: str = "", limit: float = 5, **options: object
) -> AsyncIterator[tuple[NominatimTransport, Nominatim]]:
    server = Nominatim(script=list(script))
    async with server.serving(prefix=prefix) as url:
        transport = NominatimTransport(url, user_agent=AGENT, limit=timedelta(seconds=limit))
        try:
            yield transport, server
        finally:
            await transport.close()


async def test_a_place_is_found_and_the_server_knows_who_asks() -> None:
    async with wired() as (transport, server):
        assert await transport.ask("Taipei 101, Taipei", "zh-TW") == [GeocodingHit(25.0339, 121.5645, 0.5)]
        assert await transport.ask("Atlantis", None) == []
    assert server.asked == ["Taipei 101, Taipei", "Atlantis"]
    assert (server.agents, server.languages) == ([AGENT] * 2, ["zh-TW", None])


async def test_a_path_in_the_address_is_a_prefix() -> None:
    async with wired(prefix="/maps/nominatim") as (transport, server):
        assert len(await transport.ask("Taipei 101", None)) == 1
        slashed = NominatimTransport(server.url + "/", user_agent=AGENT)
        assert len(await slashed.ask("士林夜市 & more", None)) == 0
        await slashed.close()
    assert server.asked[1] == "士林夜市 & more"


async def test_several_hits_come_in_the_order_of_the_server() -> None:
    async with wired() as (transport, server):
        server.hits["Springfield"] = [hit("Springfield", 39.8, -89.6, 0.6), {**hit("x", 1, 2), "importance": "much"}]
        assert await transport.ask("Springfield", None) == [GeocodingHit(39.8, -89.6, 0.6), GeocodingHit(1, 2, 0)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("status:503", "503"),
        ("status:500", "500"),
        ("status:502", "502"),
        ("status:504", "504"),
        ("status:404", "404"),
        ("malformed", "no JSON"),
        ("html", "no JSON"),
        ("close!", "disconnected"),
        ("hang", "timed out"),
    ],
)
async def test_a_failure_of_the_server_is_never_taken_for_a_place_that_is_not_there(fault: str, words: str) -> None:
    async with wired(fault, limit=0.3) as (transport, server):
        with pytest.raises(Unreached, match=words) as caught:
            await transport.ask("Taipei 101", None)
        assert not caught.value.refused
        server.script.clear()
        assert len(await transport.ask("Taipei 101", None)) == 1


@pytest.mark.parametrize("code", [401, 402, 403, 407])
async def test_a_server_that_does_not_want_us_is_the_operators_affair(code: int) -> None:
    async with wired(f"status:{code}") as (transport, _):
        with pytest.raises(Unreached, match="GEOCODER_URL") as caught:
            await transport.ask("Taipei 101", None)
        assert caught.value.refused and str(code) in str(caught.value)


async def test_a_question_that_the_server_finds_wrong_is_declined() -> None:
    async with wired("status:400") as (transport, _):
        with pytest.raises(Declined):
            await transport.ask("Taipei 101", None)


@pytest.mark.parametrize(("fault", "wait"), [("rate:120", 120), ("rate", None), ("rate:99999999999999999999", 86400)])
async def test_a_pause_that_the_server_asks_for_arrives(fault: str, wait: float | None) -> None:
    async with wired(fault) as (transport, _):
        with pytest.raises(Limited) as caught:
            await transport.ask("Taipei 101", None)
        assert caught.value.wait == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"lat": "north", "lon": "1"},
        {"lat": "91", "lon": "1"},
        {"lat": "nan", "lon": "1"},
        {"lat": None, "lon": "1"},
        {"lat": "1", "lon": "2", "importance": float("inf")},
    ],
)
async def test_a_hit_that_is_no_point_on_earth_is_no_answer(place: dict[str, object]) -> None:
    async with wired() as (transport, server):
        server.hits["Taipei 101"] = [place]
        with pytest.raises(Unreached, match="can't be read"):
            await transport.ask("Taipei 101", None)


async def test_a_pause_until_a_day_that_never_comes_is_no_answer() -> None:
    async with wired("rate:Mon, 01 Jan 99999999999999999999 00:00:00 GMT") as (transport, _):
        with pytest.raises(Unreached, match="can't be read"):
            await transport.ask("Taipei 101", None)


async def test_a_server_that_is_not_there_is_unreached() -> None:
    async with wired() as (_, server):
        gone = server.url
    transport = NominatimTransport(gone, user_agent=AGENT)
    with pytest.raises(Unreached):
        await transport.ask("Taipei 101", None)
    await transport.close()


async def test_requests_keep_their_distance_whoever_asks() -> None:
    every = 0.1
    async with wired() as (transport, server):
        geocoder = Geocoder(transport, clock=ManualClock(), cache=Drawer(), every=timedelta(seconds=every))
        names: Sequence[str] = list(server.places)
        await asyncio.gather(*(geocoder.find(PlaceQuery(name, True), None) for name in names))
        gaps = [later - earlier for earlier, later in pairwise(server.times)]
        assert sorted(server.asked) == sorted(names) and min(gaps) > every * 0.8


async def test_429_then_success() -> None:
    async with wired("rate:1") as (transport, _):
        clock = ManualClock()
        geocoder = Geocoder(transport, clock=clock, cache=Drawer(), every=timedelta(milliseconds=1))
        with pytest.raises(Postponed) as caught:
            await geocoder.find(PlaceQuery("Taipei 101", True), None)
        assert caught.value.delay == timedelta(seconds=1)
        await clock.advance(1)
        assert await geocoder.find(PlaceQuery("Taipei 101", True), None) == GeocodingHit(25.0339, 121.5645, 0.5)


async def test_a_hanging_server_is_a_failure_of_the_service() -> None:
    async with wired("hang", limit=0.2) as (transport, _):
        geocoder = Geocoder(transport, clock=ManualClock(), cache=Drawer(), every=timedelta(milliseconds=1))
        with pytest.raises(Transient, match="timed out"):
            await geocoder.find(PlaceQuery("Taipei 101", True), None)
