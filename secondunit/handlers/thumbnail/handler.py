"""Job type `thumbnail`: pictures of a video, in the format of the output's name: one, several, or a sprite sheet."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from secondunit.handlers.thumbnail.payload import NUMBER, ThumbnailPayload, refuse
from secondunit.handlers.thumbnail.sprite import TILE, Sprite, index, shares
from secondunit.handlers.thumbnail.timestamps import At, Share, Timestamp, moments, parse
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import require
from secondunit.handlers.tools.media.frames import Camera, Frame, size
from secondunit.handlers.tools.media.graphs import Shot
from secondunit.handlers.tools.media.pictures import Picture, PictureWriter
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.storage.free_space import size_of
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec, JobContext, output_file
from secondunit.queue.outcome import Deterministic

ENCODERS = ("ppm",)
FILTERS = ("scale", "select", "trim", "settb", "format", "setsar", "setparams", "signalstats", "metadata", "yadif")


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: ThumbnailPayload) -> None:
        require(tools.media, "thumbnail", ENCODERS, FILTERS)
        tools.files.check("videoPath", payload.video_path)
        for path in _paths(payload):
            tools.files.check("outputPath", path, [payload.video_path])
        refuse(payload)
        if payload.sprite:
            tools.files.check("outputPath", payload.index_path, [payload.video_path])

    async def run(ctx: JobContext, payload: ThumbnailPayload) -> Mapping[str, Any]:
        if payload.sprite:
            return await _sprite(tools, ctx, payload, payload.sprite.columns, payload.sprite.rows)
        outputs = await _shoot(tools, ctx, payload)
        return outputs[0] if payload.timestamps is None else {"outputs": outputs}

    return HandlerSpec(
        type="thumbnail",
        programs=("ffmpeg",),
        payload=ThumbnailPayload,
        run=run,
        check=check,
        reserve=lambda payload: size_of(payload.video_path),
        size=lambda payload: size_of(payload.get("videoPath")),
        concurrency=3,
        priority=1,
        artifacts=artifacts,
    )


def artifacts(result: Any) -> Mapping[str, str]:
    """The pictures of a result, one or many, by their names, and a sprite's index."""
    made = result.get("outputs", [result]) if isinstance(result, Mapping) else []
    indexes = [{"outputPath": one.get("indexPath")} for one in made if isinstance(one, Mapping)]
    return {name: path for one in [*made, *indexes] for name, path in output_file(one).items()}


async def _shoot(tools: Tools, ctx: JobContext, payload: ThumbnailPayload) -> Sequence[Mapping[str, Any]]:
    paths = _paths(payload)
    async with AsyncExitStack() as stack:
        camera, shot = await stack.enter_async_context(_camera(tools, ctx, payload))
        targets = [await stack.enter_async_context(tools.files.target(path, ctx, camera.source)) for path in paths]
        if payload.timestamps is None:
            frames: Sequence[Frame] = [await _picture(camera, parse(payload.timestamp), shot)]
        else:
            frames, _ = await _series(camera, [parse(timestamp) for timestamp in payload.timestamps], shot)
        await ctx.progress(0.8, "taken at " + ", ".join(f"{frame.at:.1f}" for frame in frames[:5]) + " s")
        wanted = [
            Picture(frame.path, target.path, payload.suffix, payload.quality, target.fds)
            for frame, target in zip(frames, targets, strict=True)
        ]
        await PictureWriter(tools.programs, tools.python, ctx).write(wanted)
        shape = {"width": shot.width, "height": shot.height}
        return [
            {"outputPath": path, **shape, "size": await target.publish(), "timestamp": round(frame.at, 3)}
            for path, target, frame in zip(paths, targets, frames, strict=True)
        ]


async def _sprite(
    tools: Tools, ctx: JobContext, payload: ThumbnailPayload, columns: int, rows: int
) -> Mapping[str, Any]:
    """One picture of many, and the index by which a player finds its tiles; the index is published last."""
    path, index_path = payload.output_path, payload.index_path
    async with AsyncExitStack() as stack:
        camera, shot = await stack.enter_async_context(_camera(tools, ctx, payload))
        await _refuse_foreign(tools, ctx, index_path)
        opened = [tools.files.target(one, ctx, camera.source) for one in (path, index_path)]
        sheet, told = [await stack.enter_async_context(target) for target in opened]
        sprite = Sprite(columns, rows, shot.width, shot.height)
        if sprite.too_large:
            said = f"{sprite.too_large}; ask for fewer sprite.columns or sprite.rows, or a smaller sprite.width"
            raise Deterministic(said, type="image_too_large")
        frames, duration = await _series(camera, shares(sprite), shot)
        await ctx.progress(0.8, f"{len(frames)} pictures taken")
        first, *others = [frame.path for frame in frames]
        whole = Picture(first, sheet.path, payload.suffix, payload.quality, sheet.fds, others, columns)
        await PictureWriter(tools.programs, tools.python, ctx).write([whole])
        await in_thread(told.path.write_text, index(sprite, path.rpartition("/")[2], duration), "utf-8")
        width, height = sprite.size
        made = {"outputPath": path, "indexPath": index_path, "width": width, "height": height}
        made |= {"size": await sheet.publish(), "columns": columns, "rows": rows}
        await told.publish()
        times = [round(frame.at, 3) for frame in frames]
        return {**made, "tileWidth": sprite.width, "tileHeight": sprite.height, "timestamps": times}


async def _refuse_foreign(tools: Tools, ctx: JobContext, path: str) -> None:
    """Raise where a WebVTT file stands that is no index of a sprite: subtitles, which nobody named."""
    try:
        async with tools.files.source(path, ctx) as standing:
            text = await in_thread(_beginning, standing.fd)
    except Deterministic as error:
        if error.type == "source_missing":
            return
        raise
    if TILE.encode() not in text:
        said = f"{path}, where the sprite's index would go, is no such index; give outputPath another name"
        raise Deterministic(said, type="output_not_ours")


def _beginning(file: int) -> bytes:
    return os.pread(file, 4096, 0)


@asynccontextmanager
async def _camera(tools: Tools, ctx: JobContext, payload: ThumbnailPayload) -> AsyncIterator[tuple[Camera, Shot]]:
    """A camera on the video that is meant, and the size of one picture."""
    media = require(tools.media, "thumbnail", ENCODERS, FILTERS)
    async with tools.files.source(payload.video_path, ctx) as source:
        info = await probe(tools.programs, media, source, ctx)
        video = pictures(info, source.name)
        await ctx.progress(0.1, "looking for a picture")
        yield Camera(tools.programs, media, source, info, video, ctx), Shot(None, *size(video, payload.one_width))


async def _series(camera: Camera, wanted: Sequence[Timestamp], shot: Shot) -> tuple[Sequence[Frame], float | None]:
    """The pictures of these moments, and how long the video is; Deterministic("no_decodable_frame") if it has none."""
    duration = camera.info.duration
    of_all = any(isinstance(one, Share) for one in wanted)
    if of_all and (duration is None or camera.info.estimated):
        duration = await camera.played()
    shots = [replace(shot, at=moments(one, duration)[0]) for one in wanted]
    taken = await camera.take_series(shots)
    at, frame, kind = max(zip([one.at or 0.0 for one in shots], taken, wanted, strict=True), key=lambda one: one[0])
    if played := await camera.jumps(at, frame):
        camera, duration = replace(camera, joined=True), played
    elif isinstance(kind, Share) and (played := await camera.ends_early(at, frame)):
        duration = played
    if played:
        taken = await camera.take_series([replace(shot, at=moments(one, played)[0]) for one in wanted])
    found = [one for one in taken if one]
    if len(found) < len(shots):
        raise Deterministic(f"no picture of {camera.source.name} could be decoded", type="no_decodable_frame")
    return found, duration


async def _picture(camera: Camera, wanted: Timestamp, shot: Shot) -> Frame:
    """The picture that is meant; Deterministic("no_decodable_frame") when the video has none."""
    duration = camera.info.duration
    if not isinstance(wanted, At) and (duration is None or camera.info.estimated):
        duration = await camera.played()
    at, frame = await _best(camera, wanted, duration, shot)
    if played := await camera.jumps(at, frame):
        _, frame = await _best(replace(camera, joined=True), wanted, played, shot)
    elif not isinstance(wanted, At) and (played := await camera.ends_early(at, frame)):
        _, frame = await _best(camera, wanted, played, shot)
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
