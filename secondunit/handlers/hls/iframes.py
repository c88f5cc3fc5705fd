"""I-frame playlists (RFC 8216, 4.3.3.6): byte ranges of key frames within the very segments, for scrubbing. Blocking.

Of fragmented MP4 a range is a fragment's header and its first picture, of a transport stream the packets of a picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path

from secondunit.handlers.hls.demux import CLOCK, TURN, fragments, timescale, units
from secondunit.handlers.hls.plan import DENSEST, IFRAMES
from secondunit.handlers.hls.playlists import MediaSegment, Playlist, Unfinished
from secondunit.queue.value import Value


class KeyFrame(Value, frozen=True):
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
    scale = timescale(home / video.name / video.init) if video.init else 0
    for segment in video.segments:
        path = home / video.name / segment.uri
        keys = _fragmented(path, scale) if scale else _transport(path)
        if not keys or keys[0].after:
            raise Unfinished(f"{video.name}/{segment.uri} does not begin with a key frame")
        found += [(begin + key.after, segment.uri, key) for key in _thinned(keys)]
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


def _thinned(keys: Sequence[KeyFrame]) -> Iterator[KeyFrame]:
    """Those of a segment that lie so far apart that a person sees each."""
    before = -float(DENSEST)
    for key in keys:
        if key.after - before >= DENSEST:
            before = key.after
            yield key


def _fragmented(path: Path, scale: int) -> Sequence[KeyFrame]:
    """The key frames with which the fragments of a segment begin."""
    found = [(part, part.begin + part.samples[0].shift) for part in fragments(path)]
    return [
        KeyFrame((shown - found[0][1]) / scale, part.at, part.lead + part.samples[0].size)
        for part, shown in found
        if part.samples[0].key
    ]


def _transport(path: Path) -> Sequence[KeyFrame]:
    """The key frames of a segment that begins with one; its only elementary stream is the video."""
    data = path.read_bytes()
    pictures = list(units(data))
    if not pictures or not pictures[0].key:
        return []
    ends = [picture.at for picture in pictures[1:]] + [len(data)]
    return [
        KeyFrame((picture.shown - pictures[0].shown) % TURN / CLOCK, picture.at, end - picture.at)
        for picture, end in zip(pictures, ends, strict=True)
        if picture.key
    ]
