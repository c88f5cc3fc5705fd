"""What the daemon is made of: what is there before anything runs, and what runs."""

from dataclasses import dataclass

from aiohttp import ClientSession

from secondunit.daemon.active import Poller
from secondunit.daemon.again import Again
from secondunit.daemon.alerts import Alerts
from secondunit.daemon.clock import SystemClock
from secondunit.daemon.deliver import Deliverer
from secondunit.daemon.disk import DiskGuard
from secondunit.daemon.http.api import Api
from secondunit.daemon.joblog import JobLog
from secondunit.daemon.metrics import Metrics
from secondunit.daemon.settings import Settings
from secondunit.daemon.uploads import Uploads
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.workspace import WorkFolders
from secondunit.queue.service import Queue
from secondunit.queue.stores.sqlite.store import SqliteStore
from secondunit.queue.worker import Worker


@dataclass(frozen=True, slots=True)
class World:
    """What is there before anything runs; `boot` names this life of the daemon.

    `session` goes to addresses that callers choose, `operators` to those that the operator chose.
    """

    settings: Settings
    clock: SystemClock
    boot: str
    store: SqliteStore
    tools: Tools
    work: WorkFolders
    session: ClientSession
    operators: ClientSession
    joblog: JobLog


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs; no poller where nothing is polled, no alerts where nobody wants them."""

    worker: Worker
    queue: Queue
    metrics: Metrics
    deliverer: Deliverer
    disk: DiskGuard
    poller: Poller | None
    alerts: Alerts | None
    uploads: Uploads
    again: Again
    api: Api
