"""Server-sent events of all jobs, as unnamed messages: what a reader missed first, in order, then live."""

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, serialize
from secondunit.daemon.http.transport.auth import caller_of
from secondunit.daemon.http.transport.event_streams import STREAMS, Channel, Messages, block
from secondunit.daemon.http.transport.replies import encoded
from secondunit.queue.model import Event, Filter, Job, Status

RETRY = 3000
SNAPSHOT = 100
UNKNOWN = -1


async def follow(api: Api, request: web.Request) -> web.StreamResponse:
    """Server-sent events of every job that the key may know of, or of those that `jobId` and `type` name.

    Messages are unnamed; lifecycle messages carry an id. A reader that comes back with the last one (`Last-Event-ID`
    or `lastEventId`) gets those it missed; if they are no longer kept, `{"type": "reset", "jobs": [...]}` first.
    """
    ask = requests.query(requests.EventsQuery, request.query)
    filter = Filter(ids=ask.job_id, types=ask.type, owner=caller_of(request).tenant)
    last_seen = request.headers.get("Last-Event-ID") or ask.last_event_id
    after = None if not last_seen else _position(last_seen, api.queue.generation)

    async def feed(channel: Channel) -> None:
        await _feed(api, channel, filter, after, request.app[STREAMS].messages)

    return await request.app[STREAMS].run(request, feed)


async def _feed(api: Api, channel: Channel, filter: Filter, after: int | None, messages: Messages) -> None:
    generation = api.queue.generation
    make = partial(_block, generation)
    async with api.queue.follow(filter, after, on_drop=channel.abort) as follow:
        if follow.missed:
            reset = encoded(serialize.reset(await _snapshot(api, filter)))
            await channel.send(block(reset.decode(), id=f"{generation}-{follow.after}", retry=RETRY))
        else:
            # No message, but the position of a new reader: cut off before its first message, it misses nothing.
            await channel.send(block(retry=RETRY, id=f"{generation}-{follow.after}" if after is None else None))
        while True:
            event = await follow.next()
            if event.name != "data":
                await channel.send(messages.of(event, make))


def _position(last_seen: str, generation: str) -> int:
    """The number within this generation's events, or one that no event ever had."""
    line, _, number = last_seen.rpartition("-")
    known = line == generation and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if known else UNKNOWN


def _block(generation: str, event: Event) -> bytes:
    return block(encoded(serialize.message(event)).decode(), id=f"{generation}-{event.seq}" if event.seq else None)


async def _snapshot(api: Api, filter: Filter) -> Sequence[Job]:
    """Live jobs and the most recent ones, newest first."""
    jobs: dict[str, Job] = {}
    for statuses in ([Status.RUNNING], [Status.QUEUED], []):
        page = await api.queue.find(Filter(statuses, filter.types, filter.ids, filter.owner), None, SNAPSHOT)
        jobs |= {job.id: job for job in page.jobs}
    return sorted(jobs.values(), key=lambda job: job.seq, reverse=True)
