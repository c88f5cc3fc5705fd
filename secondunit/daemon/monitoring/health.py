"""How the daemon is: what is wrong, and the figures an operator looks at first."""

import asyncio
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from secondunit.daemon.automation.poller import Poller, Polling
from secondunit.daemon.config.job_types import BrokenJobType
from secondunit.daemon.formats import instant
from secondunit.daemon.monitoring.alerts import Poisoned, Sight
from secondunit.daemon.monitoring.disk_guard import DiskGuard
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Counts, Filter, Job, Status
from secondunit.queue.service import Queue

LEAST_FREE = 512 * 1024 * 1024
RUNNING_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Reason:
    """Something wrong: a stable word, and a sentence that says what to do."""

    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """What stays the same while the daemon runs."""

    version: str
    engine: Mapping[str, str]
    boot: str
    name: str
    mode: str
    data_dir: Path
    media: Media | MediaMissing
    broken: Sequence[BrokenJobType]
    gemini: bool
    stall: timedelta
    browser: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueInspection:
    """What a look at the queue's store and its disk shows; `stuck` are running jobs that don't move."""

    counts: Counts
    stuck: Sequence[str]
    deliveries: Mapping[str, int]
    free: int


class Checkup:
    """Looks at the daemon when asked; `observe` hears the words of all reasons each time."""

    def __init__(
        self,
        queue: Queue,
        box: Box,
        clock: Clock,
        observe: Callable[[Sequence[str]], None],
        *,
        disk: DiskGuard,
        poller: Poller | None,
        gemini: Gemini | None,
        geocoder: Geocoder | None,
    ) -> None:
        self._geocoder = geocoder
        self._disk = disk
        self._gemini = gemini
        self._poller = poller
        self._queue = queue
        self._box = box
        self._clock = clock
        self._observe = observe
        self._since = clock.monotonic()

    async def __call__(self) -> HealthReport:
        """How the daemon is now."""
        try:
            found = await self._look()
        except StoreBroken as error:
            self._observe(["store_broken"])
            return HealthReport("failing", [f"store_broken: {error}"], {"version": self._box.version})
        reasons = [
            *standing(self._box, self._queue.registry),
            *passing(found, self._queue.registry, disk_full=self._disk.closed),
            *facing(
                self._poller.state if self._poller else None,
                self._gemini.trouble if self._gemini else None,
                self._geocoder.trouble if self._geocoder else None,
            ),
        ]
        self._observe([reason.word for reason in reasons])
        status: Literal["ok", "degraded", "draining"] = "degraded" if reasons else "ok"
        if self._queue.draining:
            status = "draining"
        return HealthReport(status, [f"{reason.word}: {reason.text}" for reason in reasons], self._figures(found))

    async def sight(self, poisoned: Poisoned) -> Sight:
        """What the alerts are judged by."""
        polling = self._poller.state if self._poller else None
        try:
            found = await self._look()
        except StoreBroken as error:
            return Sight(polling, store=str(error))
        dead = found.deliveries.get("dead", 0)
        return Sight(polling, found.stuck, poisoned.recent(), dead, disk_full=self._disk.closed)

    async def _look(self) -> QueueInspection:
        counts = await self._queue.counts()
        running = await self._queue.find(Filter(statuses=[Status.RUNNING]), limit=RUNNING_LOOKED_AT)
        deliveries = await self._queue.delivery_counts()
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self._box.data_dir).free)
        return QueueInspection(counts, [job.id for job in running.jobs if self._stuck(job)], deliveries, free)

    def _stuck(self, job: Job) -> bool:
        now = self._clock.now()
        registry = self._queue.registry
        stall = registry[job.type].stall if job.type in registry else self._box.stall
        return now - job.updated_at > stall or (job.lease is not None and job.lease.until < now)

    def _figures(self, found: QueueInspection) -> dict[str, Any]:
        counts, oldest = found.counts, found.counts.oldest_ready
        polling = self._poller.state if self._poller else None
        waited = (self._clock.now() - oldest).total_seconds() if oldest else None
        return {
            "version": self._box.version,
            "versions": {
                "secondunit": self._box.version,
                "python": platform.python_version(),
                **self._box.engine,
                "ffmpeg": self._box.media.describe(),
                "browser": self._box.browser,
            },
            "box": self._box.name,
            "boot": self._box.boot,
            "mode": self._box.mode,
            "uptimeSeconds": round(self._clock.monotonic() - self._since, 1),
            "queue": {
                "queued": sum(counts.queued.values()),
                "running": sum(counts.running.values()),
                "queuedByType": dict(counts.queued),
                "runningByType": dict(counts.running),
            },
            "oldestQueuedAt": instant(oldest),
            "oldestQueuedSeconds": None if waited is None else round(max(waited, 0.0), 1),
            "types": sorted(self._queue.registry),
            "stuckJobs": found.stuck,
            "lastPoll": instant(polling.polled_at) if polling else None,
            "backend": self._poller.figures() if self._poller else None,
            "undeliveredCallbacks": found.deliveries.get("pending", 0),
            "deadDeliveries": found.deliveries.get("dead", 0),
            "diskFreeBytes": found.free,
        }


def standing(box: Box, registry: Mapping[str, HandlerSpec]) -> Sequence[Reason]:
    """What was wrong at start and stays so until a restart."""
    reasons = [Reason("plugin_broken", f"{broken.source} can't be used: {broken.why}") for broken in box.broken]
    if isinstance(box.media, MediaMissing):
        reasons.append(Reason("ffmpeg_missing", box.media.remedy))
    paid = sorted(type for type, spec in registry.items() if spec.paid)
    refused = [f"{' and '.join(paid)} {'are' if len(paid) > 1 else 'is'} refused"] if paid else []
    if not box.gemini and (without := refused + ["nothing is polled"] * (box.mode == "active")):
        reasons.append(Reason("gemini_key_missing", f"set GEMINI_API_KEY; without it {' and '.join(without)}"))
    return reasons


def passing(found: QueueInspection, registry: Mapping[str, Any], *, disk_full: bool) -> Sequence[Reason]:
    """What is wrong here at the moment."""
    reasons = []
    stuck = found.stuck
    unknown = sorted(type for type, number in found.counts.queued.items() if number and type not in registry)
    if unknown:
        reasons.append(Reason("unknown_type", f"queued jobs of types that nothing here serves: {', '.join(unknown)}"))
    if stuck:
        reasons.append(Reason("stuck_jobs", f"{len(stuck)} running jobs do not move: {', '.join(stuck[:5])}"))
    room = f"{found.free // 2**20} MiB are free on the disk of DATA_DIR"
    if disk_full:
        reasons.append(Reason("disk_full", f"{room}: no new jobs are taken; free some space, it goes on by itself"))
    elif found.free < LEAST_FREE:
        reasons.append(Reason("disk_low", f"{room}; free some space"))
    return reasons


def facing(
    polling: Polling | None, gemini_trouble: str | None = None, geocoder_trouble: str | None = None
) -> Sequence[Reason]:
    """What is wrong with the backend, with Gemini and with the geocoder."""
    reasons = []
    if polling is not None and polling.down_since is not None:
        word = "backend_refused" if polling.refused else "backend_down"
        reasons.append(Reason(word, f"since {instant(polling.down_since)}: {polling.trouble}"))
    if gemini_trouble is not None:
        reasons.append(Reason("gemini_trouble", gemini_trouble))
    if geocoder_trouble is not None:
        reasons.append(Reason("geocoder_trouble", f"{geocoder_trouble}; jobs that need it wait"))
    return reasons
