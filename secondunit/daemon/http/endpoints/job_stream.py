"""Server-sent events of one job, as the named messages of TrailTag's clients; they end with the job."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, trailtag
from secondunit.daemon.http.transport.auth import job_of
from secondunit.daemon.http.transport.event_streams import STREAMS, Channel, block
from secondunit.daemon.http.transport.replies import encoded
from secondunit.queue.model import Event, Filter, Job, Status

LONGEST_NUMBER = 18
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StreamPosition(NamedTuple):
    """What a reader was told up to a message, as the message's id says it.

    `number` counts messages, `sent` the items of the list `of`; `end` is when the job ended (microseconds), once told.
    """

    number: int = 0
    sent: int = 0
    end: int = 0
    of: str = ""

    @property
    def id(self) -> str:
        """As it goes out, and comes back as Last-Event-ID."""
        return f"{self.number}.{self.sent}.{self.end}.{self.of}"

    @classmethod
    def read(cls, id: str) -> "StreamPosition":
        """The position of this id; the beginning for one that is none of ours."""
        *numbers, of = id.split(".", 3)
        if (
            len(numbers) != 3
            or not (of.isascii() and of.isprintable())
            or not all(n.isascii() and n.isdigit() and len(n) <= LONGEST_NUMBER for n in numbers)
        ):
            return cls()
        number, sent, end = map(int, numbers)
        return cls(number, sent, end, of)


async def follow(api: Api, request: web.Request) -> web.StreamResponse:
    """Named server-sent events of one job, to its end.

    `phase_update` (once a run has a phase, or progress, or when the job waits: with `message` and `runAt`), `heartbeat`
    (every 5 s), `partial_locations` (first those known so far, then each as it comes), and last `completed` or `error`;
    `ts` in Unix seconds, `progress` 0 to 100, `status` in TrailTag's words (`done`, `canceled`). Every message has an
    id: a reader that comes back with the last one (`Last-Event-ID` or `lastEventId`) is not told of the same places
    again, and after the end gets 204, so that it stops.
    """
    ask = requests.query(requests.StreamQuery, request.query)
    job = await job_of(api, request)
    position = StreamPosition.read(request.headers.get("Last-Event-ID") or ask.last_event_id or "")
    if position.end and position.end == _end(job):
        return web.Response(status=204)

    async def feed(channel: Channel) -> None:
        await _feed(api, _Teller(api, channel, job.id, position._replace(end=0)))

    return await request.app[STREAMS].run(request, feed)


class _Teller:
    """Tells one reader, and knows what it was told."""

    def __init__(self, api: Api, channel: Channel, job_id: str, position: StreamPosition) -> None:
        self.job_id = job_id
        self.channel = channel
        self._published = api.partial_data
        self._position = position

    async def tell(self, event: str, content: object, end: int = 0) -> None:
        """Send a message under an id of its own."""
        self._position = self._position._replace(number=self._position.number + 1, end=end)
        await self.channel.send(block(encoded(content).decode(), event=event, id=self._position.id))

    async def tell_found(self, of: Job | Event, at: datetime, result: Sequence[Any] = ()) -> None:
        """Send, in one message, what is known so far, and of the `result`, and was not told to this reader."""
        kept = self._published.of(self.job_id)
        known = kept.items if kept else []
        news = known[self._position.sent if kept and kept.name == self._position.of else 0 :]
        if kept:
            self._position = self._position._replace(sent=len(known), of=kept.name)
        news += [item for item in result if item not in known]
        if news:
            await self.tell("partial_locations", trailtag.found(of, news, at))

    async def tell_data(self, event: Event) -> None:
        """Send what a run publishes: what is kept of it once, all else as it comes."""
        await self.tell_found(event, event.at)
        if not self._published.holds(event):
            await self.tell("partial_locations", trailtag.partial_locations(event))


async def _feed(api: Api, teller: _Teller) -> None:
    loop = asyncio.get_running_loop()
    async with api.queue.follow(Filter(ids=[teller.job_id]), on_drop=teller.channel.abort) as follow:
        job = await api.queue.get(teller.job_id)
        latest: Job | Event = job
        if not job.status.ended:
            await _tell_state(teller, job, api.clock.now())
            await teller.tell_found(job, api.clock.now())
        beat = loop.time() + api.settings.stream_heartbeat
        while not latest.status.ended:
            try:
                async with asyncio.timeout_at(beat):
                    event = await follow.next()
            except TimeoutError:
                beat += api.settings.stream_heartbeat
                await teller.tell("heartbeat", trailtag.heartbeat(latest, api.clock.now()))
                continue
            if event.name == "data":
                await teller.tell_data(event)
            elif event.status.ended:
                latest = job = await api.queue.get(teller.job_id)  # it may have been queued again since
            else:
                await _tell_state(teller, latest := event, event.at)
        await teller.tell_found(job, job.finished_at or api.clock.now(), trailtag.routes_of(job))
        await teller.tell(*trailtag.last_message(job, api.clock.now()), end=_end(job))


async def _tell_state(teller: _Teller, of: Job | Event, at: datetime) -> None:
    """Send how far the job is, if there is more to tell than that it is queued or has just begun."""
    waits = of.status is Status.QUEUED and (of.message or of.run_at)
    if of.phase is not None or of.progress > 0 or waits:
        await teller.tell("phase_update", trailtag.phase_update(of, at))


def _end(job: Job) -> int:
    """When the job ended; 0 while it has not."""
    ended = job.finished_at if job.status.ended else None
    return (ended - EPOCH) // timedelta(microseconds=1) if ended else 0
