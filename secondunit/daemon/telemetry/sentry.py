"""Sentry sink: errors that nobody meant, by job and type, and what the daemon died of; few at a time, and masked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from sentry_sdk import Client
from sentry_sdk.utils import BadDsn as BadDsn  # noqa: PLC0414  which exports it

from secondunit.daemon.config.loader import BadConfig
from secondunit.daemon.monitoring.http_requests import RequestBroke
from secondunit.daemon.telemetry.error_events import event_of
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.instrumentation import Fact, HandlerRaised, SinkBroke
from secondunit.queue.outcome import name_of, unexpected

LAST_EVENTS = 2.0  # seconds in which those that wait may still be sent
MOST, EVERY = 30, 60.0  # events in so many seconds; a handler that breaks may do so a hundred times a second


class Events(Protocol):
    """Takes events, and sends them by itself."""

    def capture_event(self, event: Any) -> object: ...


class ErrorReports:
    """The sink; of a flood it sends the first ones, and says with the next how many it kept to itself."""

    def __init__(self, events: Events, clock: Clock, secrets: Collection[str]) -> None:
        self._events = events
        self._clock = clock
        self._secrets = secrets
        self._since, self._sent, self._kept_back = clock.monotonic(), 0, 0

    def __call__(self, fact: Fact) -> None:
        """Report it, if it is an error that nobody meant."""
        match fact:
            case HandlerRaised(job, error) if unexpected(error):
                tags = {"job_id": job.id, "type": job.type, "attempt": str(job.attempt)}
                self._report(error, {"where": "run", **tags}, job.payload)
            case RequestBroke(method, route, error):
                self._report(error, {"where": "request", "method": method, "route": route})
            case SinkBroke(sink, told, error) if not isinstance(sink, ErrorReports):
                self._report(error, {"where": "sink", "sink": name(sink), "fact": name(told)})

    def died(self, error: BaseException) -> None:
        """Report what ends the daemon; a broken disk, or a wrong setting, is no fault of the program."""
        if not isinstance(error, StoreBroken | StoreFull | BadConfig):
            self._report(error, {"where": "daemon"})

    def _report(self, error: BaseException, tags: Mapping[str, str], payload: Any = None) -> None:
        now = self._clock.monotonic()
        if now - self._since > EVERY:
            self._since, self._sent = now, 0
        if self._sent >= MOST:
            self._kept_back += 1
            return
        kept_back = {"kept_back": str(self._kept_back)} if self._kept_back else {}
        self._events.capture_event(event_of(error, {**tags, **kept_back}, self._secrets, payload))
        self._sent, self._kept_back = self._sent + 1, 0


@asynccontextmanager
async def reported(
    dsn: str, clock: Clock, secrets: Collection[str], *, version: str, box: str, causes: Callable[[BaseException], Any]
) -> AsyncIterator[ErrorReports]:
    """Reports to this DSN, what the daemon dies of while this is open among them (each of its `causes`)."""
    client = Client(
        dsn=dsn,
        release=f"secondunit@{version}",
        server_name=box,
        default_integrations=False,  # they would add the environment, programs' arguments, requests and log lines
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        send_client_reports=False,
        auto_session_tracking=False,
        before_send=_only_ours,
    )
    reports = ErrorReports(client, clock, secrets)
    try:
        yield reports
    except Exception as error:
        for cause in causes(error):
            reports.died(cause)
        raise
    finally:
        await asyncio.to_thread(client.close, LAST_EVENTS)


TOLD = ("event_id", "timestamp", "level", "platform", "tags", "exception", "release", "environment", "server_name")


def _only_ours(event: Any, _: Any) -> Any:
    """Whatever a later version of the SDK adds by itself stays here."""
    return {key: value for key, value in event.items() if key in TOLD}


def name(value: object) -> str:
    """The name of its kind."""
    return type(value).__name__ if not isinstance(value, BaseException) else name_of(value)
