"""Response models in TrailTag's words, as `responses` has those of all others."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from secondunit.daemon.http.contract import responses
from secondunit.daemon.http.contract.responses import JobId, Percent, Time
from secondunit.daemon.http.transport.route import OneOf

TrailStatus = Literal["queued", "running", "partial", "failed", "done", "canceled"]
VideoId = Annotated[str, Meta(description="YouTube's id, else 16 hex digits of the address")]
Strategy = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}$")]
UnixSeconds = Annotated[int, Meta(ge=0)]


class TrailAnswer(Struct, forbid_unknown_fields=True):
    """A strict model whose names go out as they stand."""


class VideoAccepted(TrailAnswer):
    """A result that is there (`cached`), or the job that makes it."""

    job_id: JobId
    video_id: VideoId
    status: TrailStatus
    cached: bool
    strategy_version: Strategy


class VideosAccepted(TrailAnswer):
    """Videos that were asked for together, in their order."""

    videos: list[VideoAccepted]


ANALYZED = OneOf("Analyzed", "The video that was asked for, or each of several.", (VideoAccepted, VideosAccepted))


class VideoMoved(TrailAnswer):
    """The job that looks again for what failed."""

    job_id: JobId
    status: TrailStatus
    strategy_version: Strategy


class VideoJobMoved(VideoMoved):
    """A job that was asked for at /api/videos/analyze, after a move."""

    usual_job_id: JobId = field(name="jobId")


ANY_MOVED = OneOf("AnyMoved", "A job after a move, in the words of who asked for it.", (responses.Moved, VideoJobMoved))


class Route(TrailAnswer):
    """A place on the way: `coordinates` are longitude and latitude."""

    location: str
    coordinates: Annotated[list[float], Meta(min_length=2, max_length=2)]
    description: str
    timecode: Annotated[str, Meta(pattern=r"^\d\d+:\d\d:\d\d,\d{3}$")]
    tags: list[str]
    marker: str


class FailedPlace(TrailAnswer):
    """A place that has no coordinates yet, by what the video calls it."""

    raw: str
    reason: str


class MapVisualization(TrailAnswer):
    """The places of a video; of a partial result also those that failed, and whether trying again may help."""

    video_id: VideoId
    routes: list[Route]
    strategy_version: Strategy
    failed: Annotated[list[FailedPlace], Meta(extra_json_schema={"default": []})] | UnsetType = UNSET
    retryable: Annotated[bool, Meta(extra_json_schema={"default": False})] | UnsetType = UNSET
    last_updated: Annotated[UnixSeconds, Meta(extra_json_schema={"default": 0})] | UnsetType = UNSET


class VideoStats(TrailAnswer):
    """Tokens asked with and answered with, and places found; 0 while unknown."""

    tokens_in: int
    tokens_out: int
    locations_found: int


class VideoJob(responses.Job):
    """A job that looks for a video's places, for who asked at /api/videos/analyze."""

    status: TrailStatus  # type: ignore[assignment]  # the same field in other words
    stats: VideoStats  # type: ignore[assignment]  # which are never null here
    trail_job_id: JobId = field(name="job_id")
    video_id: VideoId = field(name="video_id")
    strategy_version: Strategy = field(name="strategy_version")
    trail_created_at: UnixSeconds = field(name="created_at")
    trail_updated_at: UnixSeconds = field(name="updated_at")


ANY_JOB = OneOf("AnyJob", "Everything about a job, in the words of those who asked for it.", (responses.Job, VideoJob))


class Heartbeat(TrailAnswer):
    """The message that only says that the job is still there; while it waits, also for what and until when."""

    job_id: JobId
    status: TrailStatus
    ts: UnixSeconds
    message: str | UnsetType = UNSET
    run_at: Time | UnsetType = field(default=UNSET, name="runAt")


class PhaseUpdate(TrailAnswer):
    """The message that says how far a run is, or until when the job waits, and why."""

    job_id: JobId
    status: TrailStatus
    phase: str | None
    progress: Percent
    message: str | None
    ts: UnixSeconds
    run_at: Time | UnsetType = field(default=UNSET, name="runAt")


class FoundLocations(TrailAnswer):
    """The message that brings places: those known so far, or one just found."""

    job_id: JobId
    locations: list[Any]
    progress: Percent
    ts: UnixSeconds


class LastMessage(TrailAnswer):
    """The message that a job's stream ends with: of a partial result also what failed, of a failure why."""

    job_id: JobId
    status: TrailStatus
    progress: Percent
    ts: UnixSeconds
    strategy_version: Strategy | UnsetType = UNSET
    failed: list[Any] | UnsetType | None = UNSET
    retryable: bool | UnsetType = UNSET
    error: responses.Failure | UnsetType | None = UNSET


STREAM_MESSAGES: Mapping[str, type[Struct]] = {
    "phase_update": PhaseUpdate,
    "heartbeat": Heartbeat,
    "partial_locations": FoundLocations,
    "completed": LastMessage,
    "error": LastMessage,
}
