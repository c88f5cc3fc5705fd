"""Batch endpoints: jobs that were submitted together, looked at, cancelled and retried as one."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from secondunit.daemon.access.positions import Positions
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import batches, requests, serialize
from secondunit.daemon.http.transport.audit import SCRIBE
from secondunit.daemon.http.transport.auth import caller_of
from secondunit.daemon.http.transport.replies import reply
from secondunit.queue.errors import BatchNotFound
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.model import Batch, BatchId, Filter


async def show(api: Api, request: web.Request) -> web.Response:
    """A batch: how its jobs stand, and a page of them, newest first."""
    batch, ask = await _batch_of(api, request), requests.query(requests.PageQuery, request.query)
    standing = await api.queue.graph.standing(batch.id)
    places = Positions(api.queue.secret, caller_of(request).tenant, "jobs")
    page = await api.queue.find(Filter(batch=batch.id), requests.cursor_of(ask, places), ask.limit)
    return reply(batches.told(batch, standing, page, api.queue.registry, await api.queue.paused(), places.shown))


async def cancel(api: Api, request: web.Request) -> web.Response:
    """Cancel what is left of a batch; answers once the processes of those that ran are gone."""
    batch = await _batch_of(api, request)
    return reply(serialize.bulk(await _told_first(request, batch, api.queue.cancel_batch)))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Queue again what failed of a batch; jobs that failed for a parent's sake come back with it."""
    batch = await _batch_of(api, request)
    types = {job.type async for job in api.queue.each(Filter(batch=batch.id))}
    caller_of(request).check_types(sorted(types))
    return reply(serialize.bulk(await _told_first(request, batch, api.queue.retry_batch)))


async def _told_first(request: web.Request, batch: Batch, move: Callable[[BatchId], Awaitable[Bulk]]) -> Bulk:
    """Move the jobs of a batch, which the audit trail says from the beginning on."""
    scribe = request[SCRIBE]
    entry = await scribe.write(batch.id, "begun")
    moved = await move(batch.id)
    await scribe.finish(entry, f"{len(moved.done)} done, {len(moved.refused)} refused")
    return moved


async def _batch_of(api: Api, request: web.Request) -> Batch:
    """The batch that the path names; BatchNotFound also for one that this caller may not know of."""
    batch = await api.queue.graph.batch(request.match_info["id"])
    if caller_of(request).tenant not in (None, batch.owner):
        raise BatchNotFound(batch.id)
    return batch
