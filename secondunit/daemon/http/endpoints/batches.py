"""Batch endpoints: jobs that were submitted together, looked at, cancelled and retried as one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.access.positions import Positions
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import batches, requests, serialize
from secondunit.daemon.http.transport.audit import SCRIBE
from secondunit.daemon.http.transport.auth import caller_of
from secondunit.daemon.http.transport.replies import encoded_list, reply, reply_encoded
from secondunit.queue.errors import BatchNotFound
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.model import Batch, BatchId, Filter, Status


async def find(api: Api, request: web.Request) -> web.Response:
    """Batches, newest first: how the jobs of each stand."""
    ask = requests.query(batches.BatchesQuery, request.query)
    found = await listed(api, caller_of(request), ask.cursor, ask.limit + 1)
    return reply(batches.all_told(found, ask.limit))


async def show(api: Api, request: web.Request) -> web.Response:
    """A batch: how its jobs stand, and a page of them, newest first."""
    batch, ask = (
        await batch_of(api, caller_of(request), request.match_info["id"]),
        requests.query(requests.PageQuery, request.query),
    )
    standing = await api.queue.graph.standing(batch.id)
    places = Positions(api.queue.secret, caller_of(request).tenant, "jobs")
    paused = await api.queue.paused()
    async with api.pages:
        page = await api.queue.find(Filter(batch=batch.id), requests.cursor_of(ask, places), ask.limit)
        frame = batches.told(batch, standing, page.next_cursor, places.shown)
        rows = (serialize.detail(job, api.queue.registry, paused) for job in page.jobs)
        return reply_encoded(await encoded_list(frame, "jobs", rows))


async def cancel(api: Api, request: web.Request) -> web.Response:
    """Cancel what is left of a batch; answers once the processes of those that ran are gone."""
    batch = await batch_of(api, caller_of(request), request.match_info["id"])
    return reply(serialize.bulk(await cancelled(api, request, batch)))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Queue again what failed of a batch; jobs that failed for a parent's sake come back with it."""
    batch = await batch_of(api, caller_of(request), request.match_info["id"])
    return reply(serialize.bulk(await retried(api, request, batch)))


async def listed(
    api: Api, caller: Caller, after: BatchId | None, limit: int
) -> Sequence[tuple[Batch, Mapping[Status, int]]]:
    """The batches that this caller may know of, newest first, each with how many of its jobs stand where."""
    found = await api.queue.graph.batches(caller.tenant, after, limit)
    standings = await asyncio.gather(*(api.queue.graph.standing(batch.id) for batch in found))
    return list(zip(found, standings, strict=True))


async def batch_of(api: Api, caller: Caller, id: BatchId) -> Batch:
    """The batch of this id; BatchNotFound also for one that this caller may not know of."""
    batch = await api.queue.graph.batch(id)
    if caller.tenant not in (None, batch.owner):
        raise BatchNotFound(batch.id)
    return batch


async def cancelled(api: Api, request: web.Request, batch: Batch) -> Bulk:
    """What came of cancelling what is left of a batch."""
    return await _told_first(request, batch, api.queue.cancel_batch, "batch cancel")


async def retried(api: Api, request: web.Request, batch: Batch) -> Bulk:
    """What came of retrying what failed of a batch; WrongType where the caller's key is not for all of its types."""
    types = {job.type async for job in api.queue.each(Filter(batch=batch.id))}
    caller_of(request).check_types(sorted(types))
    return await _told_first(request, batch, api.queue.retry_batch, "batch retry")


async def _told_first(
    request: web.Request, batch: Batch, move: Callable[[BatchId], Awaitable[Bulk]], action: str
) -> Bulk:
    """Move the jobs of a batch, which the audit trail says from the beginning on."""
    scribe = request[SCRIBE]
    entry = await scribe.write(batch.id, "begun", action)
    moved = await move(batch.id)
    await scribe.finish(entry, f"{len(moved.done)} done, {len(moved.refused)} refused")
    return moved
