"""Job type `thumbnail`: one picture of a video, in the format of the output's name."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, Field, field_validator

from secondunit.handlers.thumbnail.timestamps import At, Auto, Share, Timestamp, moments, parse
from secondunit.handlers.tools.media.ffmpeg import require
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.handlers.tools.media.pictures import FORMATS, Picture, PictureWriter
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.payload import PAYLOAD
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import HandlerSpec, JobContext, output_file
from secondunit.queue.outcome import Deterministic

ENCODERS = ("ppm",)
FILTERS = ("scale", "select", "trim", "settb", "format", "setsar", "setparams", "signalstats", "metadata", "yadif")
NARROWEST, WIDEST = 16, 7680
NUMBER, MOST = "{n}", 100


class ThumbnailPayload(BaseModel):
    """What a client asks for."""

    model_config = PAYLOAD

    video_path: str
    output_path: str
    timestamp: str | float = "00:00:01"
    timestamps: Annotated[list[str | float], Field(min_length=1, max_length=MOST)] | None = None
    width: Annotated[int, Field(ge=NARROWEST, le=WIDEST)] = 320
    quality: Annotated[int, Field(ge=1, le=100)] | None = None

    @field_validator("timestamp")
    @classmethod
    def _readable(cls, timestamp: str | float) -> str | float:
        parse(timestamp)
        return timestamp

    @field_validator("timestamps")
    @classmethod
    def _moments(cls, timestamps: list[str | float] | None) -> list[str | float] | None:
        if any(isinstance(parse(timestamp), Auto) for timestamp in timestamps or ()):
            raise ValueError("a list says each moment; auto stands alone, as timestamp")
        return timestamps


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: ThumbnailPayload) -> None:
        require(tools.media, "thumbnail", ENCODERS, FILTERS)
        tools.files.check("videoPath", payload.video_path)
        tools.files.check("outputPath", payload.output_path)
        if _suffix(payload.output_path) not in FORMATS:
            names = ", ".join(FORMATS)
            raise BadPayload(FieldError("outputPath", f"the name must end in one of {names}: it says the format"))
        name = PurePosixPath(payload.output_path).name
        if payload.timestamps and (NUMBER not in name or payload.output_path.count(NUMBER) > 1):
            raise BadPayload(FieldError("outputPath", f"the name must hold {NUMBER} once, which becomes 1, 2, ..."))

    async def run(ctx: JobContext, payload: ThumbnailPayload) -> Mapping[str, Any]:
        outputs = await _shoot(tools, ctx, payload)
        return outputs[0] if payload.timestamps is None else {"outputs": outputs}

    return HandlerSpec(
        type="thumbnail",
        payload=ThumbnailPayload,
        run=run,
        check=check,
        concurrency=3,
        priority=1,
        artifacts=artifacts,
    )


def artifacts(result: Any) -> Mapping[str, str]:
    """The pictures of a result, one or many, by their names."""
    made = result.get("outputs", [result]) if isinstance(result, Mapping) else []
    return {name: path for one in made for name, path in output_file(one).items()}


async def _shoot(tools: Tools, ctx: JobContext, payload: ThumbnailPayload) -> Sequence[Mapping[str, Any]]:
    media = require(tools.media, "thumbnail", ENCODERS, FILTERS)
    paths = _paths(payload)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(tools.files.source(payload.video_path, ctx))
        targets = [await stack.enter_async_context(tools.files.target(path, ctx)) for path in paths]
        info = await probe(tools.programs, media, source, ctx)
        video = pictures(info, source.name)
        await ctx.progress(0.1, "looking for a picture")
        width, height = size(video, payload.width)
        camera = Camera(tools.programs, media, source, info, video, ctx)
        shot = Shot(None, width, height)
        if payload.timestamps is None:
            frames: Sequence[Frame] = [await _picture(camera, parse(payload.timestamp), shot)]
        else:
            frames = await _series(camera, [parse(timestamp) for timestamp in payload.timestamps], shot)
        await ctx.progress(0.8, "taken at " + ", ".join(f"{frame.at:.1f}" for frame in frames[:5]) + " s")
        suffix = _suffix(payload.output_path)
        wanted = [
            Picture(frame.path, target.path, suffix, payload.quality)
            for frame, target in zip(frames, targets, strict=True)
        ]
        await PictureWriter(tools.programs, tools.python, ctx).write(wanted)
        shape = {"width": width, "height": height}
        return [
            {"outputPath": path, **shape, "size": await target.publish(), "timestamp": round(frame.at, 3)}
            for path, target, frame in zip(paths, targets, frames, strict=True)
        ]


async def _series(camera: Camera, wanted: Sequence[Timestamp], shot: Shot) -> Sequence[Frame]:
    """The pictures of these moments; Deterministic("no_decodable_frame") when the video has none."""
    duration = camera.info.duration
    if any(isinstance(one, Share) for one in wanted) and (duration is None or camera.info.estimated):
        duration = await camera.played()
    shots = [replace(shot, at=moments(one, duration)[0]) for one in wanted]
    taken = await camera.take_series(shots)
    last, frame = max(zip(shots, taken, strict=True), key=lambda pair: pair[0].at or 0.0)
    if played := await camera.jumps(last.at or 0.0, frame):
        shots = [replace(shot, at=moments(one, played)[0]) for one in wanted]
        taken = await replace(camera, joined=True).take_series(shots)
    found = [one for one in taken if one]
    if len(found) < len(shots):
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return found


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


def _paths(payload: ThumbnailPayload) -> Sequence[str]:
    if payload.timestamps is None:
        return [payload.output_path]
    return [payload.output_path.replace(NUMBER, str(number)) for number, _ in enumerate(payload.timestamps, 1)]


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
