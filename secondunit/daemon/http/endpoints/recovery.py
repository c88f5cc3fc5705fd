"""An operator's way out: which running jobs do not move, and taking them from their runs."""

from collections.abc import AsyncIterator
from datetime import timedelta

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests as asks
from secondunit.daemon.http.contract import serialize as wire
from secondunit.daemon.http.transport.json_bodies import read_object
from secondunit.daemon.http.transport.replies import reply
from secondunit.queue.errors import JobNotFound, NotAllowed
from secondunit.queue.model import Filter, Job, JobId, Status
from secondunit.queue.service import Bulk

PAGE = 200


async def stuck(api: Api, request: web.Request) -> web.Response:
    """Running jobs whose lease ran out or that have not moved for `timeout` seconds."""
    limit = timedelta(seconds=asks.query(asks.StuckQuery, request.query).timeout)
    now = api.clock.now()
    jobs = [
        job
        async for job in running(api)
        if (job.lease is not None and job.lease.until < now) or now - job.updated_at >= limit
    ]
    return reply({"jobs": [wire.stuck(job, now) for job in sorted(jobs, key=lambda job: job.updated_at)]})


async def recover(api: Api, request: web.Request) -> web.Response:
    """Stop the runs of these jobs and queue them again."""
    ask = asks.taken(asks.RecoverAsk, await read_object(request, api.settings.max_body))
    done: list[JobId] = []
    refused: list[tuple[JobId, str]] = []
    for id in ask.ids:
        try:
            await api.queue.recover(id)
            done.append(id)
        except (JobNotFound, NotAllowed) as error:
            refused.append((id, str(error)))
    return reply(wire.bulk(Bulk(done, refused)))


async def running(api: Api) -> AsyncIterator[Job]:
    """Every running job."""
    cursor: int | None = None
    while True:
        page = await api.queue.find(Filter(statuses=[Status.RUNNING]), cursor, PAGE)
        for job in page.jobs:
            yield job
        if page.next_cursor is None:
            return
        cursor = page.next_cursor
