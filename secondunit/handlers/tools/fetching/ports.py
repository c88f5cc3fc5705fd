"""Ports to videos on the web: the film itself, or its subtitles without it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.handler import JobContext
from secondunit.queue.value import Value


class FetchedVideo(Value, frozen=True):
    """A video that was downloaded: `path` lies in the job's `kept` folder; `title` is the page's word for it.

    `cues` are its subtitles, where it came with any.
    """

    path: Path
    size: int
    title: str | None
    url: str
    cues: Sequence[Cue] = ()


class Videos(Protocol):
    """Downloads the video behind a URL, which may be a file, a stream or a page that shows it."""

    def check(self, field: str, url: str) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone; never blocks."""
        ...

    async def fetch(self, url: str, ctx: JobContext, *, max_bytes: int, language: str | None = None) -> FetchedVideo:
        """Download into `ctx.workspace.kept`, going on where an earlier run stopped, telling progress from 0 to 1.

        Subtitles in `language` (BCP 47), else in the video's own, come along if that takes seconds; they never fail it.

        Private, removed, geo-blocked, not a video, too large, an address not allowed: Deterministic with a message a
        person understands. Rate limits, 5xx, time-outs: Transient, with the wait that was asked for.
        """
        ...


class Captions(Value, frozen=True):
    """What is known of a video without its pictures; `duration` in seconds.

    `language` and `kind` ("manual" | "automatic") are those of the subtitles that were chosen.
    """

    title: str | None
    duration: float | None
    description: str | None
    language: str
    kind: str
    cues: Sequence[Cue]


class Subtitled(Protocol):
    """Reads what is said in the video behind a URL, from its subtitles, without fetching the video."""

    def check(self, field: str, url: str) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone; never blocks."""
        ...

    async def captions(self, url: str, ctx: JobContext, *, language: str | None) -> Captions:
        """The subtitles in `language` (BCP 47), else in the video's own, else in English, else the first there are.

        None at all: Deterministic("no_subtitles") that says so. Private, removed, rate limits: as `Videos.fetch`.
        """
        ...
