"""Job type `hls`: a video becomes an adaptive HLS presentation in a folder of its own."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from secondunit.handlers.hls import outputs
from secondunit.handlers.hls.budget import cpu_estimate, cpu_limit
from secondunit.handlers.hls.iframes import write_iframes
from secondunit.handlers.hls.init_segment import parted
from secondunit.handlers.hls.passthrough import Copy, closely, decisions, nothing_copied, passthrough
from secondunit.handlers.hls.pipeline import Encoded, Pipeline
from secondunit.handlers.hls.plan import AUDIO_NAME, PLAYLIST, HlsPlan, plan, quality_fault
from secondunit.handlers.hls.playlists import VERSION, Playlist, Unfinished, Variant, master, read, told_as, variants
from secondunit.handlers.hls.segments import span
from secondunit.handlers.hls.verify import Material, SpoiledCopy, cut_alike, unfinished, unfinished_sound, verify
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import Media, limits, require
from secondunit.handlers.tools.media.packets import Packets, count_packets, heard
from secondunit.handlers.tools.media.probe import MediaInfo, pictures, probe
from secondunit.handlers.tools.media.progress import WHOLE, follow
from secondunit.handlers.tools.payload import FILE, payload_like
from secondunit.handlers.tools.programs.transcript import Transcript
from secondunit.handlers.tools.storage.free_space import size_of
from secondunit.handlers.tools.storage.ports import MASTER, Source, StagedFolder
from secondunit.handlers.tools.storage.settling import Settling
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.outcome import Deterministic

ENCODERS = ("libx264", "aac", "pcm_s16le")
PICTURE_FILTERS = ("scale", "split", "fps", "format", "setsar", "setparams", "yadif")
FILTERS = (*PICTURE_FILTERS, "aselect", "aresample", "aformat", "atrim")
LARGEST_SEGMENT = 2 << 30
NOTHING = Encoded(0, 0)  # yet
UNSURE = (0.0, 0.8)  # of the whole: the rest is for an encode, where what was copied comes out badly
RECIPE = 6  # higher whenever the same source and options give something better


class HlsPayload(BaseModel):
    """What a client asks for."""

    model_config = payload_like(
        inputPath="/srv/media/film.mp4", outputDir="/srv/media/film", qualities=["1080p", "480p"]
    )

    input_path: str = Field(description=f"the film: {FILE}")
    output_dir: str = Field(description=f"where the stream goes, a folder of its own: {FILE}")
    qualities: Annotated[list[str], Field(min_length=1, max_length=12)] = Field(
        ["1080p", "720p", "480p"], description="heights of the ladder, such as 720p; nothing is enlarged"
    )
    segment_type: Literal["fmp4", "ts"] = Field("fmp4", description="what segments are: fragmented MP4, or MPEG-TS")
    copy_: Copy = Field(
        "auto",
        alias="copy",
        description="auto: copy what the source already is of the ladder; never: encode all",
    )

    @field_validator("qualities")
    @classmethod
    def _heights(cls, qualities: list[str]) -> list[str]:
        faults = [fault for quality in qualities if (fault := quality_fault(quality))]
        if faults:
            raise ValueError("; ".join(faults))
        return qualities


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: HlsPayload) -> None:
        require(tools.media, "hls", ENCODERS, FILTERS)
        tools.files.check("inputPath", payload.input_path)
        tools.files.check_folder("outputDir", payload.output_dir, [payload.input_path])

    async def run(ctx: JobContext, payload: HlsPayload) -> Mapping[str, Any]:
        return await _transcode(tools, ctx, payload)

    return HandlerSpec(
        type="hls",
        programs=("ffmpeg",),
        payload=HlsPayload,
        run=run,
        check=check,
        reserve=lambda payload: 2 * size_of(payload.input_path),
        size=lambda payload: size_of(payload.get("inputPath")),
        measures=("maxCpuSeconds",),
        priority=3,
        artifacts=outputs.playlists,
        folder=outputs.folder,
    )


async def _transcode(tools: Tools, ctx: JobContext, payload: HlsPayload) -> Mapping[str, Any]:
    media = require(tools.media, "hls", ENCODERS, FILTERS)
    async with (
        tools.files.source(payload.input_path, ctx) as source,
        tools.files.folder(payload.output_dir, ctx, source) as staged,
    ):
        wanted = {"source": source.identity, "options": _options(payload)}
        standing = await staged.published()
        if standing is not None and await _serves(standing, wanted, staged):
            return _placed(standing["result"], staged)
        async with Settling(tools.files, tools.clock, tools.settle).unchanged(payload.input_path, source, ctx):
            result = await _encode(tools, ctx, media, source, payload, staged)
        await staged.publish(wanted | {"result": result, "files": await in_thread(_files, staged.path)})
        return _placed(result, staged)


async def _encode(
    tools: Tools, ctx: JobContext, media: Media, source: Source, payload: HlsPayload, staged: StagedFolder
) -> dict[str, Any]:
    """Make and verify all that is to be published; what the job's result says of it, by relative paths."""
    info, packets, todo = await _planned(tools, ctx, media, source, payload)
    track = packets.tracks.get(todo.video.index)
    from_key = todo.video.grey_before_key and track is not None and track.key is not None
    todo = replace(todo, audio=info.audio, from_key=from_key)
    todo = replace(todo, copied=passthrough(todo, payload.copy_, packets, info.start))
    material = Material(info, packets, todo, NOTHING, ctx.attempt)
    cost = cpu_estimate(todo, material.played)
    await _tell(ctx, todo, cost)
    allowed = limits(cpu_limit(info, source.size), LARGEST_SEGMENT)
    pipeline = Pipeline(tools.programs, ctx, media, source, staged.path / staged.inner, staged.fds, allowed)
    try:
        return await _made(pipeline, material, staged, UNSURE if todo.copied.anything else WHOLE)
    except (SpoiledCopy, Deterministic) as error:
        if not todo.copied.anything:
            raise
        # What was copied is to blame, or it will be seen: all is encoded.
        todo = replace(todo, copied=nothing_copied(f"the copy came out badly: {error}"))
    await _tell(ctx, todo, cost + cpu_estimate(todo, material.played), UNSURE[1])
    await in_thread(_empty, pipeline.folder)
    return await _made(pipeline, replace(material, plan=todo), staged, (UNSURE[1], WHOLE[1]), "all is encoded now, ")


async def _planned(
    tools: Tools, ctx: JobContext, media: Media, source: Source, payload: HlsPayload
) -> tuple[MediaInfo, Packets, HlsPlan]:
    """What the source holds, and what is made of it; where its first video track is but a picture, of another one."""
    info = await probe(tools.programs, media, source, ctx)
    while True:
        todo = plan(info, pictures(info, source.name), payload.qualities, payload.segment_type)
        look = closely(todo, payload.copy_)
        packets = await count_packets(tools.programs, tools.python, media, source, info, ctx, look)
        found = heard(info, packets)
        if found.video == info.video:
            return found, packets, todo
        info = found


async def _made(
    pipeline: Pipeline, material: Material, staged: StagedFolder, share: tuple[float, float], before: str = ""
) -> dict[str, Any]:
    todo = material.plan
    encoded = await pipeline.encode(todo, follow(pipeline.ctx.progress, material.played, share, before))
    if todo.copied.anything and encoded.damage:
        raise SpoiledCopy(f"{pipeline.source.name} is damaged: {encoded.damage}")
    return await in_thread(_finish, pipeline.source.name, replace(material, encoded=encoded), staged)


async def _tell(ctx: JobContext, todo: HlsPlan, cost: int, done: float = 0.0) -> None:
    """What is copied, why, and what it may cost in all: for who looks at the job, and in its log."""
    await ctx.stats(maxCpuSeconds=cost)
    copied = todo.copied.picture
    said = f"{todo.renditions[0].name} is copied" if copied else f"every rung is encoded: {todo.copied.doubt}"
    await ctx.progress(done, said)
    log = Transcript(ctx.workspace.log, ctx.beat)
    for name, decision in decisions(todo).items():
        await log.note(f"{name}: {decision}")
    await log.note(f"at most {cost} CPU seconds")


def _empty(folder: Path) -> None:
    for made in folder.iterdir():
        shutil.rmtree(made)


def _finish(name: str, material: Material, staged: StagedFolder) -> dict[str, Any]:
    """Measure and verify what was written, add the master playlist, and describe it all by relative paths."""
    folder = staged.path / staged.inner
    todo = material.plan
    frame = float(1 / todo.rate.value)
    try:
        videos = [parted(folder, read(folder, rendition.name)) for rendition in todo.renditions]
        spans = [span(folder, video, frame) for video in videos]
        cut_alike(name, todo, videos)
        if todo.copied.picture and todo.encoded:
            # What came in whole milliseconds, or without an end, was measured better where it was encoded.
            videos[0] = told_as(folder, videos[0], videos[1])
        frames = write_iframes(folder, videos, VERSION[todo.segment_type])
    except Unfinished as error:
        raise unfinished(name, material, error) from None
    try:
        sound = read(folder, AUDIO_NAME) if todo.audio else None
        sound_span = span(folder, sound, 0) if sound else None
    except Unfinished as error:
        raise unfinished_sound(name, material, error) from None
    warnings = verify(name, material, spans, sound_span)
    lines = variants(todo, videos, sound)
    text = master(todo, lines, frames, staged.inner)
    (staged.path / MASTER).write_text(text)
    beside = len(text) + sum(playlist.size for playlist in frames.values())
    return _result(lines, todo, staged.inner, [*videos, *([sound] if sound else [])], beside, warnings)


def _result(
    lines: tuple[Variant, ...], todo: HlsPlan, inner: str, playlists: list[Playlist], extra: int, warnings: list[str]
) -> dict[str, Any]:
    decided = decisions(todo)
    return {
        "masterPath": MASTER,
        "renditions": [
            {
                "name": line.rendition.name,
                "width": line.rendition.width,
                "height": line.rendition.height,
                "bandwidth": line.bandwidth,
                "codecs": line.codecs,
                "path": f"{inner}{line.rendition.name}/{PLAYLIST}",
                **asdict(decided[line.rendition.name]),
            }
            for line in lines
        ],
        "sound": asdict(decided[AUDIO_NAME]) if todo.audio else None,
        "duration": round(max(playlist.duration for playlist in playlists), 3),
        "segments": sum(len(playlist.segments) for playlist in playlists),
        "size": sum(playlist.size for playlist in playlists) + extra,
        "warnings": warnings,
    }


def _placed(result: Any, staged: StagedFolder) -> dict[str, Any]:
    """The same result with the paths of the folder it stands in now."""
    renditions = [rendition | {"path": staged.at(rendition["path"])} for rendition in result["renditions"]]
    return {**result, "masterPath": staged.at(result["masterPath"]), "renditions": renditions}


def _options(payload: HlsPayload) -> dict[str, Any]:
    made = {"recipe": RECIPE, "qualities": sorted(set(payload.qualities)), "segmentType": payload.segment_type}
    return made | {"copy": payload.copy_}


async def _serves(manifest: Mapping[str, Any], wanted: Mapping[str, Any], staged: StagedFolder) -> bool:
    """Whether what stands there was made from this source with these options, and is still whole by names and sizes."""
    files = manifest.get("files")
    if any(manifest.get(key) != value for key, value in wanted.items()) or not isinstance(files, Mapping):
        return False
    return _is_told(manifest.get("result"), files) and await staged.holds(files)


def _is_told(result: Any, files: Mapping[str, Any]) -> bool:
    """Whether a manifest, which somebody may have edited, has a result that leads to its files."""
    renditions = result.get("renditions") if isinstance(result, Mapping) else None
    if not isinstance(renditions, list) or not all(isinstance(rung, Mapping) for rung in renditions):
        return False
    return all(
        isinstance(path, str) and path in files
        for path in [result.get("masterPath"), *(rung.get("path") for rung in renditions)]
    )


def _files(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}
