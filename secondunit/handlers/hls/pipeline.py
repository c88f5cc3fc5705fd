"""Encoding pipeline: one ffmpeg for pictures, and behind a pipe another for the sound (`encode.py` says why)."""

import os
import re
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from secondunit.handlers.hls.encode import SOUND_LATER, hls_argv, sound_argv
from secondunit.handlers.hls.plan import HlsPlan
from secondunit.handlers.tools.media.ffmpeg import Media, failure, no_decoder, url
from secondunit.handlers.tools.programs import failures
from secondunit.handlers.tools.programs.ports import Finished, Limits, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext
from secondunit.queue.value import Value

READER_GONE = "Broken pipe"
# Not h264_metadata, which writes the tags: it complains of what the profile High has behind its parameter sets.
DAMAGE = re.compile(
    r"^\[(?:h264(?!_metadata)|aac)[a-z0-9_]* @ [^\n]*|Error (?:while decoding|submitting packet)[^\n]*", re.MULTILINE
)
MOMENT = re.compile(r"^(?:\[[^\]\n]{1,60}\] )?(-?[0-9]{1,12}\.[0-9]{6})$", re.MULTILINE)
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
        frames, heard = Tally("frame", progress), Tally("out_time_us")
        if plan.audio is None or plan.copied.sound:
            pictures = await self._run(hls_argv(self.media, url(self.source), plan, None), frames.hear)
            sound = Finished(0, "")
        else:
            pictures, sound = await self._both(plan, frames.hear, heard.hear)
        # One ends for want of the other: that one is not to blame.
        if sound.returncode != 0 and (pictures.returncode == 0 or READER_GONE in pictures.stderr):
            raise failures.failure(f"ffmpeg on the sound of {self.source.name}", sound, self.ctx.attempt)
        if pictures.returncode != 0:
            raise failure("ffmpeg", pictures, self.source, self.ctx.attempt)
        if frames.figure == 0 and (lacking := no_decoder(self.source, pictures.stderr)):
            raise lacking
        damage = DAMAGE.search(pictures.stderr)
        return Encoded(frames.figure, heard.figure, damage[0] if damage else "", *_gaps(pictures.stderr))

    async def _both(self, plan: HlsPlan, on_frames: OnLine, on_sound: OnLine) -> tuple[Finished, Finished]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with FileIO(reader, "rb") as out, FileIO(writer, "wb") as into:
            async with TaskGroup() as group:
                argv = hls_argv(self.media, url(self.source), plan, writer)
                pictures = group.create_task(self._run(argv, on_frames, into))
                argv = sound_argv(self.media, reader, plan)
                sound = group.create_task(self._run(argv, on_sound, out))
        return pictures.result(), sound.result()

    async def _run(self, argv: Sequence[str], on_line: OnLine, end: FileIO | None = None) -> Finished:
        """Run ffmpeg with its end of the pipe, which is then closed here, too: the other one sees that it is gone."""
        try:
            return await self.programs.run(
                argv,
                cwd=self.folder,
                log=self.ctx.workspace.log,
                limits=self.limits,
                on_line=on_line,
                pass_fds=(self.source.fd, *self.fds, *((end.fileno(),) if end else ())),
                beat=self.ctx.beat,
            )
        finally:
            if end:
                end.close()


def _gaps(stderr: str) -> tuple[Sequence[Gap], Sequence[Gap]]:
    """What was told of pictures and of sound that the decoders did not give."""
    told = [float(moment) for moment in MOMENT.findall(stderr)]
    return _pairs(at for at in told if at < FIRST_SOUND), _pairs(at - SOUND_LATER for at in told if at >= FIRST_SOUND)


def _pairs(moments: Iterable[float]) -> Sequence[Gap]:
    either = iter(moments)
    return list(zip(either, either, strict=False))
