"""A daemon's health check over parts that a test can break, and the three outlets of what it finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from secondunit.daemon.automation.polls import Polling
from secondunit.daemon.monitoring.alerts import Alerts
from secondunit.daemon.monitoring.bucket_troubles import BucketTroubles
from secondunit.daemon.monitoring.conditions import Condition, ConditionsSeen
from secondunit.daemon.monitoring.disk_guard import MediaDisk
from secondunit.daemon.monitoring.health import Checkup
from secondunit.daemon.monitoring.inspection import Box, Watched
from secondunit.daemon.monitoring.poison import PoisonedJobs
from secondunit.daemon.monitoring.prometheus.exposition import Exposition
from secondunit.daemon.monitoring.prometheus.metrics import Metrics
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.instrumentation import Fact, Sinks
from secondunit.queue.sight.boxes import SeenBox
from secondunit.testing.rig import Rig, spec

FFMPEG = Media("/bin/ffmpeg", "/bin/ffprobe", "9", frozenset(), frozenset(), scale_tonemaps=True)
AFTER = timedelta(minutes=15)


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


FREE = spec("hls", never, programs=("ffmpeg",))
PAID = spec("asks", never, paid=True)


@dataclass
class FakeDisk:
    """The guard of the disk."""

    closed: bool = False


@dataclass
class FakeRoots:
    """The disks of MEDIA_ROOTS."""

    seen: dict[Path, MediaDisk] = field(default_factory=lambda: {Path("/media"): MediaDisk(free=1 << 40)})


@dataclass
class FakeLines:
    """The log."""

    losing: bool = False
    lost: int = 0


@dataclass
class FakeTimetable:
    """The schedules."""

    stopped: dict[str, str] = field(default_factory=dict)


@dataclass
class FakePoller:
    """The poller's state."""

    state: Polling = field(default_factory=Polling)

    def figures(self) -> Mapping[str, Any]:
        """Nothing of interest."""
        return {}


@dataclass
class FakeProvider:
    """Gemini, or the geocoder."""

    trouble: str | None = None
    refused: bool = False
    spent: str | None = None

    async def used_up(self) -> str | None:
        """What the test says of the budget."""
        return self.spent


class Watch:
    """The daemon `box-1`: all is well, until a test breaks one of its parts."""

    def __init__(self, folder: Path, *specs: HandlerSpec) -> None:
        self.rig = Rig(*(specs or (FREE, PAID)))
        self.clock = self.rig.clock
        self.box: dict[str, Any] = {
            "version": "1",
            "engine": {"sqlite": "3"},
            "boot": "b",
            "name": "box-1",
            "mode": "active",
            "data_dir": folder,
            "media": FFMPEG,
            "broken": (),
            "gemini": True,
            "stall": timedelta(minutes=5),
            "failed_jobs": 10,
        }
        self.disk, self.poller, self.gemini, self.geocoder = FakeDisk(), FakePoller(), FakeProvider(), FakeProvider()
        self.log, self.media, self.schedules = FakeLines(), FakeRoots(), FakeTimetable()
        self.buckets = BucketTroubles(self.clock)
        self.poisoned = PoisonedJobs(self.clock)
        self.metrics = Metrics(self.clock)
        self.alerts = Alerts(AFTER, self.clock, "box-1")
        self.facts: list[Fact] = []
        self.boxes: list[SeenBox] = []
        self.emit = Sinks(self.metrics, self.alerts, self.poisoned, self.buckets, self.facts.append)
        self.taken: list[Mapping[str, str]] = []
        self.takes = True
        self._checkup: Checkup | None = None
        self._page = Exposition(self.metrics, self.rig.store, self.clock)

    @property
    def checkup(self) -> Checkup:
        """The health check; what stands in `box` is taken when it is first asked for."""
        if self._checkup is None:
            found = self.poisoned, self.media, self.buckets, self.schedules
            services = self.poller, self.gemini, self.geocoder
            parts = Watched(self.rig.store.engine, self.disk, self.log, *found, *services, boxes=self._listed)
            self._checkup = Checkup(self.rig.queue, Box(**self.box), parts, self.clock, self.emit)
        return self._checkup

    async def _listed(self) -> Sequence[SeenBox]:
        return self.boxes

    async def send(self, message: Mapping[str, str]) -> bool:
        """The receiver of alerts."""
        if self.takes:
            self.taken.append(message)
        return self.takes

    @property
    def told(self) -> list[tuple[str, str]]:
        """Which alerts it took."""
        return [(message["alert"], message["state"]) for message in self.taken]

    @property
    def seen(self) -> Sequence[Condition]:
        """What the last look found."""
        return next(fact.conditions for fact in reversed(self.facts) if isinstance(fact, ConditionsSeen))

    async def degraded(self) -> set[str]:
        """The reasons in the metric."""
        lines = (await self._page.render()).decode().splitlines()
        return {line.split('"')[1] for line in lines if line.startswith("secondunit_degraded{")}
