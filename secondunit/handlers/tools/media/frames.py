"""Frame grabber: pictures out of a video, by ffmpeg, as PPM files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import Media, failure, limits, url
from secondunit.handlers.tools.media.graphs import Shot, frame_argv, key_frames_argv
from secondunit.handlers.tools.media.probe import Video
from secondunit.handlers.tools.programs.ports import Finished, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

STATISTICS = ("YAVG", "YMIN", "YMAX")
STATISTIC = re.compile(r"lavfi\.signalstats\.(YAVG|YMIN|YMAX)=(\d{1,9}(?:\.\d{1,9})?)")
MOMENT = re.compile(r"^frame:\d+ .*pts_time:(\d{1,9}(?:\.\d{1,9})?)")
DARK_AVERAGE, FLAT_RANGE = 24.0, 30.0
LIMIT = timedelta(minutes=10)
CPU_SECONDS, LARGEST_FRAME = 1800, 256 << 20


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that was taken: where it lies, and how bright it is (limited-range luma, 16 to 235)."""

    path: Path
    average: float
    spread: float

    @property
    def black(self) -> bool:
        """Whether there is nothing to be seen."""
        return self.average <= DARK_AVERAGE or self.spread <= FLAT_RANGE


@dataclass(frozen=True, slots=True)
class Camera:
    """Takes pictures of one source."""

    programs: Programs
    media: Media
    source: Source
    video: Video
    ctx: JobContext

    async def take(self, shot: Shot) -> Frame | None:
        """The picture at that moment; None when the source has none there, which ffmpeg does not call an error."""
        path = self.ctx.workspace.run / f"frame-{'first' if shot.at is None else f'{shot.at:.3f}'}.ppm"
        seen: dict[str, float] = {}

        async def note(line: str) -> None:
            if match := STATISTIC.search(line):
                seen[match[1]] = float(match[2])

        finished = await self.programs.run(
            frame_argv(self.media, url(self.source), self.video, shot, path.name),
            cwd=path.parent,
            log=self.ctx.workspace.log,
            limits=limits(CPU_SECONDS, LARGEST_FRAME),
            on_line=note,
            beat=self.ctx.beat,
            pass_fds=(self.source.fd,),
            timeout=LIMIT,
        )
        if "YAVG" in seen and await in_thread(_written, path):
            return Frame(path, seen["YAVG"], seen["YMAX"] - seen["YMIN"])
        self._judge(finished)
        return None

    async def take_key_frames(
        self, size: tuple[int, int], every: float, most: int, duration: float
    ) -> Sequence[tuple[float, Frame]]:
        """At most so many key frames, at least `every` seconds apart, with their times.

        There are as many as the source can be decoded for; how long it says it is need not be true.
        """
        folder = self.ctx.workspace.run
        found: list[tuple[float, dict[str, float]]] = []

        async def note(line: str) -> None:
            if len(found) > most:
                return
            if match := MOMENT.search(line):
                found.append((float(match[1]), {}))
                await self.ctx.progress(min(found[-1][0] / duration, 1.0), f"{len(found)} frames")
            elif found and (match := STATISTIC.search(line)):
                found[-1][1][match[1]] = float(match[2])

        finished = await self.programs.run(
            key_frames_argv(self.media, url(self.source), self.video, size, every, most, "key-%d.ppm"),
            cwd=folder,
            log=self.ctx.workspace.log,
            limits=limits(CPU_SECONDS, LARGEST_FRAME),
            on_line=note,
            beat=self.ctx.beat,
            pass_fds=(self.source.fd,),
            timeout=LIMIT,
        )
        taken = [
            (at, Frame(path, seen["YAVG"], seen["YMAX"] - seen["YMIN"]))
            for number, (at, seen) in enumerate(found, 1)
            if len(seen) == len(STATISTICS) and await in_thread(_written, path := folder / f"key-{number}.ppm")
        ]
        if not taken:
            self._judge(finished)
        return taken

    def _judge(self, finished: Finished) -> None:
        """Raise for a failed end, unless the source merely has no picture there."""
        if finished.returncode != 0:
            problem = failure("ffmpeg", finished, self.source, self.ctx.attempt)
            if not (isinstance(problem, Deterministic) and problem.type == "unreadable"):
                raise problem


def _written(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def size(video: Video, width: int) -> tuple[int, int]:
    """The size of a thumbnail at most `width` wide: upright, square pixels, never enlarged, an even height."""
    across, down = video.display
    wide = max(1, min(width, int(across)))
    return wide, max(2, min(2 * round(down * wide / across / 2), 2 * int(down / 2)))
