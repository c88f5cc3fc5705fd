"""Packet counts: what a file really holds of each track, and for how long; containers declare much that is not so."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from secondunit.handlers.tools.media.ffmpeg import MEDIA_FORMATS, Media, failure, limits, url
from secondunit.handlers.tools.media.probe import MediaInfo
from secondunit.handlers.tools.programs.ports import Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext

CHILD = Path(__file__).parent / "packets_child.py"
ENTRIES = "packet=stream_index,pts_time,dts_time,duration_time,flags"
CPU_SECONDS = 3600
# Their clock may begin anew in the middle, where two files were joined or a recorder changed its source.
RESTARTING = ("mpegts", "mpeg", "ogg")
UNDECLARED = ("mpegts", "mpeg")
BREAKS_OFF_UNSEEN = ("flv",)  # between two of its packets
# What demuxers say of a file that ends before its own index or its last box says so.
CUT_OFF = re.compile(r"packet corrupt|ended prematurely|partial file|truncat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TrackPackets:
    """Packets of one track: the first and last timestamps and the latest end, in seconds on the file's clock."""

    packets: int
    first: float
    last: float
    end: float


@dataclass(frozen=True, slots=True)
class Packets:
    """The tracks that have packets, by their index; `cut_off`: the file breaks off."""

    tracks: Mapping[int, TrackPackets]
    cut_off: bool

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
    programs: Programs, python: str, media: Media, source: Source, info: MediaInfo, ctx: JobContext
) -> Packets:
    """Read all packets of `source` once; nothing is decoded. Deterministic: "unreadable"."""
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    argv = [media.ffprobe, "-v", "warning", "-protocol_whitelist", "file", "-format_whitelist", MEDIA_FORMATS]
    argv += ["-show_entries", ENTRIES, "-of", "csv=p=0", "-i", url(source)]
    clock = "restarting" if info.format in RESTARTING else "steady"
    finished = await programs.run(
        [python, "-I", str(CHILD), clock, *argv],
        cwd=ctx.workspace.run,
        limits=limits(CPU_SECONDS, 0),
        on_line=keep,
        pass_fds=(source.fd,),
        beat=ctx.beat,
    )
    if finished.returncode != 0:
        raise failure("ffprobe", finished, source, ctx.attempt)
    found = json.loads("".join(lines))
    tracks = {int(index): TrackPackets(*figures) for index, figures in found.items() if len(figures) > 1}
    return Packets(tracks, info.format in BREAKS_OFF_UNSEEN or CUT_OFF.search(finished.stderr) is not None)


def heard(info: MediaInfo, packets: Packets) -> MediaInfo:
    """The same without a sound track that is empty, and with the duration of the packets where none is declared."""
    silent = info.audio is not None and info.audio.index not in packets.tracks
    info = replace(info, audio=None) if silent else info
    return replace(info, duration=packets.duration or None, estimated=False) if info.format in UNDECLARED else info
