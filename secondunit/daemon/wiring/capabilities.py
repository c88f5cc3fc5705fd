"""Capability probe of the machine: its sandbox and its ffmpeg, asked before any of the daemon is there."""

import sys

from secondunit.daemon.config.settings import Settings
from secondunit.daemon.wiring.sandbox import sandbox_of
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing, find_media
from secondunit.handlers.tools.programs.runner import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import Measured
from secondunit.queue.value import Value


class Capabilities(Value, frozen=True):
    """What the machine can do, and the runner of programs that is confined by its sandbox."""

    sandbox: Measured
    programs: ProcessRunner
    media: Media | MediaMissing


async def capabilities_of(settings: Settings) -> Capabilities:
    """Ask a dozen small programs; BadConfig if SANDBOX demands more than there is."""
    sandbox = await sandbox_of(settings)
    programs = ProcessRunner(sys.executable, sandbox=sandbox.sandbox)
    ffmpeg, ffprobe = (str(path) if path else None for path in (settings.ffmpeg_path, settings.ffprobe_path))
    return Capabilities(sandbox, programs, await find_media(programs, ffmpeg, ffprobe, SEARCH_PATH, settings.data_dir))
