"""Outputs of a job for its page: its artefacts, each as a browser can show it, and the end of its log."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from secondunit.daemon.files.artifacts import LOG, ArtifactFile, JobArtifacts, NoSuchArtifact, StorageAway
from secondunit.handlers.tools.storage.content_types import content_type_of
from secondunit.queue.clock import Clock
from secondunit.queue.model import Job
from secondunit.queue.value import Value

KEPT, MOST_KEPT = timedelta(seconds=30), 200
TAIL, LINES = 16 * 1024, 80
STREAM = "application/vnd.apple.mpegurl"
Look = Literal["stream", "picture", "film", "sound", "file"]


class Output(Value, frozen=True):
    """A file that a job wrote: `url` serves it, `look` says how it is shown in place."""

    name: str
    size: int
    url: str
    look: Look


class Listing(Value, frozen=True):
    """What is there, the log left out; `away` says why that can't be known just now."""

    outputs: Sequence[Output] = ()
    away: str = ""


class Outputs:
    """Looks them up; what an ended job wrote stays known for half a minute, since it may lie in a bucket."""

    def __init__(self, artifacts: JobArtifacts | None, clock: Clock) -> None:
        self._artifacts = artifacts
        self._clock = clock
        self._kept: OrderedDict[tuple[str, int], tuple[datetime, Listing]] = OrderedDict()

    async def of(self, job: Job) -> Listing:
        """Its artefacts; a job that has not ended has written none that may be looked at."""
        if self._artifacts is None or job.result is None:
            return Listing()
        key, now = (job.id, job.epoch), self._clock.now()
        at, kept = self._kept.get(key, (None, Listing()))
        if at is None or now - at >= KEPT:
            kept = await _listed(self._artifacts, job)
            self._kept[key] = now, kept
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return kept

    async def log_of(self, job: Job) -> str | None:
        """The last lines of its log, or None if it has none."""
        if self._artifacts is None:
            return None
        try:
            async with self._artifacts.opened(job, LOG) as source:
                begins = max(source.size - TAIL, 0)
                read = await asyncio.to_thread(os.pread, source.fd, TAIL, begins)
        except NoSuchArtifact:
            return None
        lines = read.decode(errors="replace").splitlines()
        return "\n".join(lines[1 if begins else 0 :][-LINES:])


def url_of(job: Job, name: str) -> str:
    """Where an artefact is served."""
    return f"/api/jobs/{job.id}/artifacts/{quote(name)}"


async def _listed(artifacts: JobArtifacts, job: Job) -> Listing:
    try:
        files = [file for file in await artifacts.of(job) if file.name != LOG]
    except StorageAway as error:
        return Listing(away=str(error))
    streams = [file.name for file in files if content_type_of(file.name) == STREAM]
    return Listing([Output(_told(file), file.size, url_of(job, file.name), _look(file, streams[:1])) for file in files])


def _told(file: ArtifactFile) -> str:
    return f"{file.name} @ {file.box}" if file.box else file.name


def _look(file: ArtifactFile, masters: Sequence[str]) -> Look:
    """How it can be shown: what lies elsewhere comes from another host, from which our policy loads nothing."""
    kind = content_type_of(file.name)
    if file.away or file.box:
        return "file"
    if kind == STREAM:
        return "stream" if file.name in masters else "file"
    looks: dict[str, Look] = {"image": "picture", "video": "film", "audio": "sound"}
    return looks.get(kind.partition("/")[0], "file") if not kind.endswith("iso.segment") else "file"
