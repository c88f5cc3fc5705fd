"""Response models in TrailTag's words, as `responses` has those of all others."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from secondunit.daemon.http.contract import responses
from secondunit.daemon.http.contract.responses import JobId

TrailStatus = Literal["queued", "running", "partial", "failed", "done", "canceled"]
VideoId = Annotated[str, Field(description="YouTube's id, else 16 hex digits of the address")]
Strategy = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
UnixSeconds = Annotated[int, Field(ge=0)]


class TrailAnswer(BaseModel):
    """A strict model whose names go out as they stand."""

    model_config = ConfigDict(extra="forbid", strict=True)


class VideoAccepted(TrailAnswer):
    """A result that is there (`cached`), or the job that makes it."""

    job_id: JobId
    video_id: VideoId
    status: TrailStatus
    cached: bool


class VideoMoved(TrailAnswer):
    """The job that looks again for what failed."""

    job_id: JobId
    status: TrailStatus


class Route(TrailAnswer):
    """A place on the way: `coordinates` are longitude and latitude."""

    location: str
    coordinates: Annotated[list[float], Field(min_length=2, max_length=2)]
    description: str
    timecode: Annotated[str, Field(pattern=r"^\d\d+:\d\d:\d\d,\d{3}$")]
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
    failed: list[FailedPlace] = []
    retryable: bool = False
    last_updated: UnixSeconds = 0


class VideoStats(BaseModel):
    """Tokens asked with and answered with, and places found; 0 while unknown."""

    model_config = ConfigDict(extra="allow", strict=True)

    tokens_in: int
    tokens_out: int
    locations_found: int


class VideoJob(responses.Summary):
    """A job that looks for a video's places, for who asked at /api/videos/analyze."""

    trail_job_id: JobId = Field(alias="job_id")
    video_id: VideoId = Field(alias="video_id")
    strategy_version: Strategy = Field(alias="strategy_version")
    trail_created_at: UnixSeconds = Field(alias="created_at")
    trail_updated_at: UnixSeconds = Field(alias="updated_at")
    status: TrailStatus  # type: ignore[assignment]  # the same field in other words
    payload: dict[str, Any]
    result: Any
    missing: list[Any] | None
    stats: VideoStats
    depends_on: list[JobId]
    attempts: list[responses.Attempt]


class AnyJob(RootModel[responses.Job | VideoJob]):
    """Everything about a job, in the words of those who asked for it."""
