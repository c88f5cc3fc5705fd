"""The geocoder as jobs share it: what it remembers, what it can't decide, and when it is left alone."""

import asyncio
from datetime import datetime, timedelta

import pytest

from secondunit.handlers.tools.geocoding.client import Geocoder, PlaceSought
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, PlaceQuery, chosen, kilometres
from secondunit.handlers.tools.geocoding.nominatim import Declined, Unreached
from secondunit.queue.instrumentation import Fact, PieceDone, follow_run
from secondunit.queue.outcome import Postponed, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.jobs import new
from tests.unit.handlers.locations.journey import Atlas, Drawer, limited, unreached

TAIPEI = GeocodingHit(25.03, 121.56, 0.5)


class Desk:
    def __init__(self) -> None:
        self.clock, self.atlas, self.drawer = ManualClock(), Atlas(), Drawer()
        self.told: list[str] = []
        every = timedelta(milliseconds=1)
        self.geocoder = Geocoder(self.atlas, clock=self.clock, cache=self.drawer, every=every, emit=self._hear)

    def _hear(self, fact: Fact) -> None:
        assert isinstance(fact, PlaceSought)
        self.told.append(fact.outcome)

    async def find(self, query: str = "Taipei 101", *, since: datetime | None = None, language: str = "en") -> object:
        return await self.geocoder.find(PlaceQuery(query, settled=False), language, since=since)


async def test_a_place_is_asked_for_once_however_it_is_written() -> None:
    d = Desk()
    assert await d.find("Taipei 101") == await d.find("  TAIPEI-101 ") == GeocodingHit(25.0, 121.5, 0.5)
    assert (d.atlas.asked, list(d.drawer.days.values()), d.told) == (["Taipei 101"], [90], ["found"])
    await d.find("Taipei 101", language="zh-TW")
    assert len(d.atlas.asked) == 2


async def test_a_followed_run_tells_each_request_and_none_that_the_cache_answered() -> None:
    d, facts = Desk(), list[Fact]()
    follow_run(new("a").job, d.clock, facts.append)
    for _ in range(2):
        await d.find("Taipei 101")
    assert [(fact.kind, fact.name) for fact in facts if isinstance(fact, PieceDone)] == [("call", "geocoder")]
    assert "Taipei" not in str([fact.figures for fact in facts if isinstance(fact, PieceDone)])


async def test_another_server_has_answers_of_its_own() -> None:
    d = Desk()
    await d.find()
    d.atlas.name = "another"
    await d.find()
    assert len(d.atlas.asked) == 2


async def test_what_is_missing_is_remembered_until_it_is_to_be_looked_for_again() -> None:
    d = Desk()
    assert await d.find("Atlantis") == await d.find("Atlantis") == "not_found"
    assert (d.atlas.asked, list(d.drawer.days.values()), d.told) == (["Atlantis"], [7], ["not_found"])
    await d.clock.advance(10)
    before = d.clock.now()
    await d.clock.advance(1)
    assert await d.find("Atlantis", since=before) == "not_found"
    await d.clock.advance(10)
    assert await d.find("Atlantis", since=before) == "not_found"
    assert len(d.atlas.asked) == 2


@pytest.mark.parametrize(
    ("hits", "settled", "meant"),
    [
        ([], False, "not_found"),
        ([TAIPEI], False, TAIPEI),
        ([TAIPEI, GeocodingHit(39.8, -89.6, 0.45)], False, "ambiguous"),
        ([TAIPEI, GeocodingHit(39.8, -89.6, 0.45)], True, TAIPEI),
        ([TAIPEI, GeocodingHit(39.8, -89.6, 0.2)], False, TAIPEI),
        ([TAIPEI, GeocodingHit(25.1, 121.6, 0.5)], False, TAIPEI),
        ([TAIPEI, GeocodingHit(25.1, 121.6, 0.5), GeocodingHit(39.8, -89.6, 0.5)], False, "ambiguous"),
    ],
)
def test_two_places_far_apart_are_ambiguous_unless_something_decides(
    hits: list[GeocodingHit], settled: bool, meant: object
) -> None:
    assert chosen(hits, PlaceQuery("x", settled)) == meant


def test_distances_are_those_on_a_globe() -> None:
    assert kilometres(GeocodingHit(0, 179.9), GeocodingHit(0, -179.9)) == pytest.approx(22.2, abs=0.1)
    assert kilometres(GeocodingHit(51.5074, -0.1278), GeocodingHit(48.8566, 2.3522)) == pytest.approx(343.6, abs=1)
    assert kilometres(GeocodingHit(90, 0), GeocodingHit(-90, 0)) == pytest.approx(20015, abs=1)


async def test_a_question_that_is_declined_says_so() -> None:
    d = Desk()
    d.atlas.broken["x"] = Declined("400")
    assert await d.find("x") == "rejected"


async def test_a_failure_is_not_remembered() -> None:
    d = Desk()
    d.atlas.faults["Taipei 101"] = [unreached()]
    with pytest.raises(Transient):
        await d.find()
    assert isinstance(await d.find(), GeocodingHit)
    assert d.told == ["failed", "found"]


async def test_failures_in_a_row_close_the_gate_for_all_and_an_answer_opens_it() -> None:
    d = Desk()
    d.atlas.down = unreached()
    for _ in range(5):
        assert d.geocoder.trouble is None
        with pytest.raises(Transient):
            await d.find()
    assert "503" in str(d.geocoder.trouble) and not d.geocoder.refused
    with pytest.raises(Postponed, match="503") as caught:
        await d.find("Longshan Temple")
    assert (len(d.atlas.asked), caught.value.delay) == (5, timedelta(seconds=10))
    await d.clock.advance(10)
    d.atlas.down = None
    assert d.geocoder.trouble, "nobody knows yet"
    await d.find()
    assert d.geocoder.trouble is None
    d.atlas.down = unreached()
    with pytest.raises(Transient):
        await d.find("Longshan Temple")


async def test_what_is_known_is_served_while_the_gate_is_closed() -> None:
    d = Desk()
    known = await d.find()
    d.atlas.down = Unreached("403", refused=True)
    with pytest.raises(Transient):
        await d.find("Longshan Temple")
    assert "403" in str(d.geocoder.trouble) and d.geocoder.refused, "one refusal is enough"
    assert await d.find() == known
    await d.clock.advance(10)
    d.atlas.down = None
    await d.find("Longshan Temple")
    assert d.geocoder.trouble is None and not d.geocoder.refused


async def test_pauses_grow_where_the_geocoder_goes_on_asking_for_them() -> None:
    d = Desk()
    delays = []
    for asked in (1, 1, 1, 300, None):
        d.atlas.down = limited(asked)
        with pytest.raises(Postponed) as caught:
            await d.find()
        delays.append(caught.value.delay.total_seconds())
        await d.clock.advance(delays[-1])
    assert delays == [1, 10, 20, 300, 80]
    assert d.geocoder.trouble is None and d.told == []


async def test_an_answer_that_was_on_its_way_does_not_end_a_pause_that_was_asked_for() -> None:
    d = Desk()
    d.atlas.broken["Longshan Temple"] = limited(60)
    d.atlas.hold.clear()
    late = asyncio.ensure_future(d.find())
    while not d.atlas.asked:
        await asyncio.sleep(0.001)
    with pytest.raises(Postponed):
        await d.find("Longshan Temple")
    d.atlas.hold.set()
    assert isinstance(await late, GeocodingHit)
    with pytest.raises(Postponed, match="60 s"):
        await d.find("Elephant Mountain")


async def test_those_who_wait_for_their_turn_stay_away_when_the_gate_closes_meanwhile() -> None:
    d = Desk()
    d.geocoder = Geocoder(d.atlas, clock=d.clock, cache=d.drawer, every=timedelta(milliseconds=50))
    d.atlas.down = limited(60)
    ends = await asyncio.gather(*(d.find(name) for name in "abcd"), return_exceptions=True)
    assert len(d.atlas.asked) == 1 and all(isinstance(end, Postponed) for end in ends)
