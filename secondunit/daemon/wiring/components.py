"""Containers of the composition: the resources that are there before anything runs, and the components that run."""

from collections.abc import Mapping, Sequence

from aiohttp import ClientSession

from secondunit.daemon.access.keyring import Keyring
from secondunit.daemon.automation.backend_results import BackendResults
from secondunit.daemon.automation.duty_keeper import DutyKeeper
from secondunit.daemon.automation.poller import Poller
from secondunit.daemon.automation.scheduler import Scheduler
from secondunit.daemon.config.settings import Settings
from secondunit.daemon.dashboard.figures import Spending
from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.context import Api
from secondunit.daemon.leasing.work import RemoteWork
from secondunit.daemon.monitoring.alerts import Alerts
from secondunit.daemon.monitoring.bucket_troubles import BucketTroubles
from secondunit.daemon.monitoring.disk_guard import DiskGuard, MediaDisks
from secondunit.daemon.monitoring.health import Checkup
from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.daemon.process.clock import SystemClock
from secondunit.daemon.process.lifecycle import Host
from secondunit.daemon.sight.loop_lag import LoopLag
from secondunit.daemon.wiring.telemetry import Telemetry
from secondunit.handlers.tools.programs.sandbox.measuring import Measured
from secondunit.handlers.tools.storage.workspace import WorkFolders
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.instrumentation import Sink
from secondunit.queue.running.admission import Admission
from secondunit.queue.running.experience import Experience
from secondunit.queue.running.presence import Presence
from secondunit.queue.running.worker import Worker
from secondunit.queue.service import Queue
from secondunit.queue.store import Store
from secondunit.queue.value import Value


class Watchers(Value, frozen=True):
    """The sinks that somebody asks later for what they heard; no alerts where nobody wants them."""

    metrics: Metrics
    poisoned: PoisonedJobs
    buckets: BucketTroubles
    results: BackendResults
    spending: Spending
    lag: LoopLag
    alerts: Alerts | None

    def sinks(self) -> Sequence[Sink]:
        """All of them."""
        usual: list[Sink] = [self.metrics, self.poisoned, self.buckets, self.results, self.spending, self.lag]
        return [*usual, *([self.alerts] if self.alerts else [])]


class World(Value, frozen=True):
    """What is there before anything runs; `boot` names this life of the daemon, `emit` is how it is announced.

    `session` goes to addresses that callers choose, `operators` to those that the operator chose. `origins` says where
    settings came from.
    """

    host: Host
    settings: Settings
    clock: SystemClock
    boot: str
    store: Store
    keys: Keyring
    sandbox: Measured
    tools: Tools
    work: WorkFolders
    session: ClientSession
    operators: ClientSession
    watchers: Watchers
    telemetry: Telemetry
    emit: Sink
    origins: Mapping[str, str]


class Components(Value, frozen=True):
    """What runs; no poller where nothing is polled."""

    worker: Worker
    admission: Admission
    experience: Experience
    presence: Presence
    queue: Queue
    duties: DutyKeeper
    disk: DiskGuard
    media: MediaDisks
    poller: Poller | None
    checkup: Checkup
    uploads: Uploads
    scheduler: Scheduler
    remote: RemoteWork
    api: Api
