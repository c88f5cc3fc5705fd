"""Packet counter, a program of its own: reads what ffprobe prints of each packet, and tells what each track holds.

Called with "steady" or "restarting" (the format's clock may begin anew inside the file), and ffprobe's argv. Answers
with JSON: for each stream's index the number of its packets, and the seconds of its first, last and latest end.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# As ffmpeg judges (its dts_delta_threshold): a longer step, or one back, is another clock and no gap.
LONGEST_STEP, LONGEST_STEP_BACK = 10.0, 0.1


@dataclass(slots=True)
class SeenTrack:
    """What was seen of a track; `now` and `next` are on the clock of decoding."""

    packets: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    end: float = float("-inf")
    now: float | None = None
    next: float | None = None


class Counter:
    """Tracks by their index; steps of a restarting clock are bridged for all tracks of the file at once."""

    def __init__(self, *, restarting: bool) -> None:
        self.tracks: dict[str, SeenTrack] = {}
        self._restarting = restarting
        self._offset = 0.0
        self._latest: float | None = None

    def add(self, index: str, shown: float | None, decoded: float | None, duration: float) -> None:
        """Count a packet; its times are seconds, where it has any."""
        track = self.tracks.setdefault(index, SeenTrack())
        track.packets += 1
        moment = shown if decoded is None else decoded
        if moment is None:
            return
        if self._restarting:
            self._bridge(track, moment)
        track.now = self._latest = moment + self._offset
        track.next = track.now + duration
        at = (moment if shown is None else shown) + self._offset
        track.first, track.last = min(track.first, at), max(track.last, at)
        track.end = max(track.end, at + duration)

    def _bridge(self, track: SeenTrack, moment: float) -> None:
        now = moment + self._offset
        if track.now is None or track.next is None:
            known, least = self._latest, LONGEST_STEP
        else:
            known, least = track.next, LONGEST_STEP_BACK + track.next - track.now
        if known is not None and not known - least <= now <= known + LONGEST_STEP:
            self._offset += known - now


def count(lines: Iterable[str], *, restarting: bool) -> Mapping[str, object]:
    """From lines of stream_index, pts_time, dts_time, duration_time and flags; what is not to be shown is left out."""
    counter = Counter(restarting=restarting)
    for line in lines:
        fields = line.rstrip("\n").split(",")
        if len(fields) >= 5 and fields[0].isdigit() and "D" not in fields[4]:
            counter.add(fields[0], _seconds(fields[1]), _seconds(fields[2]), _seconds(fields[3]) or 0.0)
    return {
        index: [track.packets, track.first, track.last, track.end] if track.now is not None else [track.packets]
        for index, track in counter.tracks.items()
    }


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def main() -> int:
    """Count; ffprobe's own exit code."""
    with subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, text=True, close_fds=False) as ffprobe:
        if ffprobe.stdout is None:
            return 1
        answer = count(ffprobe.stdout, restarting=sys.argv[1] == "restarting")
    sys.stdout.write(json.dumps(answer) + "\n")
    return ffprobe.returncode


if __name__ == "__main__":
    sys.exit(main())
