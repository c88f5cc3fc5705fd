"""Frame grabber: pictures out of a video, by ffmpeg, as PPM files."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.media.ffmpeg import Media, failure, limits, no_decoder, url
from secondunit.handlers.tools.media.graphs import (
    TOLD_EXACT,
    Approach,
    Series,
    Shot,
    frame_argv,
    key_frames_argv,
    reading_argv,
    series_argv,
)
from secondunit.handlers.tools.media.probe import MediaInfo, Video
from secondunit.handlers.tools.programs.ports import Finished, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

STATISTICS = ("YAVG", "YMIN", "YMAX")
STATISTIC = re.compile(r"lavfi\.signalstats\.(YAVG|YMIN|YMAX)=([0-9]{1,9}(?:\.[0-9]{1,9})?)")
MOMENT = re.compile(r"^frame:[0-9]+ +pts:(-?[0-9]{1,18}) ")
PLAYED = re.compile(r"^out_time_us=([0-9]{1,18})$")
DARK_AVERAGE, FLAT_RANGE = 24.0, 30.0
LIMIT = timedelta(minutes=10)
CPU_SECONDS, LARGEST_FRAME = 1800, 256 << 20
# A seek in these goes by clock readings: it lands between key frames, and a jump of the clock misleads it.
CLOCKED = ("mpegts", "mpeg")
USUAL_GOP = 3.0  # seconds
FURTHER_BACK = (16.0, 64.0)  # then only key frames are decoded on the way
# After a key frame pictures may still be shown that lean on what was before it: as many as a decoder reorders.
REORDERED, NEAR = 8, 1.2  # frames
SLOWEST, FASTEST, USUAL = 1.0, 120.0, 25.0  # frames a second
APART, MOST_TOGETHER = 5.0, 30  # seconds, moments
GAP, PART = 2.0, 0.05  # seconds, and of the whole


class Frame(Value, frozen=True):
    """A picture that was taken: where it lies, its own time, and how bright it is (limited-range luma, 16 to 235)."""

    path: Path
    at: float
    average: float
    spread: float

    @property
    def black(self) -> bool:
        """Whether there is nothing to be seen."""
        return self.average <= DARK_AVERAGE or self.spread <= FLAT_RANGE


@dataclass(frozen=True, slots=True)
class Camera:
    """Takes pictures of one source; `joined` when its clock jumps, so that it can only be read from the beginning."""

    programs: Programs
    media: Media
    source: Source
    info: MediaInfo
    video: Video
    ctx: JobContext
    joined: bool = False

    async def take(self, shot: Shot) -> Frame | None:
        """What is on the screen at that moment: after the end the last picture, before the beginning the first.

        None when the source has no picture, which ffmpeg does not call an error.
        """
        if shot.at is not None:
            for start in self._starts(shot.at):
                near = self._within(shot.at) - NEAR / self._rate
                looks = await self._look(shot, Approach(start, near))
                if not looks or (start is not None and looks[0].at > near):
                    continue
                if looks[-1].at < near:
                    looks = await self._look(shot, Approach(start, looks[0].at))
                return looks[-1] if looks else None
            if keys := await self._look(shot, Approach(None, 0.0, keys=True)):
                start = keys[-1].at - self._lead - self._blind
                return ((await self._look(shot, Approach(max(start, 0.0), keys[-1].at))) or keys)[-1]
        looks = await self._look(replace(shot, at=None), Approach())
        return looks[-1] if looks else None

    async def take_series(self, shots: Sequence[Shot]) -> Sequence[Frame | None]:
        """The pictures of several moments, in their order; those that lie near one another are decoded in one go."""
        taken: dict[Shot, Frame | None] = {}
        after: Frame | None = None
        for group in reversed(list(together(sorted(set(shots), key=lambda shot: shot.at or 0.0)))):
            found = await self._together(group) if len(group) > 1 and not self.joined else {}
            for shot in reversed(group):
                # What is shown from before this moment until one that comes later is what is shown now.
                stands = after and after.at <= (shot.at or 0.0) + TOLD_EXACT
                after = after if stands else found.get(shot) or await self.take(shot)
                taken[shot] = after
                await self.ctx.progress(max(0.1, 0.8 * len(taken) / len(shots)), f"{len(taken)} pictures")
        return [taken[shot] for shot in shots]

    async def _together(self, shots: Sequence[Shot]) -> Mapping[Shot, Frame]:
        """Of these moments, in order, those whose pictures one decoding gives; the others have to be taken alone."""
        before, found = NEAR / self._rate, {}
        frames = await self._series(shots, before)
        for shot in shots:
            at = (shot.at or 0.0) + TOLD_EXACT
            near = [frame for frame in frames if at - before <= frame.at <= at]
            written = bool(near) and await in_thread(_written, near[-1].path)
            if written:
                found[shot] = near[-1]
        return found

    async def _series(self, shots: Sequence[Shot], before: float) -> Sequence[Frame]:
        """The pictures from the last `before` seconds up to each moment, from a picture at or before the first on.

        Where a seek lands at a key frame, what is shown after that needs nothing before it.
        """
        first = shots[0].at or 0.0
        ways = [(next(iter(self._starts(first))), False, first - before)]
        if not self._blind:
            ways.insert(0, (self._within(first) + TOLD_EXACT, True, first + TOLD_EXACT))
        for start, keyed, latest in ways:
            frames = await self._on_the_way(Series(shots, before, start, keyed))
            if frames and (start is None or frames[0].at <= latest):
                return frames
        return []

    async def _on_the_way(self, series: Series) -> Sequence[Frame]:
        looks, name = Looks(), f"series-{series.shots[0].at or 0.0:.3f}-{'keyed-' * series.keyed}"

        async def note(line: str) -> None:
            looks.hear(line)

        await self._run(series_argv(self.media, url(self.source), self.video, series, f"{name}%d.ppm"), note)
        return looks.frames(lambda number: self.ctx.workspace.run / f"{name}{number}.ppm")

    async def jumps(self, at: float, frame: Frame | None) -> float | None:
        """How long the pictures last in seconds, where the clock jumps on the way: `frame` is not near `at` by far."""
        if self.info.format not in CLOCKED or (frame and abs(frame.at - self._within(at)) <= GAP):
            return None
        played, declared = await self.played(), self.info.duration
        if played and declared and abs(played - declared) <= max(GAP, PART * declared):
            return None
        return played

    async def ends_early(self, at: float, frame: Frame | None) -> float | None:
        """How long the pictures last in seconds, where the file declares far more, as `frame` of then hints."""
        declared = self.info.duration
        if frame is None or declared is None or at - frame.at <= GAP:
            return None
        played = max(await self.played() or 0.0, frame.at + 1 / self._rate)
        return played if declared - played > max(GAP, PART * declared) else None

    async def played(self) -> float | None:
        """How long the pictures last, in seconds, from reading all of them; None when that can't be told."""
        heard = 0

        async def note(line: str) -> None:
            nonlocal heard
            if match := PLAYED.search(line.strip()):
                heard = int(match[1])

        await self._run(reading_argv(self.media, url(self.source), self.video), note)
        return heard / 1e6 or None

    async def take_key_frames(self, size: tuple[int, int], every: float, most: int, duration: float) -> Sequence[Frame]:
        """At most so many key frames, at least `every` seconds apart, with their times.

        There are as many as the source can be decoded for; how long it says it is need not be true.
        """
        folder = self.ctx.workspace.run
        looks = Looks()

        async def note(line: str) -> None:
            if len(looks.found) <= most and looks.hear(line):
                at = looks.found[-1][0]
                await self.ctx.progress(min(max(at, 0.0) / duration, 1.0), f"{len(looks.found)} frames")

        argv = key_frames_argv(self.media, url(self.source), self.video, size, every, most, "key-%d.ppm")
        finished = await self._run(argv, note)
        taken = looks.frames(lambda number: folder / f"key-{number}.ppm")
        taken = [frame for frame in taken if await in_thread(_written, frame.path)]
        if not taken:
            self._judge(finished)
        return taken

    async def _look(self, shot: Shot, approach: Approach) -> Sequence[Frame]:
        """What was looked at on that way, of which the last picture is there."""
        path = self.ctx.workspace.run / f"frame-{'first' if shot.at is None else f'{shot.at:.3f}'}.ppm"
        looks = Looks()

        async def note(line: str) -> None:
            looks.hear(line)

        argv = frame_argv(self.media, url(self.source), self.video, shot, approach, path.name, joined=self.joined)
        finished = await self._run(argv, note)
        taken = looks.frames(lambda number: path)
        written = await in_thread(_written, path)
        if taken and written:
            return taken
        self._judge(finished)
        return []

    async def _run(self, argv: Sequence[str], on_line: Callable[[str], Awaitable[None]]) -> Finished:
        return await self.programs.run(
            argv,
            cwd=self.ctx.workspace.run,
            log=self.ctx.workspace.log,
            limits=limits(CPU_SECONDS, LARGEST_FRAME),
            on_line=on_line,
            beat=self.ctx.beat,
            pass_fds=(self.source.fd,),
            timeout=LIMIT,
        )

    def _starts(self, at: float) -> Iterator[float | None]:
        """Where to begin decoding, nearest first; from the beginning of the file only where that is near."""
        for back in (self._blind, *FURTHER_BACK):
            start = self._within(at) - self._lead - back
            if start <= 0 or self.joined:
                yield None
                return
            yield start

    def _within(self, at: float) -> float:
        declared = self.info.duration
        return at if declared is None or self.joined else min(at, declared)

    @property
    def _rate(self) -> float:
        return min(max(float(self.video.average or self.video.nominal or USUAL), SLOWEST), FASTEST)

    @property
    def _lead(self) -> float:
        return REORDERED / self._rate

    @property
    def _blind(self) -> float:
        return USUAL_GOP if self.info.format in CLOCKED else 0.0

    def _judge(self, finished: Finished) -> None:
        """Raise for an end that gave nothing, unless the source merely has no picture there."""
        if lacking := no_decoder(self.source, finished.stderr):
            raise lacking
        if finished.returncode != 0:
            problem = failure("ffmpeg", finished, self.source, self.ctx.attempt)
            if not (isinstance(problem, Deterministic) and problem.type == "unreadable"):
                raise problem


@dataclass(frozen=True, slots=True)
class Looks:
    """What ffmpeg told of the pictures it looked at: their times in seconds and their statistics, in order."""

    found: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def hear(self, line: str) -> bool:
        """Take note of a line; whether it tells of a picture more."""
        if match := MOMENT.search(line):
            self.found.append((int(match[1]) / 1e6, {}))
            return True
        if self.found and (match := STATISTIC.search(line)):
            self.found[-1][1][match[1]] = float(match[2])
        return False

    def frames(self, path: Callable[[int], Path]) -> list[Frame]:
        """Those of which all was told, in files that `path` gives for their numbers from 1."""
        return [
            Frame(path(number), at, seen["YAVG"], seen["YMAX"] - seen["YMIN"])
            for number, (at, seen) in enumerate(self.found, 1)
            if len(seen) == len(STATISTICS)
        ]


def together(shots: Iterable[Shot]) -> Iterator[list[Shot]]:
    """Groups of moments, in order, that are no further from one another than decoding on is cheaper than a seek."""
    group: list[Shot] = []
    for shot in shots:
        if group and ((shot.at or 0.0) - (group[-1].at or 0.0) > APART or len(group) == MOST_TOGETHER):
            yield group
            group = []
        group.append(shot)
    if group:
        yield group


def _written(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def size(video: Video, width: int) -> tuple[int, int]:
    """The size of a thumbnail at most `width` wide: upright, square pixels, never enlarged, an even height."""
    across, down = video.display
    wide = max(1, min(width, int(across)))
    return wide, max(2, min(2 * round(down * wide / across / 2), 2 * int(down / 2)))
