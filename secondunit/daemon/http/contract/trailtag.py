"""Response serializers for TrailTag's clients: `job_id`, `done`, `canceled`, times in whole Unix seconds."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, cast

from msgspec.structs import asdict, replace

from secondunit.daemon.formats import percent
from secondunit.daemon.http.contract import responses, serialize
from secondunit.daemon.http.contract.trailtag_responses import (
    Heartbeat,
    LastMessage,
    MapVisualization,
    PhaseUpdate,
    TrailStatus,
    VideoAccepted,
    VideoJob,
    VideoMoved,
)
from secondunit.queue.handler import Registry
from secondunit.queue.model import Event, Job, Status

SOURCE = "videos"
VIDEO, STRATEGY = "video_id", "strategy_version"  # the labels of a job that was asked for here
WORDS: Mapping[Status, TrailStatus] = {Status.COMPLETED: "done", Status.CANCELLED: "canceled"}
UNKNOWN_YET = {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}


def word(status: Status) -> TrailStatus:
    """A status as TrailTag says it."""
    return WORDS.get(status) or cast(TrailStatus, status.value)


def seconds(at: datetime) -> int:
    """Whole Unix seconds."""
    return int(at.timestamp())


def submitted(job: Job) -> VideoAccepted:
    """A job that looks for the places of a video, as its submitter hears of it."""
    return VideoAccepted(job.id, job.labels[VIDEO], word(job.status), cached=False)


def known(maker: str, result: Mapping[str, Any]) -> VideoAccepted:
    """A result that was there already, and the job that made it."""
    status = Status.PARTIAL if result["failed"] else Status.COMPLETED
    return VideoAccepted(maker, result["video_id"], word(status), cached=True)


def moved(job: Job) -> VideoMoved:
    """A job after a move."""
    return VideoMoved(job.id, word(job.status))


def anything_failed(result: Mapping[str, Any]) -> bool:
    """Whether places of a stored result could not be found."""
    return bool(result["failed"])


def visualization(result: Mapping[str, Any]) -> MapVisualization:
    """A video's places on their way; of a partial result also what failed, and since when."""
    more = ("failed", "retryable", "last_updated") if result["failed"] else ()
    return MapVisualization(**{name: result[name] for name in ("video_id", "routes", *more)})


def detail(job: Job, registry: Registry, paused: Collection[str] = ()) -> responses.Job:
    """Everything a caller may know of a job; one that was asked for in TrailTag's words is told in them, too."""
    content = serialize.detail(job, registry, paused)
    if job.source != SOURCE:
        return content
    return VideoJob(
        **asdict(replace(content, status=word(job.status), stats={**UNKNOWN_YET, **(job.stats or {})})),
        trail_job_id=job.id,
        video_id=job.labels[VIDEO],
        strategy_version=job.labels[STRATEGY],
        trail_created_at=seconds(job.created_at),
        trail_updated_at=seconds(job.updated_at),
    )


def heartbeat(job_id: str, status: Status, now: datetime) -> Heartbeat:
    """The message that only says that the job is still there."""
    return Heartbeat(job_id, word(status), seconds(now))


def phase_update(of: Job | Event, at: datetime) -> PhaseUpdate:
    """The message that says how far a run is."""
    job_id = of.id if isinstance(of, Job) else of.job_id
    return PhaseUpdate(job_id, word(of.status), of.phase, percent(of.progress), of.message, seconds(at))


def partial_locations(event: Event) -> dict[str, Any]:
    """The message that brings places as they are found."""
    part = event.data if isinstance(event.data, Mapping) else {"locations": event.data}
    return {**part, "job_id": event.job_id, "progress": percent(event.progress), "ts": seconds(event.at)}


def last_message(job: Job, now: datetime) -> tuple[str, LastMessage]:
    """The last message and its name; a partial result is a completed job that names what failed."""
    message = LastMessage(job.id, word(job.status), percent(job.progress), seconds(job.finished_at or now))
    match job.status:
        case Status.COMPLETED:
            return "completed", message
        case Status.PARTIAL:
            return "completed", replace(message, failed=job.missing)
    return "error", replace(message, error=serialize.failure(job.error))
