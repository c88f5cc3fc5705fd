"""I-frame playlists (RFC 8216, 4.3.3.6): byte ranges of key frames within the very segments, for scrubbing. Blocking.

Of fragmented MP4 (ISO/IEC 14496-12) a range is a fragment's header and its first picture, of a transport stream
(ISO/IEC 13818-1) the packets of one picture.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from secondunit.handlers.hls.plan import IFRAMES
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished

PACKET, CLOCK = 188, 90_000
UNIT_STARTS = re.compile(rb"[\x40-\x5f]")  # the second byte of a packet in which a payload unit starts
HAS_BASE, HAS_DESCRIPTION, HAS_DURATION, HAS_SIZE = 1, 2, 8, 16  # of a track fragment's header
HAS_OFFSET, HAS_FIRST_FLAGS, HAS_DURATIONS, HAS_SIZES = 1, 4, 0x100, 0x200  # of its run of samples
FRAGMENT_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A key frame within a segment: seconds after the segment's first picture, and its byte range."""

    after: float
    offset: int
    size: int


def write_iframes(home: Path, videos: Sequence[Playlist], version: int) -> Mapping[str, Playlist]:
    """Write each one's I-frame playlist beside it; by their names what was written, its ranges as segments."""
    written = {}
    for video in videos:
        text, ranges = iframes(home, video, version)
        (home / video.name / IFRAMES).write_text(text)
        written[video.name] = Playlist(video.name, ranges, video.codecs, len(text))
    return written


def iframes(home: Path, video: Playlist, version: int) -> tuple[str, tuple[MediaSegment, ...]]:
    """The I-frame playlist and its ranges; Unfinished for a segment that does not begin with a key frame."""
    found = []
    begin = 0.0
    for segment in video.segments:
        keys = _fragment(home / video.name / segment.uri) if video.init else _transport(home / video.name / segment.uri)
        if not keys:
            raise Unfinished(f"{video.name}/{segment.uri} does not begin with a key frame")
        found += [(begin + key.after, segment.uri, key) for key in keys]
        begin += segment.duration
    ends = [at for at, *_ in found[1:]] + [begin]
    ranges = tuple(MediaSegment(uri, end - at, key.size) for (at, uri, key), end in zip(found, ends, strict=True))
    head = video.init or video.segments[0].uri
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{version}", f"#EXT-X-TARGETDURATION:{ceil(max(r.duration for r in ranges))}"]
    lines += ["#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-I-FRAMES-ONLY"]
    # What stands before the first picture of a transport stream are its tables.
    lines += [f'#EXT-X-MAP:URI="{head}"' + ("" if video.init else f',BYTERANGE="{found[0][2].offset}@0"')]
    for shown, (_, uri, key) in zip(ranges, found, strict=True):
        lines += [f"#EXTINF:{shown.duration:.6f},", f"#EXT-X-BYTERANGE:{key.size}@{key.offset}", uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n", ranges


def _fragment(path: Path) -> Sequence[KeyFrame]:
    """The first picture of a segment, which is one fragment."""
    with path.open("rb") as file:
        data = file.read(FRAGMENT_HEAD)
    for kind, at, body, end in _boxes(data, 0, len(data)):
        if kind == b"moof":
            [run] = (_first_sample(data, inner, stop) for k, _, inner, stop in _boxes(data, body, end) if k == b"traf")
            return [KeyFrame(0.0, at, sum(run))]
    return []


def _first_sample(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Where the first sample of a track fragment begins, from its fragment on, and its size."""
    parts = {kind: body for kind, _, body, _ in _boxes(data, at, end)}
    head, run = parts[b"tfhd"], parts[b"trun"]
    flags = _number(data, head) & 0xFFFFFF
    default = head + 8 + (8 if flags & HAS_BASE else 0)
    default += sum(4 for flag in (HAS_DESCRIPTION, HAS_DURATION) if flags & flag)
    told = _number(data, run) & 0xFFFFFF
    first = run + 12 + sum(4 for flag in (HAS_FIRST_FLAGS, HAS_DURATIONS) if told & flag)
    return _number(data, run + 8), _number(data, first if told & HAS_SIZES else default)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The boxes there: kind, where it begins, where its content begins and ends."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield kind, at, at + 8, at + size
        at += size


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _transport(path: Path) -> Sequence[KeyFrame]:
    """The key frames of a segment that begins with one; its only elementary stream is the video."""
    data = path.read_bytes()
    pictures = [
        (at, *found)
        for match in UNIT_STARTS.finditer(data[1::PACKET])
        if (found := _picture(data[(at := match.start() * PACKET) : at + PACKET]))
    ]
    if not pictures or not pictures[0][2]:
        return []
    ends = [at for at, *_ in pictures[1:]] + [len(data)]
    first = pictures[0][1]
    return [
        KeyFrame((time - first) % (1 << 33) / CLOCK, at, end - at)
        for (at, time, key), end in zip(pictures, ends, strict=True)
        if key
    ]


def _picture(packet: bytes) -> tuple[int, bool] | None:
    """The presentation time of the picture that begins in a packet, and whether it is a key frame."""
    adapted = packet[3] & 0x20
    unit = packet[4 + (1 + packet[4] if adapted else 0) :]
    if not unit.startswith(b"\x00\x00\x01") or len(unit) < 14 or unit[3] & 0xF0 != 0xE0:
        return None
    a, b, c = unit[9], int.from_bytes(unit[10:12], "big"), int.from_bytes(unit[12:14], "big")
    time = (a >> 1 & 7) << 30 | b >> 1 << 15 | c >> 1
    return time, bool(adapted and packet[4] and packet[5] & 0x40)
