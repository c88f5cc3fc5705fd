"""Encoding pipeline: one ffmpeg for pictures, and behind a pipe another for the sound (`encode.py` says why)."""

import os
import re
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from secondunit.handlers.hls.encode import SOUND_LATER, hls_argv, sound_argv
from secondunit.handlers.hls.plan import HlsPlan
from secondunit.handlers.tools.media.ffmpeg import Media, failure, no_decoder, url
from secondunit.handlers.tools.programs import failures
from secondunit.handlers.tools.programs.ports import Finished, Limits, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

READER_GONE, NOTHING = "Broken pipe", "Invalid data found"  # in the pipe
# Not h264_metadata, which writes the tags: it complains of what the profile High has behind its parameter sets.
DAMAGE = re.compile(r"^\[(?:h264(?!_metadata)|aac)[a-z0-9_]* @ .*|Error (?:while decoding|submitting packet).*")
MOMENT = re.compile(r"(?:\[[^\]]{1,60}\] )?(-?[0-9]{1,12}\.[0-9]{6})")
MOST_MOMENTS = 20_000
FIRST_SOUND = SOUND_LATER - 1
Gap = tuple[float, float]
OnLine = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the programs say that they encoded: pictures of the largest rendition, and microseconds of sound.

    `damage` is the first thing that the decoders found odd in the source, if any; `blank` and `silent` are seconds
    from and to which they gave nothing; from -1 up to the first that came of each format.
    """

    frames: int
    sound: int
    damage: str = ""
    blank: Sequence[Gap] = ()
    silent: Sequence[Gap] = ()


@dataclass(slots=True)
class Tally:
    """Keeps the last figure of a key in ffmpeg's progress."""

    key: str
    pass_on: OnLine | None = None
    figure: int = 0

    async def hear(self, line: str) -> None:
        """One line of progress, which is passed on."""
        key, _, value = line.strip().partition("=")
        if key == self.key and value.strip().isdecimal():
            self.figure = int(value)
        if self.pass_on:
            await self.pass_on(line)


@dataclass(slots=True)
class Remarks:
    """Keeps what ffmpeg says on stderr of what it decodes, however much else it says: the first damage, moments."""

    damage: str = ""
    moments: list[float] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """One line."""
        if match := MOMENT.fullmatch(line):
            if len(self.moments) < MOST_MOMENTS:
                self.moments.append(float(match[1]))
        elif not self.damage and (match := DAMAGE.search(line)):
            self.damage = match[0]

    def gaps(self) -> tuple[Sequence[Gap], Sequence[Gap]]:
        """Of pictures and of sound that the decoders did not give."""
        sound = [at - SOUND_LATER for at in self.moments if at >= FIRST_SOUND]
        return _pairs(at for at in self.moments if at < FIRST_SOUND), _pairs(sound)


class Pipeline(Value, frozen=True):
    """Encodes one source into a folder, reached by `fds`; each of its programs may have what `limits` say."""

    programs: Programs
    ctx: JobContext
    media: Media
    source: Source
    folder: Path
    fds: Sequence[int]
    limits: Limits

    async def encode(self, plan: HlsPlan, progress: OnLine) -> Encoded:
        """Write all playlists and segments of the plan; raises what a program's end means for the job."""
        frames, heard, remarks = Tally("frame", progress), Tally("out_time_us"), Remarks()
        if plan.audio is None or plan.copied.sound:
            pictures = await self._run(hls_argv(self.media, url(self.source), plan, None), frames.hear, remarks)
            sound = Finished(0, "")
        else:
            pictures, sound = await self._both(plan, frames.hear, heard.hear, remarks)
        _, silent = remarks.gaps()
        if pictures.returncode == 0 and sound.returncode > 0 and NOTHING in sound.stderr and not silent:
            message = f"the sound track of {self.source.name} has packets, but none of them could be decoded"
            raise Deterministic(message, type="input_truncated")
        # One ends for want of the other: that one is not to blame.
        if sound.returncode != 0 and (pictures.returncode == 0 or READER_GONE in pictures.stderr):
            raise failures.failure(f"ffmpeg on the sound of {self.source.name}", sound, self.ctx.attempt)
        if pictures.returncode != 0:
            raise failure("ffmpeg", pictures, self.source, self.ctx.attempt)
        if frames.figure == 0 and (lacking := no_decoder(self.source, pictures.stderr)):
            raise lacking
        return Encoded(frames.figure, heard.figure, remarks.damage, *remarks.gaps())

    async def _both(
        self, plan: HlsPlan, on_frames: OnLine, on_sound: OnLine, remarks: Remarks
    ) -> tuple[Finished, Finished]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with FileIO(reader, "rb") as out, FileIO(writer, "wb") as into:
            async with TaskGroup() as group:
                argv = hls_argv(self.media, url(self.source), plan, writer)
                pictures = group.create_task(self._run(argv, on_frames, remarks, into))
                argv = sound_argv(self.media, reader, plan)
                sound = group.create_task(self._run(argv, on_sound, Remarks(), out))
        return pictures.result(), sound.result()

    async def _run(self, argv: Sequence[str], on_line: OnLine, remarks: Remarks, end: FileIO | None = None) -> Finished:
        """Run ffmpeg with its end of the pipe, which is then closed here, too: the other one sees that it is gone."""
        try:
            return await self.programs.run(
                argv,
                cwd=self.folder,
                log=self.ctx.workspace.log,
                limits=self.limits,
                on_line=on_line,
                on_error=remarks.hear,
                pass_fds=(self.source.fd, *self.fds, *((end.fileno(),) if end else ())),
                beat=self.ctx.beat,
            )
        finally:
            if end:
                end.close()


def _pairs(moments: Iterable[float]) -> Sequence[Gap]:
    either = iter(moments)
    return list(zip(either, either, strict=False))
