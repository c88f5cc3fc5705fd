"""Artefact endpoints: what a job wrote, to look at and to play, whole or by ranges."""

import asyncio
import os
import re
from email.utils import formatdate
from math import ceil
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from secondunit.daemon.files.artifacts import JobArtifacts, NoSuchArtifact
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.http.transport.auth import job_of
from secondunit.daemon.http.transport.problems import PreconditionFailed, RangeUnsatisfiable
from secondunit.daemon.http.transport.replies import NO_FRAMES, reply
from secondunit.handlers.tools.storage.content_types import OTHER, content_type_of

# What came from elsewhere must not become a page of ours, with our origin's rights.
SAFETY = {
    "Content-Security-Policy": f"default-src 'none'; sandbox; {NO_FRAMES}",
    "Cache-Control": "private, no-cache",
}
RANGE = re.compile(r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})?|-0*[1-9][0-9]{0,17})", re.IGNORECASE)


class OpenFile(web.FileResponse):
    """A file that is sent while its handler runs: when aiohttp prepares it once more afterwards, it is closed."""

    _asked = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, the first time."""
        if self._asked:
            return None
        self._asked = True
        return await super().prepare(request)

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Take a status; what refuses the file is told as a problem, before anything is sent."""
        if status == 416:
            raise RangeUnsatisfiable(int(self.headers["Content-Range"].rpartition("/")[2]))
        if status == 412:
            raise PreconditionFailed("the file has changed since; ask for it without the condition")
        if status >= 400:
            raise NoSuchArtifact("the file is gone")
        super().set_status(status, reason)


async def of_job(api: Api, request: web.Request) -> web.Response:
    """What a job wrote: its log, its output, and the playlists of a stream.

    Each is served under its name; the segments of a stream under the names that its playlists use.
    """
    job = await job_of(api, request)
    found = await api.artifacts.of(job) if api.artifacts else ()
    return reply(serialize.artifacts(found))


async def serve(api: Api, request: web.Request) -> web.StreamResponse:
    """One of them, whole or by ranges; what lies in a bucket is found by a URL that is good for an hour."""
    job, name = await job_of(api, request), request.match_info["name"]
    link = await _shelf(api).link(job, name)
    if link is not None:
        return web.Response(status=302, headers={"Location": link, "Cache-Control": "no-store"})
    async with _shelf(api).opened(job, name) as source:
        kind = content_type_of(name)
        response = OpenFile(source.path, headers={"Content-Type": kind, **SAFETY})
        if kind == OTHER:
            response.headers["Content-Disposition"] = "attachment"
        if not await _by_range(request, source.path):
            request = _without_range(request)
        await response.prepare(request)  # which also sends it, as long as the file is open
        await response.write_eof()
    return response


def _without_range(request: web.Request) -> web.Request:
    """The same request, asking for the whole; what is no Unicode in its headers is there as `?`."""
    kept = [(name, value) for name, value in request.headers.items() if name.lower() != "range"]
    return request.clone(headers=[(name, value.encode("utf-8", "replace").decode()) for name, value in kept])


async def _by_range(request: web.Request, path: Path) -> bool:
    """Whether the Range counts: one range that is none, or of another version (If-Range), is ignored (RFC 9110, 14)."""
    wanted = RANGE.fullmatch(request.headers.get("Range", "").strip())
    if not wanted or (wanted["last"] and int(wanted["last"]) < int(wanted["first"])):
        return False
    version = request.headers.get("If-Range", "").strip()
    if not version:
        return True
    found = await asyncio.to_thread(os.stat, path)
    # The ETag and the Last-Modified that aiohttp gives it, to the letter.
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    return version in (tag, formatdate(ceil(found.st_mtime), usegmt=True))


def _shelf(api: Api) -> JobArtifacts:
    if api.artifacts is None:
        raise NoSuchArtifact("this daemon keeps no artefacts")
    return api.artifacts
