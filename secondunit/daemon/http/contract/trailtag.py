"""Response serializers for TrailTag's clients: `job_id`, `done`, `canceled`, times in whole Unix seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from secondunit.daemon.formats import percent
from secondunit.daemon.http.contract import serialize
from secondunit.queue.handler import Registry
from secondunit.queue.model import Event, Job, Status

SOURCE = "videos"
VIDEO, STRATEGY = "video_id", "strategy_version"  # the labels of a job that was asked for here
WORDS = {Status.COMPLETED: "done", Status.CANCELLED: "canceled"}
UNKNOWN_YET = {"tokens_in": 0, "tokens_out": 0, "locations_found": 0}


def word(status: Status) -> str:
    """A status as TrailTag says it."""
    return WORDS.get(status, status.value)


def seconds(at: datetime) -> int:
    """Whole Unix seconds."""
    return int(at.timestamp())


def submitted(job: Job) -> dict[str, Any]:
    """A job that looks for the places of a video, as its submitter hears of it."""
    return {"job_id": job.id, "video_id": job.labels[VIDEO], "status": word(job.status), "cached": False}


def known(maker: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """A result that was there already, and the job that made it."""
    status = Status.PARTIAL if result["failed"] else Status.COMPLETED
    return {"job_id": maker, "video_id": result["video_id"], "status": word(status), "cached": True}


def moved(job: Job) -> dict[str, Any]:
    """A job after a move."""
    return {"job_id": job.id, "status": word(job.status)}


def anything_failed(result: Mapping[str, Any]) -> bool:
    """Whether places of a stored result could not be found."""
    return bool(result["failed"])


def visualization(result: Mapping[str, Any]) -> dict[str, Any]:
    """A video's places on their way; of a partial result also what failed, and since when."""
    more = ("failed", "retryable", "last_updated") if result["failed"] else ()
    return {name: result[name] for name in ("video_id", "routes", *more)}


def detail(job: Job, registry: Registry) -> dict[str, Any]:
    """Everything a caller may know of a job; one that was asked for in TrailTag's words is told in them, too."""
    content = serialize.detail(job, registry)
    if job.source != SOURCE:
        return content
    return content | {
        "job_id": job.id,
        "video_id": job.labels[VIDEO],
        "strategy_version": job.labels[STRATEGY],
        "status": word(job.status),
        "created_at": seconds(job.created_at),
        "updated_at": seconds(job.updated_at),
        "stats": {**UNKNOWN_YET, **(job.stats or {})},
    }


def heartbeat(job_id: str, status: Status, now: datetime) -> dict[str, Any]:
    """The message that only says that the job is still there."""
    return {"job_id": job_id, "status": word(status), "ts": seconds(now)}


def phase_update(of: Job | Event, at: datetime) -> dict[str, Any]:
    """The message that says how far a run is."""
    return {
        "job_id": of.id if isinstance(of, Job) else of.job_id,
        "status": word(of.status),
        "phase": of.phase,
        "progress": percent(of.progress),
        "message": of.message,
        "ts": seconds(at),
    }


def partial_locations(event: Event) -> dict[str, Any]:
    """The message that brings places as they are found."""
    part = event.data if isinstance(event.data, Mapping) else {"locations": event.data}
    return {**part, "job_id": event.job_id, "progress": percent(event.progress), "ts": seconds(event.at)}


def last_message(job: Job, now: datetime) -> tuple[str, dict[str, Any]]:
    """The last message and its name; a partial result is a completed job that names what failed."""
    content = {
        "job_id": job.id,
        "status": word(job.status),
        "progress": percent(job.progress),
        "ts": seconds(job.finished_at or now),
    }
    match job.status:
        case Status.COMPLETED:
            return "completed", content
        case Status.PARTIAL:
            return "completed", content | {"failed": job.missing}
    return "error", content | {"error": serialize.failure(job.error)}
