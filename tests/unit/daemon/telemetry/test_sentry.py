"""Sentry sink: which errors are sent, how many of a flood, and that they reach a receiver of envelopes."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.monitoring.http_requests import RequestBroke
from secondunit.daemon.process.exit_codes import causes
from secondunit.daemon.telemetry.sentry import MOST, ErrorReports, reported
from secondunit.queue import state
from secondunit.queue.errors import StoreBroken
from secondunit.queue.instrumentation import HandlerRaised, PhaseEnded, SinkBroke
from secondunit.queue.model import Submission
from secondunit.queue.outcome import Deterministic, HandlerBroke, Postponed, Transient
from secondunit.testing.clock import ManualClock

CLOCK = ManualClock()
JOB = state.submit(Submission("hls", {"inputPath": "/srv/holiday.mp4"}), "job_a", CLOCK.now()).job


class Events:
    def __init__(self) -> None:
        self.taken: list[Any] = []

    def capture_event(self, event: Any) -> None:
        self.taken.append(event)


def heard(*facts: Any, clock: ManualClock | None = None) -> list[Any]:
    events = Events()
    reports = ErrorReports(events, clock or ManualClock(), ["hunter2"])
    for fact in facts:
        reports(fact)
    return events.taken


@pytest.mark.parametrize(
    "error",
    [Transient("x"), Deterministic("x"), Postponed("x", delay=1), TimeoutError()],
    ids=lambda error: type(error).__name__,
)
def test_what_a_handler_means_is_no_report(error: BaseException) -> None:
    assert heard(HandlerRaised(JOB, error), PhaseEnded("hls", "encode", 1.0)) == []


@pytest.mark.parametrize(
    "error", [HandlerBroke("a rule"), ValueError("x"), SystemExit(1)], ids=lambda error: type(error).__name__
)
def test_what_nobody_meant_is_reported_with_its_job_and_nothing_of_its_payload(error: BaseException) -> None:
    [event] = heard(HandlerRaised(JOB, error))
    assert event["tags"] == {"where": "run", "job_id": "job_a", "type": "hls", "attempt": "1"}
    assert "holiday" not in json.dumps(event)


def test_requests_and_sinks_that_break_are_reported_but_for_the_reports_own_sink() -> None:
    events = Events()
    reports = ErrorReports(events, ManualClock(), ())
    reports(RequestBroke("GET", "/api/jobs/{id}", ValueError("x")))
    reports(SinkBroke(heard, PhaseEnded("hls", "encode", 1.0), ValueError("y")))
    reports(SinkBroke(reports, PhaseEnded("hls", "encode", 1.0), ValueError("z")))
    assert [event["tags"]["where"] for event in events.taken] == ["request", "sink"]
    assert events.taken[0]["tags"]["route"] == "/api/jobs/{id}"


async def test_of_a_flood_the_first_ones_are_sent_and_the_rest_is_counted() -> None:
    clock, events = ManualClock(), Events()
    reports = ErrorReports(events, clock, ())
    for _ in range(MOST + 5):
        reports(HandlerRaised(JOB, ValueError("x")))
    assert len(events.taken) == MOST
    await clock.advance(61)
    reports(HandlerRaised(JOB, ValueError("x")))
    assert events.taken[-1]["tags"]["kept_back"] == "5"
    reports(HandlerRaised(JOB, ValueError("x")))
    assert "kept_back" not in events.taken[-1]["tags"]


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, list[Any]]]:
    """The DSN of a receiver of envelopes, and the events that came."""
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        lines = (await request.read()).split(b"\n")
        got.extend(json.loads(line) for line in lines if b'"exception"' in line)
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/api/7/envelope/", take)
    async with TestServer(app, host="127.0.0.1") as server:
        yield f"http://publickey@127.0.0.1:{server.port}/7", got


def opened(dsn: str) -> Any:
    return reported(dsn, ManualClock(), ["hunter2"], version="1", box="box-1", causes=causes)


async def test_reports_reach_sentry_before_the_end_with_nothing_but_what_is_ours() -> None:
    async with receiving() as (dsn, got):
        async with opened(dsn) as reports:
            reports(HandlerRaised(JOB, ValueError("hunter2 is the password")))
        [event] = got
    assert event.keys() <= {
        "event_id", "timestamp", "level", "platform", "tags", "exception", "release", "environment", "server_name"
    }  # fmt: skip
    assert (event["release"], event["server_name"]) == ("secondunit@1", "box-1")
    assert "hunter2" not in json.dumps(event) and "vars" not in json.dumps(event)


async def test_what_the_daemon_dies_of_is_reported_and_goes_on_but_for_disks_and_settings() -> None:
    async with receiving() as (dsn, got):
        group = ExceptionGroup("tasks", [KeyError("a loop"), StoreBroken("the disk"), BadConfig(["HOST"])])
        with pytest.raises(ExceptionGroup, match="tasks"):
            async with opened(dsn):
                raise group
        [event] = got
    assert event["tags"] == {"where": "daemon"} and event["exception"]["values"][-1]["type"] == "KeyError"


async def test_a_receiver_that_is_down_holds_nobody_up() -> None:
    began = time.monotonic()
    async with opened("http://publickey@127.0.0.1:9/7") as reports:
        reports(HandlerRaised(JOB, ValueError("x")))
    assert time.monotonic() - began < 60  # two seconds, on a machine that has nothing else to do
