"""HLS playlists (RFC 8216): media playlists and their segments are read, the master playlist is written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path

from secondunit.handlers.hls.plan import AUDIO_GROUP, AUDIO_NAME, IFRAMES, PLAYLIST, HlsPlan, Rendition
from secondunit.queue.value import Value

AAC_LC = "mp4a.40.2"
VERSION = {"fmp4": 7, "ts": 6}
MAP = re.compile(r'^#EXT-X-MAP:.*URI="([^"]+)"')
AVC_CONFIGURATION = re.compile(rb"avcC\x01(...)", re.DOTALL)
SEQUENCE_PARAMETERS = re.compile(rb"\x00\x00\x01[\x27\x47\x67](...)", re.DOTALL)
HEAD = 1 << 20


class Unfinished(Exception):
    """A playlist that ffmpeg did not bring to its end; `nothing` when there was nothing to put into it."""

    def __init__(self, message: str, *, nothing: bool = False) -> None:
        super().__init__(message)
        self.nothing = nothing


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """One media segment: its file's name, its length in seconds, its size in bytes."""

    uri: str
    duration: float
    size: int


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist and its files; `codecs` as RFC 6381 writes them; `size` of all its files in bytes."""

    name: str
    segments: tuple[MediaSegment, ...]
    codecs: str
    size: int
    init: str | None = None

    @property
    def duration(self) -> float:
        """Seconds of all segments."""
        return sum(segment.duration for segment in self.segments)

    @property
    def average(self) -> float:
        """Bits a second over the whole."""
        return 8 * sum(segment.size for segment in self.segments) / self.duration

    @property
    def peak(self) -> float:
        """Bits a second of the largest run of segments that lasts between 0.5 and 1.5 target durations (RFC 8216, 4.1).

        So a last segment of a few frames does not count alone.
        """
        target = max(ceil(segment.duration) for segment in self.segments)
        rates = [self.average]
        for first in range(len(self.segments)):
            seconds, size = 0.0, 0
            for segment in self.segments[first:]:
                seconds, size = seconds + segment.duration, size + segment.size
                if seconds > 1.5 * target:
                    break
                if seconds >= 0.5 * target:
                    rates.append(8 * size / seconds)
        return max(rates)


class Variant(Value, frozen=True):
    """One line of the master playlist; bits a second include the sound."""

    rendition: Rendition
    playlist: Playlist
    codecs: str
    bandwidth: int
    average: int


def read(folder: Path, name: str) -> Playlist:
    """The playlist `name` beneath `folder` with its measured files; Unfinished when something is missing."""
    home = folder / name
    try:
        lines = (home / PLAYLIST).read_text().splitlines()
    except FileNotFoundError:
        raise Unfinished(f"the playlist {name} was not written", nothing=True) from None
    init = next((match[1] for line in lines if (match := MAP.match(line))), None)
    segments = _segments(home, lines)
    if not segments:
        raise Unfinished(f"the playlist {name} has no segments", nothing=True)
    if "#EXT-X-ENDLIST" not in lines:
        raise Unfinished(f"the playlist {name} has no end")
    head = init or segments[0].uri
    with (home / head).open("rb") as file:
        codecs = AAC_LC if name == AUDIO_NAME else avc_codec(file.read(HEAD))
    size = sum(segment.size for segment in segments) + (home / PLAYLIST).stat().st_size
    return Playlist(name, segments, codecs, size + (_size(home / init) if init else 0), init)


def told_as(folder: Path, video: Playlist, other: Playlist) -> Playlist:
    """The same segments with the durations that the playlist of another rendition tells, which is cut alike."""
    home = folder / video.name
    text = (folder / other.name / PLAYLIST).read_text()
    if video.init and other.init:
        text = text.replace(f'URI="{other.init}"', f'URI="{video.init}"')
    size = video.size - (home / PLAYLIST).stat().st_size + len(text)
    (home / PLAYLIST).write_text(text)
    pairs = zip(video.segments, other.segments, strict=True)
    return replace(video, segments=tuple(replace(one, duration=like.duration) for one, like in pairs), size=size)


def avc_codec(data: bytes) -> str:
    """The RFC 6381 name of H.264 video: the profile, constraint and level bytes of its first SPS (ISO 14496-15)."""
    match = AVC_CONFIGURATION.search(data) or SEQUENCE_PARAMETERS.search(data)
    if match is None:
        raise Unfinished("the video segments begin without H.264 parameters")
    return f"avc1.{match[1].hex()}"


def variants(plan: HlsPlan, videos: Sequence[Playlist], sound: Playlist | None) -> tuple[Variant, ...]:
    """What the master says of each rendition, the largest bandwidth first."""
    lines = []
    for rendition, video in zip(plan.renditions, videos, strict=True):
        peak = video.peak + (sound.peak if sound else 0)
        average = video.average + (sound.average if sound else 0)
        codecs = f"{video.codecs},{sound.codecs}" if sound else video.codecs
        lines.append(Variant(rendition, video, codecs, ceil(peak), ceil(average)))
    return tuple(sorted(lines, key=lambda line: (line.bandwidth, line.rendition.height), reverse=True))


def master(plan: HlsPlan, lines: Sequence[Variant], iframes: Mapping[str, Playlist], inner: str = "") -> str:
    """The text of the master playlist (RFC 8216, 4.3.4), from which the others lie at `inner`."""
    text = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION[plan.segment_type]}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if plan.audio:
        text.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="{AUDIO_NAME}",DEFAULT=YES,AUTOSELECT=YES,'
            f'CHANNELS="2",URI="{inner}{AUDIO_NAME}/{PLAYLIST}"'
        )
    audio = f',AUDIO="{AUDIO_GROUP}"' if plan.audio else ""
    for line in lines:
        text.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={line.bandwidth},AVERAGE-BANDWIDTH={line.average},RESOLUTION={_size_of(line)},"
            f'FRAME-RATE={_decimal(plan.rate.value)},CODECS="{line.codecs}"{audio},CLOSED-CAPTIONS=NONE'
        )
        text.append(f"{inner}{line.rendition.name}/{PLAYLIST}")
    for line in lines:
        frames = iframes[line.rendition.name]
        text.append(
            f"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={ceil(frames.peak)},AVERAGE-BANDWIDTH={ceil(frames.average)},"
            f'RESOLUTION={_size_of(line)},CODECS="{frames.codecs}",URI="{inner}{line.rendition.name}/{IFRAMES}"'
        )
    return "\n".join(text) + "\n"


def _segments(home: Path, lines: Sequence[str]) -> tuple[MediaSegment, ...]:
    found = []
    seconds = 0.0
    for line in lines:
        if line.startswith("#EXTINF:"):
            seconds = float(line.removeprefix("#EXTINF:").split(",")[0])
        elif line and not line.startswith("#"):
            found.append(MediaSegment(line, seconds, _size(home / line)))
    return tuple(found)


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise Unfinished(f"{path.parent.name}/{path.name} was not written") from None
    if size == 0:
        raise Unfinished(f"{path.parent.name}/{path.name} is empty")
    return size


def _size_of(line: Variant) -> str:
    return f"{line.rendition.width}x{line.rendition.height}"


def _decimal(rate: Fraction) -> str:
    return f"{float(rate):.3f}"
