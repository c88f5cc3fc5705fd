"""What goes out to TrailTag's clients, in their words: `job_id`, `done`, `canceled`, times in whole Unix seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from secondunit.daemon.http.contract import serialize
from secondunit.queue.handler import Registry
from secondunit.queue.model import Job, Status

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
