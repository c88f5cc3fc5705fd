"""Alerts: what is worth one, told once when it begins and once when it is over, and never a secret in the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from secondunit.daemon.monitoring.alerts import AlertHook, Alerts, worth_telling
from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.daemon.wiring.backend import operators_session
from secondunit.queue.instrumentation import PhaseEnded
from secondunit.testing.clock import START, ManualClock

AFTER = timedelta(minutes=15)
FULL = Condition("disk_full", "the disk is full", START, "free some space", "there is room")
STUCK = Condition("stuck_jobs", "1 job does not move", START, "recover it", "all move")
DOWN = Condition("backend_down", "answered 500", START, "see to it", "it answers", passing=True)


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, ["disk_full"]), (14.9, ["disk_full"]), (15, ["disk_full", "backend_down"])]
)
def test_what_may_pass_is_worth_an_alert_once_it_has_lasted(minutes: float, words: list[str]) -> None:
    told = worth_telling([FULL, DOWN], AFTER, START + timedelta(minutes=minutes))
    assert [condition.word for condition in told] == words


class Scene:
    """Alerts that hear of conditions, and a receiver that keeps what it takes."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.takes = True
        self.clock = ManualClock()
        self.alerts = Alerts(AFTER, self.clock, "box-1")

    async def send(self, message: Mapping[str, str]) -> bool:
        if self.takes:
            self.heard.append((message["alert"], message["state"]))
            self.texts.append(message["text"])
        return self.takes

    async def look(self, *conditions: Condition) -> None:
        """The daemon looks at itself and sees these."""
        self.alerts(ConditionsSeen(conditions))
        await self.clock.settle()

    async def gone(self, *others: Condition) -> None:
        """It has looked for as long as it takes, and seen only others."""
        await self.look(*others)
        await self.clock.advance(AFTER.total_seconds())
        await self.look(*others)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    task = asyncio.create_task(scene.alerts.run(scene.send))
    try:
        yield scene
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    async with scene() as s:
        for _ in range(3):
            await s.look(FULL)
        await s.gone()
        await s.look()
        assert s.heard == [("disk_full", "firing"), ("disk_full", "resolved")]
        assert s.texts == ["box-1: the disk is full; free some space", "box-1: there is room"]
        await s.look(FULL)
        assert len(s.heard) == 3


async def test_each_of_several_things_is_told_for_itself() -> None:
    a, b = (Condition("plugin_broken", f"{n} is broken", START, "mend it", f"{n} is well", n) for n in "ab")
    async with scene() as s:
        await s.look(a)
        await s.look(a, b)
        await s.gone(b)
        assert s.heard == [("plugin_broken", state) for state in ("firing", "firing", "resolved")]
        assert s.texts[-1] == "box-1: a is well"


async def test_what_could_not_be_told_is_told_later() -> None:
    async with scene() as s:
        s.takes = False
        await s.look(STUCK)
        s.takes = True
        await s.look(STUCK)
        s.takes = False
        await s.gone()
        s.takes = True
        await s.look()
        assert s.heard == [("stuck_jobs", "firing"), ("stuck_jobs", "resolved")]


async def test_what_comes_and_goes_is_one_alert() -> None:
    async with scene() as s:
        for _ in range(5):
            await s.look(FULL)
            await s.look()
            await s.clock.advance(AFTER.total_seconds() - 1)
            await s.look()
        assert s.heard == [("disk_full", "firing")]
        await s.clock.advance(1)
        await s.look()
        assert s.heard == [("disk_full", "firing"), ("disk_full", "resolved")]


async def test_one_that_may_pass_is_not_over_because_it_came_back_only_now() -> None:
    async with scene() as s:
        await s.clock.advance(AFTER.total_seconds())
        await s.look(DOWN)
        await s.look()
        again = replace(DOWN, since=s.clock.now())
        await s.clock.advance(AFTER.total_seconds() - 1)
        await s.look(again)
        await s.clock.advance(2)
        await s.look(again)
        assert s.heard == [("backend_down", "firing")]


async def test_what_began_and_ended_untold_is_never_told() -> None:
    async with scene() as s:
        s.takes = False
        await s.look(STUCK)
        s.takes = True
        await s.gone()
        assert s.heard == []


async def test_other_facts_are_no_news() -> None:
    async with scene() as s:
        s.takes = False
        await s.look(FULL)
        s.takes = True
        s.alerts(PhaseEnded("hls", "encode", 1.0))
        await s.clock.settle()
        assert not s.heard


MESSAGE = {"text": "box-1: the disk is full", "alert": "disk_full", "state": "firing", "box": "box-1"}


async def sent(status: int | None) -> tuple[bool, list[Any], str]:
    """Whether a receiver that answers so took the alert, what it got, and what the log says."""
    got: list[Any] = []

    async def receive(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=status or 200, headers={"Location": "/elsewhere/hunter2"})

    app = web.Application()
    app.router.add_post("/services/{secret}", receive)
    async with TestServer(app) as server, operators_session("test") as session:
        url = str(server.make_url("/services/hunter2"))
        if status is None:
            await server.close()
        with structlog.testing.capture_logs() as lines:
            taken = await AlertHook(session, url)(MESSAGE)
    return taken, got, str(lines)


async def test_a_receiver_gets_a_text_that_slack_reads() -> None:
    assert await sent(200) == (True, [MESSAGE], "[]")


@pytest.mark.parametrize("status", [302, 404, 500, None])
async def test_a_receiver_that_fails_costs_a_line_in_the_log_without_its_url(status: int | None) -> None:
    taken, _, lines = await sent(status)
    assert not taken
    assert "alert.unsent" in lines and "hunter2" not in lines and "127.0.0.1" not in lines


async def test_a_url_that_is_none_costs_a_line_too() -> None:
    async with operators_session("test") as session:
        with structlog.testing.capture_logs() as lines:
            assert not await AlertHook(session, "http://[hunter2")(MESSAGE)
    assert "hunter2" not in str(lines) and len(lines) == 1
