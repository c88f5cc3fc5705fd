"""Media segments as they lie on the disk: whole or cut off, and for how long their packets last.

Fragmented MP4: ISO/IEC 14496-12. MPEG transport streams: ISO/IEC 13818-1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from secondunit.handlers.hls.playlists import Playlist, Unfinished

PACKET, SYNC, CLOCK = 188, 0x47, 90_000
WINDOW = 400 * PACKET  # of a transport stream's end, or more where no packet begins in it
HAS_DURATION, HAS_SIZE, HAS_FLAGS, HAS_CTS, HAS_OFFSET, HAS_FIRST_FLAGS = 0x100, 0x200, 0x400, 0x800, 1, 4
BASE_OFFSET, DESCRIPTION_INDEX, DEFAULT_DURATION = 1, 2, 8
SLACK = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds that packets last: from the first timestamp to the last one, and to the end of what that one shows."""

    first: float
    last: float
    end: float


def span(home: Path, playlist: Playlist, frame: float) -> Span:
    """The whole playlist's; Unfinished where a segment is cut off, or lasts for less than the playlist says.

    `frame` is how many seconds one packet may show at most.
    """
    scale = _timescale(_whole(home / playlist.name / playlist.init)) if playlist.init else 0
    spans = []
    for segment in playlist.segments:
        path = home / playlist.name / segment.uri
        found = _fragments(_whole(path), scale) if scale else _transport(path)
        if found is None or found.end - found.first < segment.duration - SLACK - frame:
            why = f"{playlist.name}/{segment.uri} holds less than its {segment.duration:.1f} s"
            raise Unfinished(why, nothing=found is None and playlist.duration == 0)
        spans.append(found)
    whole = Span(spans[0].first, spans[-1].last, spans[-1].end)
    if abs(whole.end - whole.first - playlist.duration) > SLACK + frame:
        raise Unfinished(f"{playlist.name} lasts {whole.end - whole.first:.1f} s, not {playlist.duration:.1f}")
    return whole


def _whole(path: Path) -> bytes:
    """What a fragmented file holds, whose boxes must add up to its size; media data is left out."""
    kept = []
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(16)
            length, kind = struct.unpack(">I4s", head[:8]) if len(head) >= 8 else (0, b"")
            length = int.from_bytes(head[8:16], "big") if length == 1 else length
            at += length
            if length < 8 or at > size:
                raise Unfinished(f"{path.parent.name}/{path.name} is cut off")
            if kind in (b"moov", b"moof"):
                file.seek(at - length)
                kept.append(file.read(length))
    return b"".join(kept)


def _boxes(data: bytes, *way: bytes) -> Iterator[bytes]:
    """The contents of all boxes at the end of a way through boxes."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8:
            return
        if kind == way[0]:
            content = data[at + 8 : at + length]
            yield from _boxes(content, *way[1:]) if len(way) > 1 else (content,)
        at += length


def _timescale(init: bytes) -> int:
    header = next(_boxes(init, b"moov", b"trak", b"mdia", b"mdhd"), None)
    if header is None:
        raise Unfinished("an init segment has no track")
    (scale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    return int(scale)


def _fragments(data: bytes, scale: int) -> Span | None:
    first = last = end = None
    for track in _boxes(data, b"moof", b"traf"):
        header, begin = next(_boxes(track, b"tfhd"), b""), next(_boxes(track, b"tfdt"), b"")
        at = int.from_bytes(begin[4:], "big")
        usual = _default_duration(header)
        for run in _boxes(track, b"trun"):
            for duration in _durations(run, usual):
                first, last, end = at if first is None else first, at, at + duration
                at = end
    if first is None or last is None or end is None:
        return None
    return Span(first / scale, last / scale, end / scale)


def _default_duration(header: bytes) -> int:
    flags = int.from_bytes(header[1:4], "big")
    at = 8 + (8 if flags & BASE_OFFSET else 0) + (4 if flags & DESCRIPTION_INDEX else 0)
    return int.from_bytes(header[at : at + 4], "big") if flags & DEFAULT_DURATION else 0


def _durations(run: bytes, usual: int) -> Iterator[int]:
    """The durations of a track run's samples."""
    flags, count = int.from_bytes(run[1:4], "big"), int.from_bytes(run[4:8], "big")
    at = 8 + (4 if flags & HAS_OFFSET else 0) + (4 if flags & HAS_FIRST_FLAGS else 0)
    step = 4 * sum(1 for flag in (HAS_DURATION, HAS_SIZE, HAS_FLAGS, HAS_CTS) if flags & flag)
    for sample in range(count):
        place = at + sample * step
        yield int.from_bytes(run[place : place + 4], "big") if flags & HAS_DURATION else usual


def _transport(path: Path) -> Span | None:
    """Of a transport stream with one track; how long its last packet is shown is not said there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size % PACKET or file.read(1)[0] != SYNC:
            raise Unfinished(f"{path.parent.name}/{path.name} is cut off")
        window = WINDOW
        while True:
            file.seek(0)
            starts = _stamps(file.read(window))
            file.seek(max(0, size - window))
            ends = _stamps(file.read())
            if (starts and ends) or window >= size:
                break
            window *= 8
    return Span(min(starts), max(ends), max(ends)) if starts and ends else None


def _stamps(data: bytes) -> list[float]:
    """The presentation timestamps of the PES packets that begin in these packets."""
    found = []
    for at in range(0, len(data) - PACKET + 1, PACKET):
        packet = data[at : at + PACKET]
        begin = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        head = packet[begin : begin + 14]
        if packet[1] & 0x40 and head[:3] == b"\0\0\1" and len(head) == 14 and head[7] & 0x80:
            bits = int.from_bytes(head[9:14], "big")
            found.append(((bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | (bits >> 1 & 0x7FFF)) / CLOCK)
    return found
