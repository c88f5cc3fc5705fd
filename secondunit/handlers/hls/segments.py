"""Media segments as they lie on the disk: whole or cut off, and for how long their packets last."""

from pathlib import Path

from secondunit.handlers.hls.demux import CLOCK, PACKET, SYNC, fragments, timescale, units
from secondunit.handlers.hls.playlists import Playlist, Unfinished
from secondunit.queue.value import Value

WINDOW = 400 * PACKET  # of a transport stream's end, or more where no packet begins in it
SLACK = 0.5


class Span(Value, frozen=True):
    """Seconds that packets last: from the first timestamp to the last one, and to the end of what that one shows."""

    first: float
    last: float
    end: float


def span(home: Path, playlist: Playlist, frame: float) -> Span:
    """The whole playlist's; Unfinished where a segment is cut off, or lasts for less than the playlist says.

    `frame` is how many seconds one packet may show at most.
    """
    scale = timescale(home / playlist.name / playlist.init) if playlist.init else 0
    spans = []
    for segment in playlist.segments:
        path = home / playlist.name / segment.uri
        found = _fragmented(path, scale) if scale else _transport(path)
        if found is None or found.end - found.first < segment.duration - SLACK - frame:
            why = f"{playlist.name}/{segment.uri} holds less than its {segment.duration:.1f} s"
            raise Unfinished(why, nothing=found is None and playlist.duration == 0)
        spans.append(found)
    whole = Span(spans[0].first, spans[-1].last, spans[-1].end)
    if abs(whole.end - whole.first - playlist.duration) > SLACK + frame:
        raise Unfinished(f"{playlist.name} lasts {whole.end - whole.first:.1f} s, not {playlist.duration:.1f}")
    return whole


def _fragmented(path: Path, scale: int) -> Span | None:
    found = fragments(path)
    if not found:
        return None
    durations = [sample.duration for sample in found[-1].samples]
    end = found[-1].begin + sum(durations)
    return Span(found[0].begin / scale, (end - durations[-1]) / scale, end / scale)


def _transport(path: Path) -> Span | None:
    """Of a transport stream with one track; how long its last packet is shown is not said there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size % PACKET or file.read(1)[0] != SYNC:
            raise Unfinished(f"{path.parent.name}/{path.name} is cut off")
        window = WINDOW
        while True:
            file.seek(0)
            starts = [unit.shown / CLOCK for unit in units(file.read(window))]
            file.seek(max(0, size - window))
            ends = [unit.shown / CLOCK for unit in units(file.read())]
            if (starts and ends) or window >= size:
                break
            window *= 8
    return Span(min(starts), max(ends), max(ends)) if starts and ends else None
