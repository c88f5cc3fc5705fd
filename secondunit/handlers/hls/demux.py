"""Demuxer of media segments: what fragments and transport packets hold, undecoded. Blocking.

Fragmented MP4: ISO/IEC 14496-12. MPEG transport streams: ISO/IEC 13818-1. Each segment has one track.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from secondunit.handlers.hls.playlists import Unfinished
from secondunit.queue.value import Value

PACKET, SYNC, CLOCK, TURN = 188, 0x47, 90_000, 1 << 33  # the clock's ticks a second, and when it begins anew
UNIT_STARTS = re.compile(rb"[\x40-\x5f]")  # the second byte of a packet in which a payload unit starts
# Of a track fragment's header; of its run of samples; of each sample in that.
HAS_BASE, HAS_DESCRIPTION, HAS_USUAL = 1, 2, (8, 16, 32)  # duration, size, flags
HAS_OFFSET, HAS_FIRST_FLAGS = 1, 4
EACH = DURATION, SIZE, FLAGS, SHIFT = 0x100, 0x200, 0x400, 0x800
NO_KEY = 0x10000


class Box(Value, frozen=True):
    """A box of a file: its kind, its first byte, its size, and what is in it, unless that is media data."""

    kind: bytes
    at: int
    size: int
    content: bytes


class Sample(Value, frozen=True):
    """A sample; how long it is shown, and how much later than decoded, are told in ticks of its track's clock."""

    duration: int
    shift: int
    size: int
    key: bool


class Fragment(Value, frozen=True):
    """A movie fragment: its first byte, how many bytes lie before its samples, and when the first is decoded."""

    at: int
    lead: int
    begin: int
    samples: Sequence[Sample]


class Unit(Value, frozen=True):
    """A PES packet: its first byte, when it is shown by the stream's clock, and whether decoding can begin there."""

    at: int
    shown: int
    key: bool


def boxes(path: Path) -> Iterator[Box]:
    """The boxes of a file; Unfinished where they don't add up to its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at < size:
            file.seek(at)
            head = file.read(16)
            length, kind = struct.unpack(">I4s", head[:8]) if len(head) >= 8 else (0, b"")
            begins = 16 if length == 1 else 8
            length = int.from_bytes(head[8:], "big") if length == 1 else length
            if length < begins or at + length > size:
                raise Unfinished(f"{path.parent.name}/{path.name} is cut off")
            file.seek(at + begins)
            yield Box(kind, at, length, b"" if kind == b"mdat" else file.read(length - begins))
            at += length


def timescale(init: Path) -> int:
    """Ticks a second of the clock of an init segment's track."""
    movies = [box.content for box in boxes(init) if box.kind == b"moov"]
    header = next((header for movie in movies for header in _inside(movie, b"trak", b"mdia", b"mdhd")), None)
    if header is None:
        raise Unfinished("an init segment has no track")
    return _number(header, 20 if header[0] else 12)


def fragments(path: Path) -> Sequence[Fragment]:
    """The fragments of a segment that hold samples; Unfinished for a segment that is cut off."""
    movies = [box for box in boxes(path) if box.kind == b"moof"]
    found = [_fragment(box.at, track) for box in movies for track in _inside(box.content, b"traf")]
    return [fragment for fragment in found if fragment.samples]


def units(packets: bytes) -> Iterator[Unit]:
    """The PES packets with a time that begin in these transport packets."""
    for match in UNIT_STARTS.finditer(packets[1::PACKET]):
        at = match.start() * PACKET
        packet = packets[at : at + PACKET]
        adapted = packet[3] & 0x20
        begins = 4 + (1 + packet[4] if adapted else 0)
        head = packet[begins : begins + 14]
        if head.startswith(b"\0\0\1") and len(head) == 14 and head[7] & 0x80:
            bits = int.from_bytes(head[9:], "big")
            shown = (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | (bits >> 1 & 0x7FFF)
            yield Unit(at, shown, bool(adapted and packet[4] and packet[5] & 0x40))


def _fragment(at: int, track: bytes) -> Fragment:
    header, begin = (next(_inside(track, kind), b"") for kind in (b"tfhd", b"tfdt"))
    runs = list(_inside(track, b"trun"))
    samples = [sample for run in runs for sample in _samples(run, _usual(header))]
    return Fragment(at, _number(runs[0], 8) if runs else 0, int.from_bytes(begin[4:], "big"), samples)


def _usual(header: bytes) -> dict[int, int]:
    """A sample's usual duration, size and flags, by the flags that say that each has its own."""
    told = _number(header, 0)
    at = 8 + (8 if told & HAS_BASE else 0) + (4 if told & HAS_DESCRIPTION else 0)
    usual = {}
    for has, what in zip(HAS_USUAL, EACH, strict=False):
        if told & has:
            usual[what] = _number(header, at)
            at += 4
    return usual


def _samples(run: bytes, usual: dict[int, int]) -> Iterator[Sample]:
    told, count = _number(run, 0), _number(run, 4)
    at = 8 + (4 if told & HAS_OFFSET else 0)
    fields = [what for what in EACH if told & what]
    first = {FLAGS: _number(run, at)} if told & HAS_FIRST_FLAGS else {}
    at += 4 if first else 0
    for _ in range(count):
        sample = usual | {what: _number(run, at + 4 * i) for i, what in enumerate(fields)} | first
        at, first = at + 4 * len(fields), {}
        shift = sample.get(SHIFT, 0)
        # Version 0 has no negative shifts, and no positive one is so large.
        shift -= (shift >> 31) << 32
        yield Sample(sample.get(DURATION, 0), shift, sample.get(SIZE, 0), not sample.get(FLAGS, 0) & NO_KEY)


def _inside(content: bytes, *way: bytes) -> Iterator[bytes]:
    """The contents of all boxes at the end of a way through boxes."""
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if length < 8:
            return
        if kind == way[0]:
            inner = content[at + 8 : at + length]
            yield from _inside(inner, *way[1:]) if len(way) > 1 else (inner,)
        at += length


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
