"""What the daemon is made of: what is there before anything runs, and what runs."""

from dataclasses import dataclass

from aiohttp import ClientSession

from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.partial_retry import PartialRetrier
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.delivery.dispatcher import Deliverer
from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.context import Api
from secondunit.daemon.monitoring.alerts import Alerts, Poisoned
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.monitoring.metrics import Metrics
from secondunit.daemon.process.clock import SystemClock
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.instrumentation import Sink
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.queue.worker import Worker


@dataclass(frozen=True, slots=True)
class Watchers:
    """The sinks that somebody asks later for what they heard."""

    metrics: Metrics
    poisoned: Poisoned
    results: BackendResults


@dataclass(frozen=True, slots=True)
class World:
    """What is there before anything runs; `boot` names this life of the daemon, `emit` is how it is announced.

    `session` goes to addresses that callers choose, `operators` to those that the operator chose.
    """

    settings: Settings
    clock: SystemClock
    boot: str
    store: Store
    tools: Tools
    work: WorkFolders
    session: ClientSession
    operators: ClientSession
    watchers: Watchers
    emit: Sink


@dataclass(frozen=True, slots=True)
class Components:
    """What runs; no poller where nothing is polled, no alerts where nobody wants them."""

    worker: Worker
    queue: Queue
    deliverer: Deliverer
    disk: DiskGuard
    poller: Poller | None
    alerts: Alerts | None
    uploads: Uploads
    partial_retrier: PartialRetrier
    api: Api
