"""Job type `hls`: a video becomes an adaptive HLS presentation in a folder of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from secondunit.handlers.hls import outputs
from secondunit.handlers.hls.iframes import write_iframes
from secondunit.handlers.hls.pipeline import Pipeline
from secondunit.handlers.hls.plan import AUDIO_NAME, PLAYLIST, plan, quality_fault
from secondunit.handlers.hls.playlists import VERSION, Playlist, Unfinished, Variant, master, read, variants
from secondunit.handlers.hls.segments import span
from secondunit.handlers.hls.verify import Material, unfinished, unfinished_sound, verify
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import Media, limits, require
from secondunit.handlers.tools.media.packets import count_packets, heard
from secondunit.handlers.tools.media.probe import MediaInfo, pictures, probe
from secondunit.handlers.tools.media.progress import follow
from secondunit.handlers.tools.payload import PAYLOAD
from secondunit.handlers.tools.storage.ports import MASTER, Source, StagedFolder
from secondunit.handlers.tools.storage.settling import Settling
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.handler import HandlerSpec, JobContext

ENCODERS = ("libx264", "aac", "pcm_s16le")
PICTURE_FILTERS = ("scale", "split", "fps", "format", "setsar", "setparams", "yadif")
FILTERS = (*PICTURE_FILTERS, "aselect", "aresample", "aformat", "atrim")
# Bombs end by these. The slowest real encode (4K at 60 frames a second, tone-mapped, on old cores) takes a fifth of it.
CPU_A_SECOND, LEAST_CPU, LONGEST_SECONDS = 400, 3600, 24 * 3600
SLOWEST_BYTES = 20_000  # a second; a file that is larger than its declared length explains is longer than that
LARGEST_SEGMENT = 2 << 30
RECIPE = 3  # higher whenever the same source and options give something better


class HlsPayload(BaseModel):
    """What a client asks for."""

    model_config = PAYLOAD

    input_path: str
    output_dir: str
    qualities: Annotated[list[str], Field(min_length=1, max_length=12)] = ["1080p", "720p", "480p"]
    segment_type: Literal["fmp4", "ts"] = "fmp4"

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
        payload=HlsPayload,
        run=run,
        check=check,
        priority=3,
        artifacts=outputs.playlists,
        folder=outputs.folder,
    )


async def _transcode(tools: Tools, ctx: JobContext, payload: HlsPayload) -> Mapping[str, Any]:
    media = require(tools.media, "hls", ENCODERS, FILTERS)
    async with (
        tools.files.source(payload.input_path, ctx) as source,
        tools.files.folder(payload.output_dir, ctx) as staged,
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
    info = await probe(tools.programs, media, source, ctx)
    video = pictures(info, source.name)
    packets = await count_packets(tools.programs, tools.python, media, source, info, ctx)
    info = heard(info, packets)
    todo = plan(info, video, payload.qualities, payload.segment_type)
    allowed = limits(cpu_seconds(info, source.size), LARGEST_SEGMENT)
    pipeline = Pipeline(tools.programs, ctx, media, source, staged.path / staged.inner, allowed)
    played = packets.until(track.index for track in (info.video, info.audio) if track)
    encoded = await pipeline.encode(todo, follow(ctx.progress, played))
    return await in_thread(_finish, source.name, Material(info, packets, todo, encoded, ctx.attempt), staged)


def cpu_seconds(info: MediaInfo, size: int) -> int:
    """The CPU time that the encode of a file of `size` bytes may take."""
    seconds = LONGEST_SECONDS if info.duration is None else max(info.duration, size / SLOWEST_BYTES)
    return max(LEAST_CPU, round(CPU_A_SECOND * min(seconds, LONGEST_SECONDS)))


def _finish(name: str, material: Material, staged: StagedFolder) -> dict[str, Any]:
    """Measure and verify what was written, add the master playlist, and describe it all by relative paths."""
    folder = staged.path / staged.inner
    todo = material.plan
    frame = float(1 / todo.rate.value)
    try:
        videos = [read(folder, rendition.name) for rendition in todo.renditions]
        spans = [span(folder, video, frame) for video in videos]
        frames = write_iframes(folder, videos, VERSION[todo.segment_type])
    except Unfinished as error:
        raise unfinished(name, material, error) from None
    try:
        sound = read(folder, AUDIO_NAME) if todo.audio else None
        sound_span = span(folder, sound, 0) if sound else None
    except Unfinished as error:
        raise unfinished_sound(name, material, error) from None
    warnings = verify(name, material, videos, spans, sound_span)
    lines = variants(todo, videos, sound)
    text = master(todo, lines, frames, staged.inner)
    (staged.path / MASTER).write_text(text)
    beside = len(text) + sum(playlist.size for playlist in frames.values())
    return _result(lines, staged.inner, [*videos, *([sound] if sound else [])], beside, warnings)


def _result(
    lines: tuple[Variant, ...], inner: str, playlists: list[Playlist], extra: int, warnings: list[str]
) -> dict[str, Any]:
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
            }
            for line in lines
        ],
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
    return {"recipe": RECIPE, "qualities": sorted(set(payload.qualities)), "segmentType": payload.segment_type}


async def _serves(manifest: Mapping[str, Any], wanted: Mapping[str, Any], staged: StagedFolder) -> bool:
    """Whether what stands there was made from this source with these options, and is still whole by names and sizes."""
    files = manifest.get("files")
    if any(manifest.get(key) != value for key, value in wanted.items()) or not isinstance(files, Mapping):
        return False
    return await staged.holds(files)


def _files(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}
