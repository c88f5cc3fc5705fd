"""The reaper without a socket: who is cut and when, who makes room for whom, and who is not let in."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from structlog.testing import capture_logs

from secondunit.daemon.http.connection_limits import ConnectionLimits
from secondunit.daemon.http.transport.reaper import DEADLINES, TURNED_AWAY, Look, Phase, Reaper, got_on
from secondunit.daemon.monitoring.http_requests import ConnectionShed, ConnectionsOpen
from secondunit.queue.instrumentation import Fact
from secondunit.testing.clock import ManualClock

LAN = "192.0.2.{}"


class Line:
    """A connection that looks as a test says."""

    def __init__(self, phase: Phase = Phase.HEAD, mark: int = 0) -> None:
        self.now = Look(phase, mark)
        self.cuts: list[Phase] = []
        self.dropped = False

    def look(self) -> Look:
        return self.now

    def cut(self, phase: Phase) -> None:
        self.cuts.append(phase)

    def drop(self) -> None:
        self.dropped = True


class Hall:
    """A reaper of few places, and what it told."""

    def __init__(self, **limits: int) -> None:
        self.clock = ManualClock()
        self.facts: list[Fact] = []
        few = ConnectionLimits(**{"total": 16, "of_address": 16, "of_key": 16, **limits})
        self.reaper = Reaper("api", few, (ip_network("198.51.100.0/24"),), self.clock, self.facts.append)

    def enter(self, peer: str = "127.0.0.1", phase: Phase = Phase.HEAD) -> Line:
        """One more connection, which must be let in."""
        line = Line(phase)
        assert self.reaper.admit(line, peer)
        return line

    async def passes(self, seconds: int, each: Callable[[int], Any] = lambda _: None) -> None:
        """So many seconds, with a look after each."""
        for second in range(seconds):
            each(second)
            await self.clock.advance(1)
            await self.reaper.sweep()

    @property
    def shed(self) -> list[str]:
        return [fact.why for fact in self.facts if isinstance(fact, ConnectionShed)]


@pytest.mark.parametrize(
    ("phase", "seconds"), [(Phase.HEAD, 10), (Phase.BODY, 30), (Phase.READER, 30), (Phase.IDLE, 75)]
)
async def test_who_does_not_get_on_is_cut_at_its_deadline_and_not_before(phase: Phase, seconds: int) -> None:
    hall = Hall()
    line = hall.enter(phase=phase)
    await hall.passes(seconds - 1)
    assert line.cuts == []
    await hall.passes(2)
    assert line.cuts == [phase]
    assert hall.shed == [{"HEAD": "head", "BODY": "body", "READER": "reader", "IDLE": "idle"}[phase.name]]


async def test_who_waits_for_us_is_never_cut() -> None:
    hall = Hall()
    line = hall.enter(phase=Phase.WORKING)
    await hall.passes(1000)
    assert line.cuts == [] and not line.dropped


async def test_a_body_may_take_as_long_as_it_gets_on() -> None:
    hall = Hall()
    line = hall.enter(phase=Phase.BODY)

    def trickle(second: int) -> None:
        line.now = Look(Phase.BODY, second // 29)

    await hall.passes(300, trickle)
    assert line.cuts == []


async def test_a_head_has_ten_seconds_however_it_trickles() -> None:
    hall = Hall()
    line = hall.enter()
    await hall.passes(11, lambda second: setattr(line, "now", Look(Phase.HEAD, 0)))
    assert line.cuts == [Phase.HEAD]


async def test_a_reader_gets_on_by_taking_something_not_by_getting_more_to_take() -> None:
    hall = Hall()
    slow, stuck = hall.enter(), hall.enter()

    def look(second: int) -> None:
        slow.now = Look(Phase.READER, 10_000 - second)
        stuck.now = Look(Phase.READER, 10_000 + second)

    await hall.passes(40, look)
    assert slow.cuts == [] and stuck.cuts == [Phase.READER]


@pytest.mark.parametrize("phase", [Phase.HEAD, Phase.IDLE, Phase.BODY])
def test_another_phase_or_another_mark_is_progress(phase: Phase) -> None:
    assert got_on(Look(Phase.WORKING), Look(phase)) and got_on(Look(phase, 1), Look(phase, 2))
    assert not got_on(Look(phase, 1), Look(phase, 1))


async def test_in_a_full_house_those_who_only_wait_make_room_longest_first() -> None:
    hall = Hall(total=16)
    lines = []
    for _ in range(16):
        lines.append(hall.enter(phase=Phase.IDLE))
        await hall.passes(1)
    lines[0].now = Look(Phase.IDLE, 1)  # has just asked for something
    await hall.passes(1)
    hall.enter()
    assert [line.dropped for line in lines] == [False, True, *[False] * 14]
    assert hall.shed == ["room"]


async def test_bodies_that_come_are_the_last_to_make_room() -> None:
    hall = Hall(total=4)
    body, reader = hall.enter(phase=Phase.BODY), hall.enter(phase=Phase.READER)
    await hall.clock.advance(20)
    head, working = hall.enter(), hall.enter(phase=Phase.WORKING)
    for expected in (head, reader, body):
        new = hall.enter(phase=Phase.WORKING)
        assert expected.dropped and not new.dropped
    assert not working.dropped and not hall.reaper.admit(Line(), "127.0.0.1")


async def test_the_address_with_most_connections_makes_room_first() -> None:
    hall = Hall(total=8)
    good = hall.enter(LAN.format(1), Phase.IDLE)
    await hall.clock.advance(50)
    many = [hall.enter(LAN.format(2), Phase.IDLE) for _ in range(7)]
    hall.enter(LAN.format(3))
    assert not good.dropped and sum(line.dropped for line in many) == 1


async def test_where_all_are_at_work_nobody_more_is_let_in_until_one_leaves() -> None:
    hall = Hall(total=3)
    lines = [hall.enter(phase=Phase.WORKING) for _ in range(3)]
    assert not hall.reaper.admit(Line(), "127.0.0.1") and hall.shed == ["total"]
    hall.reaper.left(lines[0])
    hall.enter()


async def test_a_full_house_is_not_looked_through_for_each_who_knocks() -> None:
    hall = Hall(total=3)
    lines = [hall.enter(phase=Phase.WORKING) for _ in range(3)]
    assert not hall.reaper.admit(Line(), "127.0.0.1")
    lines[0].now = Look(Phase.IDLE)
    assert not hall.reaper.admit(Line(), "127.0.0.1")
    await hall.passes(1)
    hall.enter()
    assert lines[0].dropped


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        (LAN.format(1), LAN.format(1), True),
        (LAN.format(1), LAN.format(2), False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
async def test_an_address_has_its_share_and_of_ipv6_a_network_is_one(first: str, second: str, one: bool) -> None:
    hall = Hall(of_address=2)
    for _ in range(2):
        hall.enter(first, Phase.WORKING)
    assert hall.reaper.admit(Line(), second) is not one
    assert hall.shed == (["address"] if one else [])


@pytest.mark.parametrize("shared", ["127.0.0.1", "127.3.2.1", "::1", "198.51.100.7", ""])
async def test_this_machine_and_trusted_proxies_stand_for_many(shared: str) -> None:
    hall = Hall(of_address=2)
    for _ in range(5):
        hall.enter(shared, Phase.WORKING)


async def test_a_key_has_its_share_over_all_addresses() -> None:
    hall = Hall(of_key=2)
    lines = [hall.enter(LAN.format(n), Phase.WORKING) for n in range(4)]
    assert [hall.reaper.claim(line, "a") for line in lines] == [True, True, False, False]
    assert hall.shed == ["key", "key"]
    assert hall.reaper.claim(lines[2], "b") and hall.reaper.claim(lines[0], "a"), "known already"
    hall.reaper.left(lines[0])
    assert hall.reaper.claim(lines[3], "a")


async def test_an_idle_connection_of_a_key_makes_room_for_another_of_it() -> None:
    hall = Hall(of_key=2)
    lines = [hall.enter(phase=Phase.WORKING) for _ in range(3)]
    assert hall.reaper.claim(lines[0], "a") and hall.reaper.claim(lines[1], "a")
    lines[0].now = Look(Phase.IDLE)
    assert hall.reaper.claim(lines[2], "a") and lines[0].dropped


async def test_who_is_turned_away_has_a_second_and_only_so_many_have_it() -> None:
    hall = Hall()
    lines = [Line() for _ in range(TURNED_AWAY + 1)]
    assert [hall.reaper.turn_away(line) for line in lines] == [*[True] * TURNED_AWAY, False]
    hall.reaper.left(lines[0])
    await hall.passes(2)
    assert [line.dropped for line in lines] == [False, *[True] * (TURNED_AWAY - 1), False]
    assert hall.reaper.turn_away(lines[-1])


async def test_a_flood_is_counted_and_told_in_few_lines() -> None:
    hall = Hall(total=8)
    with capture_logs() as told:
        for _ in range(8):
            hall.enter(phase=Phase.WORKING)
        for _ in range(1000):
            assert not hall.reaper.admit(Line(), "127.0.0.1")
        await hall.passes(1)
    assert hall.shed == ["total"] * 1000 and len(told) <= 31
    assert hall.facts[-1] == ConnectionsOpen("api", 8)


async def test_idle_connections_end_without_a_line() -> None:
    hall = Hall()
    hall.enter(phase=Phase.IDLE)
    with capture_logs() as told:
        await hall.passes(int(DEADLINES[Phase.IDLE]) + 1)
    assert hall.shed == ["idle"] and told == []


async def test_nothing_is_kept_of_who_has_left() -> None:
    hall = Hall()
    lines = [hall.enter(LAN.format(n)) for n in range(9)]
    for line in lines:
        hall.reaper.claim(line, "a")
        hall.reaper.left(line)
        hall.reaper.left(line)
    assert not (hall.reaper._held or hall.reaper._of_address or hall.reaper._of_key or hall.reaper._turned_away)
