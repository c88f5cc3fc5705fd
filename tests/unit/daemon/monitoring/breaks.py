"""How each condition is brought about."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from secondunit.daemon.automation.polls import Polling
from secondunit.daemon.config.job_types import BrokenJobType
from secondunit.daemon.monitoring.disk_guard import MediaDisk
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.storage.s3.client import BucketAsked
from secondunit.queue.instrumentation import JobsMoved
from secondunit.queue.model import Event, Status
from secondunit.queue.outcome import JobError
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.sight.boxes import SeenBox
from secondunit.queue.value import replace
from secondunit.testing.clock import START
from secondunit.testing.jobs import CALLBACK, TTL, end, start, submit
from tests.unit.daemon.monitoring.watched import FREE, Watch

Break = Callable[[Watch], Awaitable[None]]


async def store_broken(watch: Watch) -> None:
    watch.rig.store.broken = True


async def boxed(watch: Watch, **changed: Any) -> None:
    watch.box |= changed


async def unknown_type(watch: Watch) -> None:
    await submit(watch.rig.store, "job_a", type="gone")


def box(watch: Watch, name: str, state: Any = "gone", running: int = 0, **limits: int) -> SeenBox:
    row = BoxRow(name, f"{name}/1", "http://127.0.0.1:8000", "1", limits, 5, TTL, watch.clock.now())
    return SeenBox(row, state, limits, {"hls": running} if running else {})


async def box_gone(watch: Watch) -> None:
    watch.boxes = [box(watch, "far", thumbnail=1)]
    await submit(watch.rig.store, "job_a", type="thumbnail")


async def stuck_jobs(watch: Watch) -> None:
    await start(watch.rig.store, "job_a")
    await watch.clock.advance(FREE.stall.total_seconds() + 1)


async def poison_jobs(watch: Watch) -> None:
    error = JobError("deterministic", "poison", "it died")
    watch.emit(JobsMoved([Event("job_a", "hls", "failed", watch.clock.now(), Status.FAILED, error=error)]))


async def dead_deliveries(watch: Watch) -> None:
    await end(watch.rig.store, "job_a", target=CALLBACK)
    [due] = (await watch.rig.store.outbox.due(watch.clock.now(), 10))[0]
    await watch.rig.store.outbox.change(due.id, lambda found: replace(found, state="dead"))


async def disk_full(watch: Watch) -> None:
    watch.disk.closed = True


async def rooted(watch: Watch, **seen: Any) -> None:
    watch.media.seen = {Path("/media"): MediaDisk(**seen)}


async def bucket_trouble(watch: Watch) -> None:
    watch.emit(BucketAsked("films", wrote=True, trouble="s3://films/a: the bucket is full"))


async def log_lost(watch: Watch) -> None:
    watch.log.losing, watch.log.lost = True, 7


async def polled(watch: Watch, **changed: Any) -> None:
    watch.poller.state = Polling(**changed)


async def gemini_trouble(watch: Watch) -> None:
    watch.gemini.trouble, watch.gemini.refused = "Gemini refused the key (403)", True


async def budget_used_up(watch: Watch) -> None:
    watch.gemini.spent = "2500 of GEMINI_DAILY_TOKENS=2000 are used"


async def geocoder_trouble(watch: Watch) -> None:
    watch.geocoder.trouble, watch.geocoder.refused = "geocoder_down: the geocoder refused us (403)", True


async def schedule_stopped(watch: Watch) -> None:
    watch.schedules.stopped["nightly"] = "paused, since 3 runs in a row failed"


BREAKS: dict[str, Break] = {
    "store_broken": store_broken,
    "log_lost": log_lost,
    "plugin_broken": partial(boxed, broken=[BrokenJobType("a module", "ImportError: x")]),
    "ffmpeg_missing": partial(boxed, media=MediaMissing("no ffmpeg was found")),
    "gemini_key_missing": partial(boxed, gemini=False),
    "unknown_type": unknown_type,
    "box_gone": box_gone,
    "stuck_jobs": stuck_jobs,
    "poison_jobs": poison_jobs,
    "dead_deliveries": dead_deliveries,
    "disk_full": disk_full,
    "disk_low": partial(boxed, least_free=1 << 62),
    "media_full": partial(rooted, free=0, lacking="0 MiB are free"),
    "media_low": partial(rooted, free=1),
    "media_unreachable": partial(rooted, fault="No such file or directory"),
    "bucket_trouble": bucket_trouble,
    "schedule_stopped": schedule_stopped,
    "failed_jobs": partial(polled, found=11),
    "backend_refused": partial(polled, down_since=START, trouble="answered 403", refused=True),
    "backend_down": partial(polled, down_since=START, trouble="answered 500"),
    "gemini_trouble": gemini_trouble,
    "budget_used_up": budget_used_up,
    "geocoder_trouble": geocoder_trouble,
}
