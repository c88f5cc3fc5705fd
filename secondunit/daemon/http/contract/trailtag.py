"""Response serializers for TrailTag's clients: `job_id`, `done`, `canceled`, times in whole Unix seconds."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from secondunit.daemon.formats import instant, percent
from secondunit.daemon.http.contract import responses, serialize
from secondunit.daemon.http.contract.trailtag_responses import (
    FoundLocations,
    Heartbeat,
    LastMessage,
    MapVisualization,
    PhaseUpdate,
    TrailStatus,
    VideoAccepted,
    VideoJob,
    VideoJobMoved,
    VideoMoved,
    VideosAccepted,
)
from secondunit.daemon.sight.forecast import UNKNOWN, Outlook
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
    return VideoAccepted(job.id, job.labels[VIDEO], word(job.status), cached=False, strategy_version=_strategy(job))


def known(result: Mapping[str, Any], maker: str) -> VideoAccepted:
    """A result that was there already, and the job that made it."""
    status = Status.PARTIAL if result["failed"] else Status.COMPLETED
    how = result["strategy_version"]
    return VideoAccepted(maker, result["video_id"], word(status), cached=True, strategy_version=how)


def several(videos: Sequence[VideoAccepted]) -> VideosAccepted:
    """Videos that were asked for together, in their order."""
    return VideosAccepted(list(videos))


def looking_again(job: Job, result: Mapping[str, Any]) -> VideoMoved:
    """The job that looks again for what failed in this result."""
    return VideoMoved(job.id, word(job.status), result["strategy_version"])


def moved(job: Job) -> responses.Moved | VideoJobMoved:
    """A job after a move, in the words of who asked for it."""
    if job.source != SOURCE:
        return serialize.moved(job)
    return VideoJobMoved(job.id, word(job.status), _strategy(job), usual_job_id=job.id)


def not_yet(job: Job) -> str:
    """That a video's places are not there because this job looks for them still."""
    waits = f" until {instant(job.run_at)}" if job.run_at else ""
    at = f"{job.phase}, {percent(job.progress):g} %" if job.phase else ""
    told = "; ".join(filter(None, (at, job.message)))
    return f"{job.id} looks for the places of video {job.labels[VIDEO]}: it is {word(job.status)}{waits}" + (
        f" ({told})" if told else ""
    )


def under_way(job: Job) -> dict[str, Any]:
    """The members of a problem that say which job looks for a video's places, and until when it waits."""
    members = {"job_id": job.id, "job_status": word(job.status), STRATEGY: _strategy(job)}
    return members | ({"runAt": instant(job.run_at)} if job.run_at else {})


def anything_failed(result: Mapping[str, Any]) -> bool:
    """Whether places of a stored result could not be found."""
    return bool(result["failed"])


def visualization(result: Mapping[str, Any]) -> MapVisualization:
    """A video's places on their way; of a partial result also what failed, and since when."""
    more = (STRATEGY, *(("failed", "retryable", "last_updated") if result["failed"] else ()))
    return MapVisualization(**{name: result[name] for name in ("video_id", "routes", *more)})


def detail(job: Job, registry: Registry, paused: Collection[str] = (), outlook: Outlook = UNKNOWN) -> responses.Job:
    """Everything a caller may know of a job; one that was asked for in TrailTag's words is told in them, too."""
    content = serialize.detail(job, registry, paused, outlook)
    if job.source != SOURCE:
        return content
    return VideoJob(
        **asdict(replace(content, status=word(job.status), stats=_stats(job))),
        trail_job_id=job.id,
        video_id=job.labels[VIDEO],
        strategy_version=job.labels[STRATEGY],
        trail_created_at=seconds(job.created_at),
        trail_updated_at=seconds(job.updated_at),
    )


def heartbeat(of: Job | Event, now: datetime) -> Heartbeat:
    """The message that only says that the job is still there, and while it waits, for what and until when."""
    beat = Heartbeat(_id(of), word(of.status), seconds(now))
    if of.status is not Status.QUEUED:
        return beat
    return replace(beat, message=of.message or UNSET, run_at=instant(of.run_at) or UNSET)


def phase_update(of: Job | Event, at: datetime) -> PhaseUpdate:
    """The message that says how far a run is."""
    update = PhaseUpdate(_id(of), word(of.status), of.phase, percent(of.progress), of.message, seconds(at))
    return replace(update, run_at=instant(of.run_at) or UNSET)


def items_of(data: Any) -> Sequence[Any] | None:
    """The places that a job publishes; None for what can't be put together with what it published before."""
    if isinstance(data, Mapping) and data.keys() == {"locations"}:
        data = data["locations"]
    return data if isinstance(data, list) else None


def routes_of(job: Job) -> Sequence[Any]:
    """The places of a job's result."""
    routes = job.result.get("routes") if isinstance(job.result, Mapping) else None
    return routes if isinstance(routes, list) else ()


def found(of: Job | Event, places: Sequence[Any], at: datetime) -> FoundLocations:
    """The message that brings places."""
    return FoundLocations(_id(of), list(places), percent(of.progress), seconds(at))


def partial_locations(event: Event) -> dict[str, Any]:
    """The message that brings what a job published as it is."""
    part = event.data if isinstance(event.data, Mapping) else {"locations": event.data}
    return {**part, "job_id": event.job_id, "progress": percent(event.progress), "ts": seconds(event.at)}


def last_message(job: Job, now: datetime) -> tuple[str, LastMessage]:
    """The last message and its name; a partial result is a completed job that names what failed."""
    message = LastMessage(job.id, word(job.status), percent(job.progress), seconds(job.finished_at or now))
    message = replace(message, strategy_version=job.labels.get(STRATEGY, UNSET))
    match job.status:
        case Status.COMPLETED:
            return "completed", message
        case Status.PARTIAL:
            return "completed", replace(message, failed=job.missing, retryable=_retryable(job))
    return "error", replace(message, error=serialize.failure(job.error))


def _id(of: Job | Event) -> str:
    return of.id if isinstance(of, Job) else of.job_id


def _strategy(job: Job) -> str:
    return job.labels[STRATEGY]


def _stats(job: Job) -> dict[str, Any]:
    """The figures that TrailTag knows, and no others."""
    figures = job.stats or {}
    return {name: figures.get(name, unknown) for name, unknown in UNKNOWN_YET.items()}


def _retryable(job: Job) -> bool | UnsetType:
    told = job.result.get("retryable") if isinstance(job.result, Mapping) else None
    return told if isinstance(told, bool) else UNSET
