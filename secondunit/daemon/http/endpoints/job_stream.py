"""Server-sent events of one job, as the named messages of TrailTag's clients; they end with the job."""

import asyncio

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, trailtag
from secondunit.daemon.http.transport.event_streams import STREAMS, Channel, block
from secondunit.daemon.http.transport.replies import encoded
from secondunit.queue.model import Event, Filter, Job


async def follow(api: Api, request: web.Request) -> web.StreamResponse:
    """Named server-sent events of one job, to its end.

    `phase_update` (once a run has a phase, or progress), `heartbeat` (every 5 s), `partial_locations`, and last
    `completed` or `error`; `ts` in Unix seconds, `progress` 0 to 100, `status` in TrailTag's words (`done`,
    `canceled`).
    """
    requests.query(requests.StreamQuery, request.query)
    job = await api.queue.get(request.match_info["id"])

    async def feed(channel: Channel) -> None:
        await _feed(api, channel, job.id)

    return await request.app[STREAMS].run(request, feed)


async def _feed(api: Api, channel: Channel, job_id: str) -> None:
    loop = asyncio.get_running_loop()
    async with api.queue.follow(Filter(ids=[job_id]), on_drop=channel.abort) as follow:
        job = await api.queue.get(job_id)
        if not job.status.ended and _has_phase(job):
            await _send(channel, "phase_update", trailtag.phase_update(job, api.clock.now()))
        status = job.status
        beat = loop.time() + api.settings.stream_heartbeat
        while not status.ended:
            try:
                async with asyncio.timeout_at(beat):
                    event = await follow.next()
            except TimeoutError:
                beat += api.settings.stream_heartbeat
                await _send(channel, "heartbeat", trailtag.heartbeat(job_id, status, api.clock.now()))
                continue
            if event.name == "data":
                await _send(channel, "partial_locations", trailtag.partial_locations(event))
            elif not event.status.ended and _has_phase(event):
                await _send(channel, "phase_update", trailtag.phase_update(event, event.at))
            status = event.status
            if status.ended:
                job = await api.queue.get(job_id)
                status = job.status  # it may have been queued again since
        await _send(channel, *trailtag.last_message(job, api.clock.now()))


async def _send(channel: Channel, event: str, content: object) -> None:
    await channel.send(block(encoded(content).decode(), event=event))


def _has_phase(of: Job | Event) -> bool:
    """Whether there is more to tell than that the job waits or has just begun, as a heartbeat does."""
    return of.phase is not None or of.progress > 0
