"""Media probe: asks ffprobe what a file holds, and picks the streams that a viewer would."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.encryption import encryption
from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media, failure, limits, url
from secondunit.handlers.tools.media.still import still
from secondunit.handlers.tools.programs.ports import Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Transient

IMAGE_FORMATS = (
    "image2,bmp_pipe,dds_pipe,gem_pipe,hdr_pipe,ico,j2k_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,jpegxl_anim,pam_pipe,"
    "pbm_pipe,pcx_pipe,pgm_pipe,pgmyuv_pipe,png_pipe,ppm_pipe,psd_pipe,qoi_pipe,svg_pipe,tiff_pipe,webp_pipe,xpm_pipe"
)
# Of sound alone, so that it can be said to be that.
AUDIO_FORMATS = "aiff,amr,ape,au,caf,dts,eac3,tta,w64,wv"
STILL_BRANDS = ("avif", "heic", "heix", "mif1", "miaf")
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
INTERLACED = ("tt", "bb", "tb", "bt")
ESTIMATED = "Estimating duration from bitrate"
OTHER_FORMAT = re.compile(r"\[(\w{1,30}) @ 0x[0-9a-f]{1,16}\] Format not on whitelist")
ENTRIES = (
    "format=format_name,duration,start_time:format_tags=major_brand"
    ":stream=index,id,codec_type,codec_name,width,height,sample_aspect_ratio,pix_fmt,field_order,color_transfer,"
    "color_primaries,color_space,color_range,profile,level,r_frame_rate,avg_frame_rate,channels,sample_rate,nb_frames"
    ":stream_disposition=attached_pic,still_image,timed_thumbnails"
    ":stream_side_data=rotation"
)
PID = re.compile(r"0x[0-9a-f]{1,4}")
LARGEST_REPORT = 1_000_000


@dataclass(frozen=True, slots=True)
class Video:
    """A video stream: `width` and `height` as coded, `aspect` of one pixel, `rotation` in quarter turns (0 to 3).

    `average` and `nominal` are frames a second, 0 when unknown. A stream that is neither `interlaced` nor `progressive`
    does not say which. `profile` and `level` are named as ffprobe does. `pid` is its number in a transport stream.
    """

    index: int
    codec: str
    width: int
    height: int
    aspect: Fraction
    rotation: int
    average: Fraction
    nominal: Fraction
    pix_fmt: str
    transfer: str
    matrix: str
    interlaced: bool
    primaries: str = ""
    progressive: bool = False
    range: str = ""
    profile: str = ""
    level: int = 0
    pid: int | None = None

    @property
    def grey_before_key(self) -> bool:
        """Whether decoders begin between key frames too, with grey for what they lack: those of HEVC up to ffmpeg 7."""
        return self.codec == "hevc"

    @property
    def hdr(self) -> bool:
        """Whether the pictures must be tone-mapped for an ordinary screen."""
        return self.transfer in HDR_TRANSFERS

    @property
    def wide(self) -> bool:
        """Whether the pictures have more colours than an ordinary screen, but no more range; RGB is taken as it is."""
        said = self.primaries or "unknown"
        by_matrix = self.matrix.startswith("bt2020") and said in ("bt2020", "unknown", "unspecified")
        return by_matrix and not self.hdr

    @property
    def display(self) -> tuple[Fraction, Fraction]:
        """Width and height as seen: square pixels, turned upright."""
        width, height = self.width * self.aspect, Fraction(self.height)
        return (height, width) if self.rotation % 2 else (width, height)


@dataclass(frozen=True, slots=True)
class Audio:
    """An audio stream; `rate` in samples a second, 0 when unknown."""

    index: int
    codec: str
    channels: int
    profile: str = ""
    rate: int = 0
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds; `duration` in seconds, None when nobody knows, and only a guess when `estimated`.

    `video` and `audio` are those that a viewer would take first, of `videos` and `audios`; `start` is the time that
    ffmpeg counts from.
    """

    format: str
    duration: float | None
    estimated: bool
    still: bool
    video: Video | None
    audio: Audio | None
    start: float = 0.0
    videos: Sequence[Video] = ()
    audios: Sequence[Audio] = ()


async def probe(programs: Programs, media: Media, source: Source, ctx: JobContext) -> MediaInfo:
    """Read the headers of `source`; Deterministic: "unreadable", "not_a_video", "encrypted"."""
    lines: list[str] = []
    size = 0

    async def keep(line: str) -> None:
        nonlocal size
        size += len(line)
        if size > LARGEST_REPORT:
            raise Deterministic(f"{source.name} describes itself at absurd length", type="unreadable")
        lines.append(line)

    argv = [media.ffprobe, "-v", "warning", "-protocol_whitelist", "file"]
    argv += [
        "-format_whitelist",
        f"{MEDIA_FORMATS},{IMAGE_FORMATS},{AUDIO_FORMATS}",
        "-show_entries",
        ENTRIES,
        "-of",
        "json",
    ]
    finished = await programs.run(
        [*argv, "-i", url(source)],
        cwd=ctx.workspace.run,
        limits=limits(cpu_seconds=120, file_size=0),
        on_line=keep,
        pass_fds=(source.fd,),
        beat=ctx.beat,
        timeout=timedelta(minutes=5),
    )
    info = parse("\n".join(lines), finished.stderr) if finished.returncode == 0 else None
    # ffprobe 7 can't even open fragmented MP4 that is encrypted.
    if how := await in_thread(encryption, source.fd, info.format if info else None):
        raise Deterministic(f"{source.name} is encrypted ({how}); nothing of it can be shown", type="encrypted")
    if info is None:
        raise _refused(failure("ffprobe", finished, source, ctx.attempt), source, await in_thread(still, source.fd))
    return info


def parse(report: str, stderr: str = "") -> MediaInfo:
    """Turn ffprobe's JSON into what we know of the file."""
    found = json.loads(report)
    container: Mapping[str, Any] = found.get("format", {})
    streams: Sequence[Mapping[str, Any]] = found.get("streams", [])
    name = str(container.get("format_name", ""))
    videos, audios = list(_videos(streams)), list(_audios(streams))
    video = next(iter(videos), None)
    brand = str(container.get("tags", {}).get("major_brand", "")).strip()
    return MediaInfo(
        format=name,
        duration=_longer(_seconds(container.get("duration")), _counted(streams, video) if name == "avi" else None),
        estimated=ESTIMATED in stderr,
        still=name in IMAGE_FORMATS.split(",") or brand in STILL_BRANDS,
        video=video,
        audio=next(iter(audios), None),
        start=_number(container.get("start_time")) or 0.0,
        videos=videos,
        audios=audios,
    )


def pictures(info: MediaInfo, name: str) -> Video:
    """The video stream to show; Deterministic("not_a_video" | "audio_only") when there is none."""
    if info.still:
        raise _a_picture(name, info.format)
    if info.video is None and info.audio is not None:
        raise Deterministic(f"{name} has sound but no video", type="audio_only")
    if info.video is None:
        raise Deterministic(f"{name} holds no video that can be decoded ({info.format})", type="unreadable")
    return info.video


def _refused(problem: Transient | Deterministic, source: Source, picture: str | None) -> Transient | Deterministic:
    """In words for a person, why ffprobe could not read it; `picture` is what it begins as."""
    if problem.type != "unreadable":
        return problem
    if picture:
        return _a_picture(source.name, picture)
    if source.size == 0:
        return Deterministic(f"{source.name} is empty", type="unreadable")
    if match := OTHER_FORMAT.search(str(problem)):
        return Deterministic(f"{source.name} is no video, but of the format {match[1]}", type="unreadable")
    return problem


def _a_picture(name: str, kind: str) -> Deterministic:
    return Deterministic(
        f"{name} is a picture ({kind}), not a video; the job type webp converts it", type="not_a_video"
    )


def _videos(streams: Iterable[Mapping[str, Any]]) -> Iterator[Video]:
    for stream in streams:
        disposition = stream.get("disposition", {})
        picture = any(disposition.get(key) for key in ("attached_pic", "still_image", "timed_thumbnails"))
        if stream.get("codec_type") == "video" and not picture and stream.get("width") and _known(stream):
            yield _video(stream)


def _video(stream: Mapping[str, Any]) -> Video:
    turn = next((side["rotation"] for side in stream.get("side_data_list", ()) if "rotation" in side), 0)
    aspect = _ratio(stream.get("sample_aspect_ratio"), ":")
    return Video(
        index=stream["index"],
        codec=stream["codec_name"],
        width=stream["width"],
        height=stream["height"],
        # A pixel more than ten times as wide as high, or the other way round, is a broken header.
        aspect=aspect if Fraction(1, 10) <= aspect <= 10 else Fraction(1),
        rotation=round(float(turn) / 90) % 4,
        average=_ratio(stream.get("avg_frame_rate"), "/"),
        nominal=_ratio(stream.get("r_frame_rate"), "/"),
        pix_fmt=str(stream.get("pix_fmt", "")),
        transfer=str(stream.get("color_transfer", "")),
        matrix=str(stream.get("color_space", "")),
        interlaced=stream.get("field_order") in INTERLACED,
        primaries=str(stream.get("color_primaries", "")),
        progressive=stream.get("field_order") == "progressive",
        range=str(stream.get("color_range", "")),
        profile=str(stream.get("profile", "")),
        level=int(stream.get("level", 0)),
        pid=_pid(stream),
    )


def _audios(streams: Iterable[Mapping[str, Any]]) -> Iterator[Audio]:
    for stream in streams:
        if stream.get("codec_type") == "audio" and stream.get("channels") and _known(stream):
            rate = int(stream.get("sample_rate", 0))
            profile = str(stream.get("profile", ""))
            yield Audio(stream["index"], stream["codec_name"], stream["channels"], profile, rate, _pid(stream))


def _pid(stream: Mapping[str, Any]) -> int | None:
    said = str(stream.get("id", ""))
    return int(said, 16) if PID.fullmatch(said) else None


def _counted(streams: Sequence[Mapping[str, Any]], video: Video | None) -> float | None:
    """What the header's count of pictures makes in seconds: of an AVI that lacks its end ffprobe tells what is left."""
    frames = str(streams[video.index].get("nb_frames", "")) if video and video.index < len(streams) else ""
    return int(frames) / float(video.average) if video and frames.isdigit() and video.average else None


def _longer(one: float | None, other: float | None) -> float | None:
    return max((seconds for seconds in (one, other) if seconds), default=None)


def _known(stream: Mapping[str, Any]) -> bool:
    return stream.get("codec_name", "unknown") not in ("unknown", "none")


def _ratio(text: object, separator: str) -> Fraction:
    above, _, below = str(text or "0").partition(separator)
    if not above.isdecimal() or not (below or "1").isdecimal() or int(below or 1) == 0:
        return Fraction(0)
    return Fraction(int(above), int(below or 1))


def _seconds(text: object) -> float | None:
    seconds = _number(text)
    return seconds if seconds is not None and 0 < seconds < float("inf") else None


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None
