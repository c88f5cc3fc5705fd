"""How the daemon is: what is wrong, and the figures an operator looks at first."""

import asyncio
import platform
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from secondunit.daemon.http.api import Health
from secondunit.daemon.http.wire import instant
from secondunit.daemon.plugins import Broken
from secondunit.handlers.tools.ffmpeg import Media, MediaMissing
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.model import Counts, Filter, Job, Status
from secondunit.queue.service import Queue

LEAST_FREE = 512 * 1024 * 1024
RUNNING_LOOKED_AT = 1000
PAID_TYPES = ("analyze", "locations")


@dataclass(frozen=True, slots=True)
class Reason:
    """Something wrong: a stable word, and a sentence that says what to do."""

    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Box:
    """What stays the same while the daemon runs."""

    version: str
    boot: str
    name: str
    mode: str
    data_dir: Path
    media: Media | MediaMissing
    broken: Sequence[Broken]
    gemini: bool
    stall: timedelta


class Checkup:
    """Looks at the daemon when asked; `observe` hears the words of all reasons each time."""

    def __init__(self, queue: Queue, box: Box, clock: Clock, observe: Callable[[Sequence[str]], None]) -> None:
        self._queue = queue
        self._box = box
        self._clock = clock
        self._observe = observe
        self._since = clock.monotonic()

    async def __call__(self) -> Health:
        """How the daemon is now."""
        try:
            counts = await self._queue.counts()
            running = await self._queue.find(Filter(statuses=[Status.RUNNING]), limit=RUNNING_LOOKED_AT)
            deliveries = await self._queue.store.outbox.counts()
        except StoreBroken as error:
            self._observe(["store_broken"])
            return Health("failing", [f"store_broken: {error}"], {"version": self._box.version})
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self._box.data_dir).free)
        stuck = [job.id for job in running.jobs if self._stuck(job)]
        reasons = [*standing(self._box, self._queue.registry), *passing(counts, self._queue.registry, free, stuck)]
        self._observe([reason.word for reason in reasons])
        figures = self._figures(counts) | {
            "stuckJobs": stuck,
            "undeliveredCallbacks": deliveries.get("pending", 0),
            "diskFreeBytes": free,
        }
        status: Literal["ok", "degraded", "draining"] = "degraded" if reasons else "ok"
        if self._queue.draining:
            status = "draining"
        return Health(status, [f"{reason.word}: {reason.text}" for reason in reasons], figures)

    def _stuck(self, job: Job) -> bool:
        now = self._clock.now()
        registry = self._queue.registry
        patience = registry[job.type].stall if job.type in registry else self._box.stall
        return now - job.updated_at > patience or (job.lease is not None and job.lease.until < now)

    def _figures(self, counts: Counts) -> dict[str, Any]:
        oldest = counts.oldest_ready
        waited = (self._clock.now() - oldest).total_seconds() if oldest else None
        return {
            "version": self._box.version,
            "versions": {
                "secondunit": self._box.version,
                "python": platform.python_version(),
                "sqlite": sqlite3.sqlite_version,
                "ffmpeg": self._box.media.describe(),
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
        }


def standing(box: Box, registry: Mapping[str, Any]) -> Sequence[Reason]:
    """What was wrong at start and stays so until a restart."""
    reasons = [Reason("plugin_broken", f"{broken.source} can't be used: {broken.why}") for broken in box.broken]
    if isinstance(box.media, MediaMissing):
        reasons.append(Reason("ffmpeg_missing", box.media.remedy))
    if not box.gemini and any(type in registry for type in PAID_TYPES):
        text = f"set GEMINI_API_KEY; without it {' and '.join(PAID_TYPES)} are refused"
        reasons.append(Reason("gemini_key_missing", text))
    return reasons


def passing(counts: Counts, registry: Mapping[str, Any], free: int, stuck: Sequence[str]) -> Sequence[Reason]:
    """What is wrong at the moment."""
    reasons = []
    unknown = sorted(type for type, number in counts.queued.items() if number and type not in registry)
    if unknown:
        reasons.append(Reason("unknown_type", f"queued jobs of types that nothing here serves: {', '.join(unknown)}"))
    if stuck:
        reasons.append(Reason("stuck_jobs", f"{len(stuck)} running jobs do not move: {', '.join(stuck[:5])}"))
    if free < LEAST_FREE:
        reasons.append(Reason("disk_low", f"{free // 2**20} MiB are free on the disk of DATA_DIR; free some space"))
    return reasons
