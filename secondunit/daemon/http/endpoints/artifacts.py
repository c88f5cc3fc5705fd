"""Artefact endpoints: what a job wrote, to look at and to play, whole or by ranges."""

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from secondunit.daemon.files.artifacts import JobArtifacts, NoSuchArtifact
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.http.transport.auth import job_of
from secondunit.daemon.http.transport.replies import NO_FRAMES, reply
from secondunit.handlers.tools.storage.content_types import OTHER, content_type_of

# What came from elsewhere must not become a page of ours, with our origin's rights.
SAFETY = {
    "Content-Security-Policy": f"default-src 'none'; sandbox; {NO_FRAMES}",
    "Cache-Control": "private, no-cache",
}


class OpenFile(web.FileResponse):
    """A file that is sent while its handler runs: when aiohttp prepares it once more afterwards, it is closed."""

    _asked = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file, the first time."""
        if self._asked:
            return None
        self._asked = True
        return await super().prepare(request)


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
        await response.prepare(request)  # which also sends it, as long as the file is open
        await response.write_eof()
    return response


def _shelf(api: Api) -> JobArtifacts:
    if api.artifacts is None:
        raise NoSuchArtifact("this daemon keeps no artefacts")
    return api.artifacts
