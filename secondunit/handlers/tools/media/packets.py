"""Packet counts: what a file really holds of each track, and for how long; containers declare much that is not so."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media, failure, limits, url
from secondunit.handlers.tools.media.graphs import units_argv
from secondunit.handlers.tools.media.probe import MediaInfo
from secondunit.handlers.tools.media.transport import beyond, last_shown
from secondunit.handlers.tools.programs.ports import Profile, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.value import Value

CHILD = Path(__file__).parent / "packets_child.py"
ENTRIES = "packet=stream_index,pts_time,dts_time,duration_time,size,flags:packet_side_data=side_data_type"
CPU_SECONDS = 3600
# Their clock may begin anew in the middle, where two files were joined or a recorder changed its source.
RESTARTING = ("mpegts", "mpeg", "ogg")
UNDECLARED = ("mpegts", "mpeg")
BREAKS_OFF_UNSEEN = ("flv",)  # between two of its packets
# What demuxers say of a file that ends before its own index or its last box says so.
CUT_OFF = re.compile(r"packet corrupt|ended prematurely|partial file|truncat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TrackPackets:
    """Packets of one track: the first and last timestamps and the latest end, in seconds on the file's clock.

    `gap` is the longest time without a packet that holds something, `back` how far the clock goes back at most.
    `key` is when the first key frame is shown, if there is one. `clock` is the last packet's time as the file has it,
    and `unread` how much later is the last one that a transport stream has of this track.
    """

    packets: int
    first: float
    last: float
    end: float
    gap: float = 0.0
    back: float = 0.0
    key: float | None = None
    clock: float | None = None
    unread: float = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How the packets of one track follow one another, as `packets_child.py` has it; times are the file's own."""

    first: float | None
    last: float | None
    least_step: float | None
    largest_step: float
    reordered: bool
    odd: int
    left_out: int
    key_first: bool
    largest_group: float
    peak: float


class Units(Value, frozen=True):
    """NAL units of an H.264 track: pictures with slices, whether each key frame is an IDR picture, parameter sets."""

    pictures: int
    keys_are_idr: bool
    parameter_sets: int


class Closely(Value, frozen=True):
    """Tracks whose pace is wanted, in segments of so many seconds, and the H.264 track whose units are."""

    tracks: tuple[int, ...] = ()
    units: int | None = None
    segment: int = 6


@dataclass(frozen=True, slots=True)
class Packets:
    """The tracks that have packets, by their index; `cut_off`: the file breaks off; more of those wanted closely.

    `pauses`: from and to when neither picture nor sound has a packet, though both go on.
    """

    tracks: Mapping[int, TrackPackets]
    cut_off: bool
    paces: Mapping[int, Pace] = field(default_factory=dict)
    units: Units | None = None
    pauses: Sequence[tuple[float, float]] = ()

    @property
    def first(self) -> float:
        """When the earliest track begins."""
        return min((track.first for track in self.tracks.values()), default=0.0)

    @property
    def duration(self) -> float:
        """Seconds from the first moment of any track to the last."""
        return self.until(self.tracks)

    def until(self, indexes: Iterable[int]) -> float:
        """Seconds from the first moment of any track to the last of these."""
        return max((self.tracks[index].end for index in indexes if index in self.tracks), default=0.0) - self.first


async def count_packets(
    programs: Programs,
    python: str,
    media: Media,
    source: Source,
    info: MediaInfo,
    ctx: JobContext,
    closely: Closely,
) -> Packets:
    """Read all packets of `source` once, or twice for units; nothing is decoded. Deterministic: "unreadable"."""
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    argv = [media.ffprobe, "-v", "warning", "-protocol_whitelist", "file", "-format_whitelist", MEDIA_FORMATS]
    argv += ["-show_entries", ENTRIES, "-of", "csv=p=0", "-i", url(source)]
    told = {"probe": argv, "restarting": info.format in RESTARTING, "closely": closely.tracks}
    played = [track for track in (info.video, info.audio) if track]
    told |= {"segment": closely.segment, "played": [track.index for track in played]}
    told |= {"units": None if closely.units is None else units_argv(media, url(source), closely.units)}
    finished = await programs.run(
        [python, "-I", str(CHILD), json.dumps(told)],
        cwd=ctx.workspace.run,
        limits=limits(CPU_SECONDS, 0),
        profile=Profile("python", runs=[Path(media.ffmpeg), Path(media.ffprobe)]),
        on_line=keep,
        pass_fds=(source.fd,),
        beat=ctx.beat,
    )
    if finished.returncode != 0:
        raise failure("ffprobe", finished, source, ctx.attempt)
    cut_off = info.format in BREAKS_OFF_UNSEEN or CUT_OFF.search(finished.stderr) is not None
    cut_off |= info.format == "avi" and await in_thread(_riff_size, source.fd) > source.size
    packets = packets_of("".join(lines), cut_off=cut_off)
    if info.format != "mpegts":
        return packets
    pids = {track.index: track.pid for track in played if track.pid}
    return with_unread(packets, pids, await in_thread(last_shown, source.fd, pids.values()))


def with_unread(packets: Packets, pids: Mapping[int, int], shown: Mapping[int, float]) -> Packets:
    """The same with what a transport stream itself has last of these tracks, by their index and then by its number."""
    tracks = dict(packets.tracks)
    for index, pid in pids.items():
        track = tracks.get(index)
        if track and track.clock is not None and pid in shown:
            tracks[index] = replace(track, unread=beyond(shown[pid], track.clock))
    return replace(packets, tracks=tracks)


def _riff_size(fd: int) -> int:
    """What a RIFF file says itself that it has in bytes; 0 where it was never brought to its end."""
    head = os.pread(fd, 8, 0)
    length = int.from_bytes(head[4:], "little")
    return length + len(head) if head.startswith(b"RIFF") and length else 0


def packets_of(report: str, *, cut_off: bool) -> Packets:
    """The child's report."""
    found = json.loads(report)
    timed = {index: figures for index, figures in found["tracks"].items() if len(figures) > 1}
    tracks = {int(index): TrackPackets(*figures, *found["steps"][index]) for index, figures in timed.items()}
    paces = {int(index): Pace(**pace) for index, pace in found["pace"].items()}
    units = Units(**found["units"]) if found["units"] else None
    return Packets(tracks, cut_off, paces, units, [(begin, end) for begin, end in found["pauses"]])


def heard(info: MediaInfo, packets: Packets) -> MediaInfo:
    """The same with what can be seen and heard, and with the duration of the packets where none is declared.

    That is the first video track of more than one picture, if there is one, and the first sound track with packets.
    """
    audios = [track for track in (info.audio, *info.audios) if track and track.index in packets.tracks]
    moving = [
        track for track in info.videos if track.index in packets.tracks and packets.tracks[track.index].packets > 1
    ]
    info = replace(info, audio=next(iter(audios), None), video=next(iter(moving), info.video))
    return replace(info, duration=packets.duration or None, estimated=False) if info.format in UNDECLARED else info
