"""Encoding pipeline: one ffmpeg for pictures, and behind a pipe another for the sound (`encode.py` says why)."""

import os
from asyncio import TaskGroup
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from secondunit.handlers.hls.encode import hls_argv, sound_argv
from secondunit.handlers.hls.plan import HlsPlan
from secondunit.handlers.tools.media.ffmpeg import Media, failure, url
from secondunit.handlers.tools.programs import failures
from secondunit.handlers.tools.programs.ports import Finished, Limits, Programs
from secondunit.handlers.tools.storage.ports import Source
from secondunit.queue.handler import JobContext

READER_GONE = "Broken pipe"
OnLine = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Encodes one source into a folder; each of its programs may have what `limits` say."""

    programs: Programs
    ctx: JobContext
    media: Media
    source: Source
    folder: Path
    limits: Limits

    async def encode(self, plan: HlsPlan, progress: OnLine) -> None:
        """Write all playlists and segments of the plan; raises what a program's end means for the job."""
        if plan.audio is None:
            pictures = await self._run(hls_argv(self.media, url(self.source), plan, None), progress)
            sound = Finished(0, "")
        else:
            pictures, sound = await self._both(plan, progress)
        # One ends for want of the other: that one is not to blame.
        if sound.returncode != 0 and (pictures.returncode == 0 or READER_GONE in pictures.stderr):
            raise failures.failure(f"ffmpeg on the sound of {self.source.name}", sound, self.ctx.attempt)
        if pictures.returncode != 0:
            raise failure("ffmpeg", pictures, self.source, self.ctx.attempt)

    async def _both(self, plan: HlsPlan, progress: OnLine) -> tuple[Finished, Finished]:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with FileIO(reader, "rb") as out, FileIO(writer, "wb") as into:
            async with TaskGroup() as group:
                pictures = group.create_task(
                    self._run(hls_argv(self.media, url(self.source), plan, writer), progress, into)
                )
                sound = group.create_task(self._run(sound_argv(self.media, reader, plan), None, out))
        return pictures.result(), sound.result()

    async def _run(self, argv: Sequence[str], on_line: OnLine | None, end: FileIO | None = None) -> Finished:
        """Run ffmpeg with its end of the pipe, which is then closed here, too: the other one sees that it is gone."""
        try:
            return await self.programs.run(
                argv,
                cwd=self.folder,
                log=self.ctx.workspace.log,
                limits=self.limits,
                on_line=on_line,
                pass_fds=(self.source.fd, *((end.fileno(),) if end else ())),
                beat=self.ctx.beat,
            )
        finally:
            if end:
                end.close()
