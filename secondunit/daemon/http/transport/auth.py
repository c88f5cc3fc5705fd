"""API-key authentication: the caller of a request, where it carries its key, and whether our own page sends it."""

from collections.abc import Sequence

from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.http.context import Api
from secondunit.queue.errors import JobNotFound
from secondunit.queue.model import Job, JobId

CALLER = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who asks; there always is somebody on the routes that have a scope."""
    return request[CALLER]


async def job_of(api: Api, request: web.Request) -> Job:
    """The job that the path names; JobNotFound also for one that this caller may not know of."""
    return caller_of(request).seen(await api.queue.get(request.match_info["id"]))


async def is_seen(api: Api, caller: Caller, job_id: JobId) -> bool:
    """Whether this caller may be told of this job, be it there or not."""
    if caller.tenant is None:
        return True
    try:
        return caller.sees(await api.queue.get(job_id))
    except JobNotFound:
        return False


def presented_keys(request: web.Request, *, in_query: bool) -> Sequence[str]:
    """The different keys a request carries: Bearer, X-API-Key and, where it may stand in the URL, `token`."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    keys = (
        bearer.strip() if scheme.lower() == "bearer" else "",
        request.headers.get("X-API-Key"),
        request.query.get("token") if in_query else None,
    )
    return tuple({key: None for key in keys if key})


def same_origin(request: web.Request) -> bool:
    """Whether a page of this daemon sends it, as browsers say it and no page can (Fetch Metadata, else Origin).

    Whatever proxy stands in front: Sec-Fetch-Site is about the address that the browser sees. It is not sent to an
    address without TLS; there the Origin is held against the Host, and its scheme against what a proxy says, as no
    page can.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
    scheme = request.headers.get("X-Forwarded-Proto", "http").strip()
    return host != "" and origin.lower() == f"{scheme}://{host}".lower()
