"""Request context: the queue, the judges, the settings and the ports that every endpoint is given."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from secondunit.daemon.access.keyring import Keyring
from secondunit.daemon.automation.scheduler import Scheduler
from secondunit.daemon.diagnosis.report import DaemonReport
from secondunit.daemon.files.artifacts import JobArtifacts
from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.connection_limits import USUAL, ConnectionLimits
from secondunit.daemon.http.partial_data import PartialData
from secondunit.daemon.leasing.work import RemoteWork
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.daemon.sight.answers import Answers
from secondunit.handlers.tools.network.addresses import AddressRule, Network
from secondunit.handlers.tools.ports import Results
from secondunit.queue.clock import Clock
from secondunit.queue.instrumentation import Sink, unheard
from secondunit.queue.ports.access import AuditTrail
from secondunit.queue.ports.engine import Snapshot
from secondunit.queue.service import Queue
from secondunit.queue.store import Delivery
from secondunit.queue.value import Value

MIB = 1024 * 1024
PAGES_AT_ONCE = 4  # in the making: a page of 8 MiB of JSON may be ten times as large as values


class MetricsText(Protocol):
    """The text that is scraped."""

    @property
    def content_type(self) -> str:
        """The media type of what `render` gives."""
        ...

    async def render(self) -> bytes:
        """All metrics as Prometheus text."""
        ...


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What an operator may set. `rate_limit` reads like `600/minute`, None is off; sizes are bytes, spans seconds.

    `prefix` is the path below which a proxy serves it all.
    """

    allowed_hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"})
    trusted_proxies: tuple[Network, ...] = ()
    prefix: str = ""
    rate_limit: str | None = "600/minute"
    cors_origins: tuple[str, ...] = ()
    max_body: int = MIB
    max_batch: int = 16 * MIB
    events_heartbeat: float = 15.0
    stream_heartbeat: float = 5.0
    send_timeout: float = 30.0
    connections: ConnectionLimits = USUAL


class Analyses(Value, frozen=True):
    """What the analysis endpoints need: where uploads go, earlier results, the model that is asked, how long they wait.

    `admit` raises before a body is read that could not be stored anyway.
    """

    uploads: Uploads
    results: Results
    model: str
    wait_seconds: float
    admit: Callable[[], None] = lambda: None


class Locations(Value, frozen=True):
    """What the endpoints for the places of videos need: earlier results, and the model that is asked by default.

    `asked` keeps what was asked of a video, and by which job: where no `results` are kept, those jobs answer for it.
    """

    results: Results
    model: str
    asked: Results
    keeps_results: bool = True


@dataclass(frozen=True, slots=True)
class Api:
    """Everything the routes use. `trusted`: this instance serves the control socket, where every caller may do all.

    `analyses` is None where none can be made. `stopping` ends the event streams; `retry_delivery` makes a delivery due
    now, or raises KeyError. `partial_data` is what live jobs published so far; `answers` are what operators ask for.
    Who makes a page of what may be large has one of `pages` meanwhile.
    """

    queue: Queue
    keys: Keyring
    audit: AuditTrail
    schedules: Scheduler
    rule: AddressRule
    clock: Clock
    metrics: MetricsText
    health: Callable[[], Awaitable[HealthReport]]
    doctor: Callable[[], Awaitable[DaemonReport]]
    retry_delivery: Callable[[str], Awaitable[Delivery]]
    stopping: asyncio.Event
    version: str
    partial_data: PartialData
    answers: Answers
    emit: Sink = unheard
    settings: HttpSettings = HttpSettings()
    trusted: bool = False
    backup: Callable[[Path, int | None], Awaitable[Snapshot]] | None = None
    analyses: Analyses | None = None
    artifacts: JobArtifacts | None = None
    locations: Locations | None = None
    remote: RemoteWork | None = None
    pages: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PAGES_AT_ONCE))
