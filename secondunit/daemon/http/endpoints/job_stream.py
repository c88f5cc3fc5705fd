"""The events of one job, as the named messages of TrailTag's clients; they end with the job."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from secondunit.daemon.formats import percent
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, serialize, trailtag
from secondunit.daemon.http.transport.event_streams import STREAMS, Channel, block
from secondunit.daemon.http.transport.replies import encoded
from secondunit.queue.model import Event, Filter, Job, Status


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
            await _send(channel, "phase_update", _phase(job, api.clock.now()))
        status = job.status
        beat = loop.time() + api.settings.stream_heartbeat
        while not status.ended:
            try:
                async with asyncio.timeout_at(beat):
                    event = await follow.next()
            except TimeoutError:
                beat += api.settings.stream_heartbeat
                await _send(channel, "heartbeat", _beat(job_id, status, api.clock.now()))
                continue
            if event.name == "data":
                await _send(channel, "partial_locations", _part(event))
            elif not event.status.ended and _has_phase(event):
                await _send(channel, "phase_update", _phase(event, event.at))
            status = event.status
            if status.ended:
                job = await api.queue.get(job_id)
                status = job.status  # it may have been queued again since
        await _send(channel, *_end(job, api.clock.now()))


async def _send(channel: Channel, event: str, content: Mapping[str, Any]) -> None:
    await channel.send(block(encoded(content).decode(), event=event))


def _has_phase(of: Job | Event) -> bool:
    """Whether there is more to tell than that the job waits or has just begun, as a heartbeat does."""
    return of.phase is not None or of.progress > 0


def _beat(job_id: str, status: Status, now: datetime) -> dict[str, Any]:
    return {"job_id": job_id, "status": trailtag.word(status), "ts": trailtag.seconds(now)}


def _phase(of: Job | Event, at: datetime) -> dict[str, Any]:
    return {
        "job_id": of.id if isinstance(of, Job) else of.job_id,
        "status": trailtag.word(of.status),
        "phase": of.phase,
        "progress": percent(of.progress),
        "message": of.message,
        "ts": trailtag.seconds(at),
    }


def _part(event: Event) -> dict[str, Any]:
    part = event.data if isinstance(event.data, Mapping) else {"locations": event.data}
    return {**part, "job_id": event.job_id, "progress": percent(event.progress), "ts": trailtag.seconds(event.at)}


def _end(job: Job, now: datetime) -> tuple[str, dict[str, Any]]:
    """The last message; a partial result is a completed job that names what failed."""
    content = {
        "job_id": job.id,
        "status": trailtag.word(job.status),
        "progress": percent(job.progress),
        "ts": trailtag.seconds(job.finished_at or now),
    }
    match job.status:
        case Status.COMPLETED:
            return "completed", content
        case Status.PARTIAL:
            return "completed", content | {"failed": job.missing}
    return "error", content | {"error": serialize.failure(job.error)}
