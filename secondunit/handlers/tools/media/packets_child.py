"""Packet counter, a program of its own: reads what ffprobe prints of each packet, and tells what each track holds.

Its argument is JSON: `probe`, ffprobe's argv; `restarting`, whether the format's clock may begin anew inside the file;
`played`, the indexes of the picture's and the sound's track; `closely`, those of tracks that are looked at closely;
`segment`, the seconds of a media segment; and `units`, ffmpeg's argv for the framecrc lines of the first of them as
`units` reads them, or null. Answers with JSON: `tracks`, for each stream's index the number of its packets, and the
seconds of its first, last and latest end; `steps`, the longest one forward between two that hold something, the longest
one back, when the first key frame is shown, or null, and the last one's time as the file has it; `pauses`, from and to
when neither track that is played has a packet, though both go on; `pace`; `units`.
"""

import heapq
import json
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

# As ffmpeg judges (its dts_delta_threshold): a longer step, or one back, is another clock and no gap.
LONGEST_STEP, LONGEST_STEP_BACK = 10.0, 0.1
REORDERED = 32  # pictures; H.264 has at most 16 frames, of two fields, between the order of decoding and of showing
IDRS, SETS, SLICES = range(3)
LEAST = 8  # bytes; smaller packets say that the picture stays as it is
LONG_PAUSE, MOST_PAUSES = 1.0, 50  # seconds


@dataclass(slots=True)
class SeenTrack:
    """What was seen of a track; `now` and `next` are on the clock of decoding."""

    packets: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    end: float = float("-inf")
    now: float | None = None
    next: float | None = None
    full: float | None = None
    gap: float = 0.0
    back: float = 0.0
    key: float | None = None
    clock: float | None = None


@dataclass(slots=True)
class Pauses:
    """Finds when none of the tracks that are played together has a packet; `found` is of pauses that all outlast."""

    played: Collection[str]
    found: list[tuple[float, float]] = field(default_factory=list)
    until: dict[str, float] = field(default_factory=dict)
    waiting: list[tuple[float, float, set[str]]] = field(default_factory=list)

    def add(self, index: str, now: float, duration: float) -> None:
        """One more packet, in the order of the file and on the clock of decoding."""
        if index not in self.played or len(self.played) < 2:
            return
        both = len(self.until) == len(self.played)
        until = max(self.until.values(), default=now)
        if both and now > until + LONG_PAUSE and len(self.found) + len(self.waiting) < MOST_PAUSES:
            self.waiting.append((until, now, set(self.played)))
        for begin, end, missing in self.waiting:
            if now > begin + LONG_PAUSE:
                missing.discard(index)
            if not missing:
                self.found.append((begin, end))
        self.waiting = [pause for pause in self.waiting if pause[2]]
        self.until[index] = max(self.until.get(index, now), now + duration)


class Counter:
    """Tracks by their index; steps of a restarting clock are bridged for all tracks of the file at once."""

    def __init__(self, *, restarting: bool, played: Collection[int] = ()) -> None:
        self.tracks: dict[str, SeenTrack] = {}
        self.paused = Pauses({str(index) for index in played})
        self._restarting = restarting
        self._offset = 0.0
        self._latest: float | None = None

    def add(
        self, index: str, shown: float | None, decoded: float | None, duration: float, size: int, *, key: bool
    ) -> None:
        """Count a packet of so many bytes; its times are seconds, where it has any."""
        track = self.tracks.setdefault(index, SeenTrack())
        track.packets += 1
        moment = shown if decoded is None else decoded
        if moment is None:
            return
        if self._restarting:
            self._bridge(track, moment)
        now = moment + self._offset
        track.back = max(track.back, 0.0 if track.now is None else track.now - now)
        if size >= LEAST:
            track.gap = max(track.gap, 0.0 if track.full is None else now - track.full)
            track.full = now
        track.now, track.clock = now, moment if shown is None else shown
        self._latest = now
        track.next = track.now + duration
        at = (moment if shown is None else shown) + self._offset
        track.first, track.last = min(track.first, at), max(track.last, at)
        track.end = max(track.end, at + duration)
        if key and track.key is None:
            track.key = at

        self.paused.add(index, now, duration)

    def _bridge(self, track: SeenTrack, moment: float) -> None:
        now = moment + self._offset
        if track.now is None or track.next is None:
            known, least = self._latest, LONGEST_STEP
        else:
            known, least = track.next, LONGEST_STEP_BACK + track.next - track.now
        if known is not None and not known - least <= now <= known + LONGEST_STEP:
            self._offset += known - now


@dataclass(slots=True)
class SeenPace:
    """How a track's packets follow one another, by the file's own clock, in the order of showing and in seconds.

    `odd` are packets that have no time, are left out by an edit list after the first that is shown, or bring other
    parameters; `left_out` are all that an edit list leaves out. `largest_group` lies between key frames, `peak` is the
    most bits a second of the segments that would be cut at them.
    """

    first: float | None = None
    last: float | None = None
    least_step: float | None = None
    largest_step: float = 0.0
    reordered: bool = False
    odd: int = 0
    left_out: int = 0
    key_first: bool = False
    largest_group: float = 0.0
    peak: float = 0.0


@dataclass(slots=True)
class Pacer:
    """Finds the pace of one track."""

    segment: float
    pace: SeenPace = field(default_factory=SeenPace)
    waiting: list[float] = field(default_factory=list)
    start: float | None = None
    group: float = 0.0
    begun: float = 0.0
    cut: int = 0
    bytes: int = 0

    def add(self, shown: float | None, decoded: float | None, size: int, flags: str, beside: str) -> None:
        """One more packet, in the order of decoding."""
        pace = self.pace
        if "D" in flags:
            pace.left_out += 1
            pace.odd += self.start is not None
            return
        if shown is None or beside == "New Extradata":
            pace.odd += 1
            return
        pace.reordered |= decoded is not None and decoded != shown
        self._cut(shown, key="K" in flags)
        self.bytes += size
        heapq.heappush(self.waiting, shown)
        if len(self.waiting) > REORDERED:
            self._show(heapq.heappop(self.waiting))

    def end(self) -> SeenPace:
        """No more come; a last segment that is short says little of a rate."""
        while self.waiting:
            self._show(heapq.heappop(self.waiting))
        if self.pace.last is not None:
            self._grouped(self.pace.last)
            self._rated(max(self.pace.last - self.begun, self.segment))
        return self.pace

    def _cut(self, at: float, *, key: bool) -> None:
        if self.start is None:
            self.start = self.group = self.begun = at
            self.pace.key_first = key
        elif key:
            self._grouped(at)
            if at - self.start >= self.segment * (self.cut + 1):
                self._rated(at - self.begun)
                self.begun, self.bytes, self.cut = at, 0, self.cut + 1

    def _grouped(self, at: float) -> None:
        self.pace.largest_group = max(self.pace.largest_group, at - self.group)
        self.group = at

    def _rated(self, seconds: float) -> None:
        if seconds > 0:
            self.pace.peak = max(self.pace.peak, 8 * self.bytes / seconds)

    def _show(self, at: float) -> None:
        pace = self.pace
        if pace.last is None:
            pace.first = at
        else:
            step = at - pace.last
            pace.least_step = step if pace.least_step is None else min(pace.least_step, step)
            pace.largest_step = max(pace.largest_step, step)
        pace.last = at


def count(
    lines: Iterable[str],
    *,
    restarting: bool,
    played: Collection[int] = (),
    closely: Collection[int] = (),
    segment: float = 6,
) -> Mapping[str, Any]:
    """From lines of stream_index, pts_time, dts_time, duration_time, size, flags and side data.

    What is not to be shown counts for nothing.
    """
    counter = Counter(restarting=restarting, played=played)
    pacers = {str(index): Pacer(segment) for index in closely}
    for line in lines:
        fields = line.rstrip("\n").split(",")
        if len(fields) < 6 or not fields[0].isdigit():
            continue
        shown, decoded = _seconds(fields[1]), _seconds(fields[2])
        if "D" not in fields[5]:
            counter.add(fields[0], shown, decoded, _seconds(fields[3]) or 0.0, int(fields[4]), key="K" in fields[5])
        if pacer := pacers.get(fields[0]):
            pacer.add(shown, decoded, int(fields[4]), fields[5], fields[6] if len(fields) > 6 else "")
    tracks = {
        index: [track.packets, track.first, track.last, track.end] if track.now is not None else [track.packets]
        for index, track in counter.tracks.items()
    }
    steps = {index: [track.gap, track.back, track.key, track.clock] for index, track in counter.tracks.items()}
    pace = {index: asdict(pacer.end()) for index, pacer in pacers.items()}
    return {"tracks": tracks, "steps": steps, "pauses": counter.paused.found, "pace": pace}


def units(lines: Iterable[str]) -> Mapping[str, object]:
    """From framecrc lines of one video track three times: its IDR pictures, its parameter sets, all its slices.

    Each is a packet by the kinds of NAL units (H.264, table 7-1) that were left in it: 5, 7 and 8, 1 to 5.
    """
    bases: dict[int, Fraction] = {}
    idrs, keys, sets = set(), set(), set()
    pictures = 0
    for line in lines:
        if line.startswith("#tb "):
            stream, _, base = line.removeprefix("#tb ").partition(":")
            bases[int(stream)] = Fraction(base.strip())
        elif not line.startswith("#"):
            number, _, pts, _, _, digest, *more = (word.strip() for word in line.split(","))
            if int(number) == IDRS:
                idrs.add(int(pts) * bases[IDRS])
            elif int(number) == SETS:
                sets.add(digest)
            else:
                pictures += 1
                if not any(word.startswith("F=") for word in more):
                    keys.add(int(pts) * bases[SLICES])
    return {"pictures": pictures, "keys_are_idr": bool(keys) and keys == idrs, "parameter_sets": len(sets)}


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read(argv: list[str], fold: Callable[[Iterable[str]], Mapping[str, Any]]) -> tuple[int, Mapping[str, Any]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, close_fds=False) as program:
        answer = fold(program.stdout or ())
    return program.returncode, answer


def _promising(paces: Mapping[str, Any], segment: float) -> bool:
    """Whether the first of the tracks that were looked at can be cut into such segments, whatever its units are."""
    pace = next(iter(paces.values()))
    return pace["key_first"] and pace["largest_group"] <= segment and not pace["odd"] and not pace["left_out"]


def main() -> int:
    """Count; ffprobe's own exit code. Units that can't be told are null."""
    told = json.loads(sys.argv[1])
    how = {key: told[key] for key in ("restarting", "played", "closely", "segment")}
    code, answer = _read(told["probe"], partial(count, **how))
    found = None
    if code == 0 and told["units"] and _promising(answer["pace"], told["segment"]):
        failed, said = _read(told["units"], units)
        found = None if failed else said
    sys.stdout.write(json.dumps({**answer, "units": found}) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
