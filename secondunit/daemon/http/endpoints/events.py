"""Server-sent events of all jobs, as unnamed messages: what a reader missed first, in order, then live."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from aiohttp import web

from secondunit.daemon.access.positions import Positions
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, serialize
from secondunit.daemon.http.transport.auth import caller_of
from secondunit.daemon.http.transport.event_streams import STREAMS, Channel, Messages, block
from secondunit.daemon.http.transport.replies import encoded
from secondunit.queue.follow import slim
from secondunit.queue.model import Event, Filter, Job, Status

RETRY = 3000
SNAPSHOT = 100
UNKNOWN = -1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def follow(api: Api, request: web.Request) -> web.StreamResponse:
    """Server-sent events of every job that the key may know of, or of those that `jobId` and `type` name.

    Messages are unnamed; lifecycle messages carry an id. A reader that comes back with the last one (`Last-Event-ID`
    or `lastEventId`) gets those it missed; if they are no longer kept, `{"type": "reset", "jobs": [...]}` first.
    To a key that may submit and not read ids tell nothing of others; they come back as they went out.
    """
    ask = requests.query(requests.EventsQuery, request.query)
    filter = Filter(ids=ask.job_id, types=ask.type, owner=caller_of(request).tenant)
    last_seen = request.headers.get("Last-Event-ID") or ask.last_event_id
    ids = _Ids(api, filter.owner)
    after = None if not last_seen else ids.read(last_seen)

    async def feed(channel: Channel) -> None:
        await _feed(api, channel, filter, after, ids, request.app[STREAMS].messages)

    return await request.app[STREAMS].run(request, feed)


class _Ids:
    """Ids of messages, for one reader: GEN-SEQ, where SEQ is the event's number, or for a tenant what stands for it."""

    def __init__(self, api: Api, tenant: str | None) -> None:
        self._generation = api.queue.generation
        self._clock = api.clock
        self._places = Positions(api.queue.secret, tenant, "events")

    def of(self, event: Event) -> str | None:
        """A lifecycle message's own, the same each time."""
        return f"{self._generation}-{self._places.shown(event.seq)}" if event.seq else None

    def after(self, seq: int) -> str:
        """Of a place between events, which a tenant can't compare: that others did something would show in it."""
        nonce = (self._clock.now() - EPOCH) // timedelta(microseconds=1)
        return f"{self._generation}-{self._places.shown(seq, nonce)}"

    def read(self, last_seen: str) -> int:
        """The number within this generation's events, or one that no event ever had."""
        line, _, place = last_seen.rpartition("-")
        number = self._places.read(place) if line == self._generation else None
        return UNKNOWN if number is None else number


async def _feed(api: Api, channel: Channel, filter: Filter, after: int | None, ids: _Ids, messages: Messages) -> None:
    make = partial(_block, ids)
    async with api.queue.follow(filter, after, on_drop=channel.abort) as follow:
        if follow.missed:
            reset = encoded(serialize.reset(await _snapshot(api, filter)))
            await channel.send(block(reset.decode(), id=ids.after(follow.after), retry=RETRY))
        else:
            # No message, but the position of a new reader: cut off before its first message, it misses nothing.
            await channel.send(block(retry=RETRY, id=ids.after(follow.after) if after is None else None))
        while True:
            event = await follow.next()
            if event.name != "data":
                await channel.send(messages.of(event, make, filter.owner))


def _block(ids: _Ids, event: Event) -> bytes:
    return block(encoded(serialize.message(event)).decode(), id=ids.of(event))


async def _snapshot(api: Api, filter: Filter) -> Sequence[Job]:
    """Live jobs and the most recent ones, newest first."""
    jobs: dict[str, Job] = {}
    for statuses in ([Status.RUNNING], [Status.QUEUED], []):
        found = api.queue.each(Filter(statuses, filter.types, filter.ids, filter.owner), SNAPSHOT)
        jobs |= {job.id: slim(job) async for job in found}
    return sorted(jobs.values(), key=lambda job: job.seq, reverse=True)
