"""Dependency container of handlers: the tools they are built with; made once by the daemon, faked in tests."""

from dataclasses import dataclass
from datetime import timedelta

from secondunit.handlers.tools.deployment.deployments import Deployments
from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.fetching.ports import Subtitled, Videos
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.geocoding.client import Geocoder
from secondunit.handlers.tools.media.ffmpeg import Media, MediaMissing
from secondunit.handlers.tools.ports import Results
from secondunit.handlers.tools.programs.ports import Programs
from secondunit.handlers.tools.storage.ports import Files
from secondunit.handlers.tools.storage.s3.files import Buckets
from secondunit.queue.clock import Clock


@dataclass(frozen=True, slots=True)
class Tools:
    """What `build(tools)` gets: `python` is the interpreter that child programs of our own run with.

    `gemini` is None without a key. `uploads` are files that callers sent and may name, beside those beneath the roots.
    `max_download` is in bytes; `settle` is how long an input that changed under a run must be still.
    """

    clock: Clock
    programs: Programs
    files: Files
    media: Media | MediaMissing
    python: str
    gemini: Gemini | None = None
    geocoder: Geocoder | None = None
    results: Results | None = None
    videos: Videos | None = None
    subtitled: Subtitled | None = None
    downloads: Downloads | None = None
    uploads: Files | None = None
    buckets: Buckets | None = None
    deployments: Deployments | None = None
    max_download: int = 8192 << 20
    settle: timedelta = timedelta(seconds=5)
