"""The tools every handler is built with; made once by the daemon, replaced by fakes in tests."""

from dataclasses import dataclass

from secondunit.handlers.tools.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.ports import Files, Programs
from secondunit.queue.clock import Clock


@dataclass(frozen=True, slots=True)
class Tools:
    """What `build(tools)` gets: `python` is the interpreter that child programs of our own run with."""

    clock: Clock
    programs: Programs
    files: Files
    media: Media | MediaMissing
    python: str
