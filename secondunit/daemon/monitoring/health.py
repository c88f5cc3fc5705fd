"""Health check: looks at the daemon, has its conditions judged, and adds the figures an operator looks at first."""

import asyncio
import platform
import shutil
from datetime import timedelta
from typing import Any, Literal

from secondunit.daemon.formats import instant
from secondunit.daemon.monitoring.conditions import Conditions
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.daemon.monitoring.inspection import Box, Inspection, QueueInspection, Watched
from secondunit.daemon.monitoring.notes import notes
from secondunit.queue.clock import Clock
from secondunit.queue.errors import StoreBroken
from secondunit.queue.instrumentation import Sink
from secondunit.queue.model import Filter, Job, JobId, Status
from secondunit.queue.ports.boxes import STATES
from secondunit.queue.service import Queue

LOOK_EVERY = timedelta(seconds=30)
RUNNING_LOOKED_AT = 1000
NAMED = 5  # jobs of which a delivery was given up


class Checkup:
    """The health check. Each look, asked for or not, feeds all who are told of conditions."""

    def __init__(self, queue: Queue, box: Box, parts: Watched, clock: Clock, emit: Sink) -> None:
        self._queue = queue
        self._box = box
        self._parts = parts
        self._clock = clock
        self._conditions = Conditions(clock, emit)
        self._since = clock.monotonic()

    async def run(self) -> None:
        """Look now and then for ever, whether anybody asks or not."""
        while True:
            await self()
            await self._clock.tick(LOOK_EVERY.total_seconds())

    async def __call__(self) -> HealthReport:
        """How the daemon is now."""
        seen = await self._look()
        conditions = self._conditions.judge(seen)
        reasons = [f"{condition.word}: {condition.sentence}" for condition in conditions]
        if seen.queue is None:
            return HealthReport("failing", reasons, {"version": self._box.version}, conditions)
        status: Literal["ok", "degraded", "draining"] = "degraded" if reasons else "ok"
        if self._queue.draining:
            status = "draining"
        return HealthReport(status, reasons, self._figures(seen.queue, seen.free), conditions, list(notes(seen)))

    async def _look(self) -> Inspection:
        fault, queue = None, None
        try:
            queue = await self._look_at_queue()
        except StoreBroken as error:
            fault = str(error)
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self._box.data_dir).free)
        return Inspection(self._box, self._parts, self._queue.registry, free, queue, fault)

    async def _look_at_queue(self) -> QueueInspection:
        # At once: each is a way to another thread and back, where Python's lock may have to be waited for.
        counts, stuck, (deliveries, given_up) = await asyncio.gather(
            self._queue.counts(), self._all_stuck(), self._queue.deliveries(NAMED)
        )
        used_up = await self._parts.gemini.used_up() if self._parts.gemini else None
        boxes = await self._parts.boxes() if self._parts.boxes else ()
        return QueueInspection(counts, stuck, deliveries, used_up, await self._queue.paused(), boxes, given_up)

    async def _all_stuck(self) -> list[JobId]:
        running = self._queue.each(Filter(statuses=[Status.RUNNING]), RUNNING_LOOKED_AT)
        return [job.id async for job in running if self._stuck(job)]

    def _stuck(self, job: Job) -> bool:
        now = self._clock.now()
        registry = self._queue.registry
        stall = registry[job.type].stall if job.type in registry else self._box.stall
        return now - job.updated_at > stall or (job.lease is not None and job.lease.until < now)

    def _figures(self, found: QueueInspection, free: int) -> dict[str, Any]:
        counts, oldest = found.counts, found.counts.oldest_ready
        poller = self._parts.poller
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
            "sandbox": self._box.sandbox,
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
            "pausedTypes": sorted(found.paused),
            "boxes": {state: sum(box.state == state for box in found.boxes) for state in STATES},
            "stuckJobs": found.stuck,
            "poller": self._parts.polled_by(),
            "lastPoll": instant(poller.state.polled_at) if poller else None,
            "backend": poller.figures() if poller else None,
            "undeliveredCallbacks": found.deliveries.get("pending", 0),
            "deadDeliveries": found.deliveries.get("dead", 0),
            "diskFreeBytes": free,
        }
