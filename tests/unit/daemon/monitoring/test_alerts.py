"""Alerts: what is worth one, told once when it begins and once when it is over, and never a secret in the log."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from secondunit.daemon.automation.poller import Polling
from secondunit.daemon.monitoring.alerts import (
    LOOK_EVERY,
    POISON_TOLD_FOR,
    AlertHook,
    Alerts,
    Limits,
    Poisoned,
    Sight,
    judged,
)
from secondunit.daemon.wiring.backend import operators_session
from secondunit.queue import value
from secondunit.queue.instrumentation import JobsMoved
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import JobError
from secondunit.testing.clock import START, ManualClock

LIMITS = Limits(failed_jobs=10, unreachable=timedelta(minutes=15))
DOWN = Polling(down_since=START - timedelta(minutes=15), trouble="answered 500")


@pytest.mark.parametrize(
    ("sight", "words"),
    [
        (Sight(), []),
        (Sight(Polling(found=10)), []),
        (Sight(Polling(found=11)), ["failed_jobs"]),
        (Sight(DOWN), ["backend_down"]),
        (Sight(replace(DOWN, down_since=START - timedelta(minutes=14))), []),
        (Sight(stuck=["job_a"]), ["stuck_jobs"]),
        (Sight(poisoned=["job_a"]), ["poison_jobs"]),
        (Sight(dead_deliveries=1), ["dead_deliveries"]),
        (Sight(disk_full=True), ["disk_full"]),
        (Sight(store="it is gone"), ["store_degraded"]),
        (Sight(DOWN, stuck=["job_a"], disk_full=True), ["backend_down", "stuck_jobs", "disk_full"]),
    ],
)
def test_what_is_wrong_enough_is_found(sight: Sight, words: list[str]) -> None:
    assert list(judged(sight, LIMITS, START)) == words


class Scene:
    """Alerts that look at `sight`, and a receiver that keeps what it takes."""

    def __init__(self) -> None:
        self.sight = Sight()
        self.heard: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.takes = True
        self.alerts = Alerts(self._look, self._send, LIMITS, ManualClock(), "box-1")

    async def _look(self) -> Sight:
        return self.sight

    async def _send(self, message: Mapping[str, str]) -> bool:
        if self.takes:
            self.heard.append((message["alert"], message["state"]))
            self.texts.append(message["text"])
        return self.takes


async def test_an_alert_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    scene = Scene()
    scene.sight = Sight(disk_full=True)
    for _ in range(3):
        await scene.alerts.look()
    scene.sight = Sight()
    for _ in range(3):
        await scene.alerts.look()
    assert scene.heard == [("disk_full", "firing"), ("disk_full", "resolved")]
    assert all(text.startswith("box-1: ") for text in scene.texts)
    scene.sight = Sight(disk_full=True)
    await scene.alerts.look()
    assert len(scene.heard) == 3


async def test_what_could_not_be_told_is_told_later() -> None:
    scene = Scene()
    scene.takes, scene.sight = False, Sight(stuck=["job_a"])
    await scene.alerts.look()
    scene.takes = True
    await scene.alerts.look()
    scene.takes, scene.sight = False, Sight()
    await scene.alerts.look()
    scene.takes = True
    await scene.alerts.look()
    assert scene.heard == [("stuck_jobs", "firing"), ("stuck_jobs", "resolved")]


async def test_what_began_and_ended_untold_is_never_told() -> None:
    scene = Scene()
    scene.takes, scene.sight = False, Sight(dead_deliveries=1)
    await scene.alerts.look()
    scene.takes, scene.sight = True, Sight()
    await scene.alerts.look()
    assert not scene.heard


async def test_a_poisoned_job_is_remembered_for_an_hour() -> None:
    clock = ManualClock()
    poisoned = Poisoned(clock)
    end = Event("job_a", "hls", "failed", clock.now(), Status.FAILED, error=JobError("deterministic", "poison", "x"))
    other = value.replace(end, job_id="job_b", error=JobError("deterministic", "bad_payload", "x"))
    poisoned(JobsMoved([end, other]))
    assert poisoned.recent() == ["job_a"]
    await clock.advance(POISON_TOLD_FOR.total_seconds())
    assert poisoned.recent() == []
    assert timedelta(seconds=LOOK_EVERY) < POISON_TOLD_FOR


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
