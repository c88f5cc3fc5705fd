"""One round over the places of a video: each on its own, once more those that got no answer, and who waits."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.locations.search import LONGEST_PAUSE, LookupAnswer, PlaceLookup
from secondunit.handlers.tools.geocoding.matching import GeocodingHit, PlaceQuery
from secondunit.queue.outcome import Postponed, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext

HIT, OTHER = GeocodingHit(25.0, 121.5), GeocodingHit(26.0, 122.5)
FAILS = Transient("503", type="geocoder_unavailable")


class Gate:
    """A geocoder by script: for each place its answers, one after the other; the last one stays."""

    def __init__(self, **script: Sequence[Any]) -> None:
        self.script = {name: list(answers) for name, answers in script.items()}
        self.asked: list[str] = []
        self.shut: Exception | None = None

    async def find(self, wanted: PlaceQuery, language: str | None, *, since: Any = None) -> Any:
        self.asked.append(wanted.query)
        answers = self.script[wanted.query]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def admit(self) -> None:
        if self.shut:
            raise self.shut


class Round:
    """A look at the places of a script, and what was told of each."""

    def __init__(self, ctx: FakeContext, gate: Any) -> None:
        self.clock = ManualClock()
        self.ctx = ctx
        self.gate = gate
        self.told: list[tuple[int, LookupAnswer]] = []

    async def look(self, have: int = 0) -> Any:
        async def tell(n: int, answer: LookupAnswer) -> None:
            self.told.append((n, answer))

        wanted = {n: PlaceQuery(name, True) for n, name in enumerate(self.gate.script)}
        return await PlaceLookup(self.gate, self.clock, self.ctx, "en").look(wanted, tell, have=have)


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path)


async def test_each_answer_is_told_when_it_comes(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=[HIT], b=["not_found"], c=[OTHER]))
    assert await r.look() == {0: HIT, 1: "not_found", 2: OTHER}
    assert r.told == [(0, HIT), (1, "not_found"), (2, OTHER)] and r.gate.asked == ["a", "b", "c"]


async def test_the_geocoder_is_waited_for_with_a_limit_that_pauses_fit_into(ctx: FakeContext) -> None:
    await Round(ctx, Gate(a=[HIT])).look()
    assert ctx.quiets["the geocoder is asked"] > 2 * LONGEST_PAUSE


async def test_what_got_no_answer_is_asked_for_once_more_after_all_others(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=[FAILS, HIT], b=[HIT], c=[FAILS, FAILS]))
    assert await r.look() == {0: HIT, 1: HIT, 2: "unavailable"}
    assert r.gate.asked == ["a", "b", "c", "a", "c"]
    assert r.told == [(1, HIT), (0, HIT), (2, "unavailable")], "what failed is told at the end"


@pytest.mark.parametrize("have", [0, 1])
async def test_nothing_found_by_failures_is_no_result_unless_something_was_found_before(
    ctx: FakeContext, have: int
) -> None:
    r = Round(ctx, Gate(a=[FAILS], b=["not_found"]))
    if have:
        assert await r.look(have) == {0: "unavailable", 1: "not_found"}
        return
    with pytest.raises(Transient, match=r"none of 2 places was found.* 1 of them") as failed:
        await r.look()
    assert failed.value.type == "geocoder_unavailable" and (0, "unavailable") not in r.told


async def test_nothing_found_because_there_is_nothing_is_a_result(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=["not_found"], b=["ambiguous"]))
    assert await r.look() == {0: "not_found", 1: "ambiguous"}


async def test_when_nothing_was_found_and_the_gate_is_shut_the_job_waits_for_it(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=[FAILS]))
    r.gate.shut = Postponed("geocoder_down", delay=timedelta(minutes=1))
    with pytest.raises(Postponed, match="geocoder_down"):
        await r.look()


async def test_a_short_pause_is_waited_for_and_shown(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=[Postponed("busy", delay=LONGEST_PAUSE), HIT]))
    looking = asyncio.create_task(r.look())
    await r.clock.advance(LONGEST_PAUSE.total_seconds() - 0.1)
    assert not looking.done() and [report.message for report in ctx.reports] == ["busy"]
    await r.clock.advance(0.1)
    assert await looking == {0: HIT}


@pytest.mark.parametrize("have", [0, 3])
async def test_a_long_pause_before_all_were_asked_gives_the_room_away(ctx: FakeContext, have: int) -> None:
    shut = Postponed("busy", delay=LONGEST_PAUSE + timedelta(milliseconds=1))
    r = Round(ctx, Gate(a=[HIT], b=[shut], c=[HIT]))
    with pytest.raises(Postponed, match="busy"):
        await r.look(have)
    assert r.told == [(0, HIT)] and r.gate.asked == ["a", "b"], "what was found is kept by who is told"


async def test_a_long_pause_at_the_second_asking_leaves_the_rest_unavailable(ctx: FakeContext) -> None:
    shut = Postponed("busy", delay=timedelta(hours=1))
    r = Round(ctx, Gate(a=[FAILS, shut], b=[HIT], c=[FAILS, HIT]))
    assert await r.look() == {0: "unavailable", 1: HIT, 2: "unavailable"}
    assert r.gate.asked == ["a", "b", "c", "a"]


async def test_a_long_pause_at_the_second_asking_with_nothing_found_waits(ctx: FakeContext) -> None:
    r = Round(ctx, Gate(a=[FAILS, Postponed("busy", delay=timedelta(hours=1))], b=["not_found"]))
    with pytest.raises(Postponed, match="busy"):
        await r.look()
