"""Job type `thumbnail`: one picture of a video, in the format of the output's name."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from secondunit.handlers.thumbnail.timestamps import At, Timestamp, moments, parse
from secondunit.handlers.tools.media.ffmpeg import require
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.handlers.tools.media.pictures import FORMATS, Picture, PictureWriter
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.payload import PAYLOAD
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.outcome import Deterministic

ENCODERS = ("ppm",)
FILTERS = ("scale", "select", "trim", "settb", "format", "setsar", "setparams", "signalstats", "metadata", "yadif")
NARROWEST, WIDEST = 16, 7680


class ThumbnailPayload(BaseModel):
    """What a client asks for."""

    model_config = PAYLOAD

    video_path: str
    output_path: str
    timestamp: str | float = "00:00:01"
    width: Annotated[int, Field(ge=NARROWEST, le=WIDEST)] = 320
    quality: Annotated[int, Field(ge=1, le=100)] | None = None

    @field_validator("timestamp")
    @classmethod
    def _readable(cls, timestamp: str | float) -> str | float:
        parse(timestamp)
        return timestamp


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: ThumbnailPayload) -> None:
        require(tools.media, "thumbnail", ENCODERS, FILTERS)
        tools.files.check("videoPath", payload.video_path)
        tools.files.check("outputPath", payload.output_path)
        if _suffix(payload.output_path) not in FORMATS:
            names = ", ".join(FORMATS)
            raise BadPayload(FieldError("outputPath", f"the name must end in one of {names}: it says the format"))

    async def run(ctx: JobContext, payload: ThumbnailPayload) -> Mapping[str, Any]:
        return await _shoot(tools, ctx, payload)

    return HandlerSpec(type="thumbnail", payload=ThumbnailPayload, run=run, check=check, concurrency=3, priority=1)


async def _shoot(tools: Tools, ctx: JobContext, payload: ThumbnailPayload) -> Mapping[str, Any]:
    media = require(tools.media, "thumbnail", ENCODERS, FILTERS)
    async with (
        tools.files.source(payload.video_path, ctx) as source,
        tools.files.target(payload.output_path, ctx) as target,
    ):
        info = await probe(tools.programs, media, source, ctx)
        video = pictures(info, source.name)
        await ctx.progress(0.1, "looking for a picture")
        width, height = size(video, payload.width)
        camera = Camera(tools.programs, media, source, info, video, ctx)
        frame = await _picture(camera, parse(payload.timestamp), Shot(None, width, height))
        await ctx.progress(0.8, f"taken at {frame.at:.1f} s")
        picture = Picture(frame.path, target.path, _suffix(payload.output_path), payload.quality)
        await PictureWriter(tools.programs, tools.python, ctx).write([picture])
        written = await target.publish()
        return {
            "outputPath": payload.output_path,
            "width": width,
            "height": height,
            "size": written,
            "timestamp": round(frame.at, 3),
        }


async def _picture(camera: Camera, wanted: Timestamp, shot: Shot) -> Frame:
    """The picture that is meant; Deterministic("no_decodable_frame") when the video has none."""
    duration = camera.info.duration
    if not isinstance(wanted, At) and (duration is None or camera.info.estimated):
        duration = await camera.played()
    at, frame = await _best(camera, wanted, duration, shot)
    if played := await camera.jumps(at, frame):
        _, frame = await _best(replace(camera, joined=True), wanted, played, shot)
    if frame is None:
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return frame


async def _best(camera: Camera, wanted: Timestamp, duration: float | None, shot: Shot) -> tuple[float, Frame | None]:
    """The first picture that shows something, else the brightest, and the moment it stands for."""
    taken: list[tuple[float, Frame]] = []
    tries = moments(wanted, duration)
    for at in tries:
        frame = await camera.take(replace(shot, at=at))
        if frame and (len(tries) == 1 or not frame.black):
            return at, frame
        if frame:
            taken.append((at, frame))
    return max(taken, key=lambda pair: pair[1].average, default=(tries[0], None))


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
