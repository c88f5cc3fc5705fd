"""Operator endpoints: health, metrics, pausing job types, the restart check, recovery of stuck jobs, and backups."""

from datetime import timedelta
from pathlib import Path

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, serialize
from secondunit.daemon.http.transport.audit import SCRIBE, note
from secondunit.daemon.http.transport.auth import CALLER
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import ScopeTooSmall
from secondunit.daemon.http.transport.replies import reply
from secondunit.queue.errors import JobNotFound, NotAllowed
from secondunit.queue.follow import slim
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.model import Filter, JobId, Status
from secondunit.queue.ports.holders import holder_of

RUNNING = Filter(statuses=[Status.RUNNING])


async def health(api: Api, request: web.Request) -> web.Response:
    """How the daemon is: 503 while it drains or fails; reasons and figures for callers with a key that may read."""
    found = await api.health()
    caller = request.get(CALLER)
    answer = serialize.health(found, whole=caller is not None and caller.reaches(["read"]))
    return reply(answer, 503 if found.status in ("draining", "failing") else 200)


async def metrics(api: Api, _: web.Request) -> web.Response:
    """Metrics as Prometheus text."""
    await api.health()  # so that `degraded` is of now
    return web.Response(body=await api.metrics.render(), headers={"Content-Type": api.metrics.content_type})


async def pause(api: Api, request: web.Request) -> web.Response:
    """Start no more jobs of a type; running ones go on."""
    type = request.match_info["type"]
    await api.queue.pause(type)
    note(request, type)
    return reply(serialize.type_state(type, paused=True))


async def resume(api: Api, request: web.Request) -> web.Response:
    """Start jobs of a type again."""
    type = request.match_info["type"]
    await api.queue.resume(type)
    note(request, type)
    return reply(serialize.type_state(type, paused=False))


async def stuck(api: Api, request: web.Request) -> web.Response:
    """Running jobs whose lease ran out or that have not moved for `timeout` seconds."""
    limit = timedelta(seconds=requests.query(requests.StuckQuery, request.query).timeout)
    now = api.clock.now()
    jobs = [
        slim(job)
        async for job in api.queue.each(RUNNING)
        if (job.lease is not None and job.lease.until < now) or now - job.updated_at >= limit
    ]
    return reply(serialize.stuck(sorted(jobs, key=lambda job: job.updated_at), now))


async def recover(api: Api, request: web.Request) -> web.Response:
    """Stop the runs of these jobs and queue them again."""
    ask = requests.taken(requests.RecoverAsk, await read_object(request, api.settings.max_body))
    done: list[JobId] = []
    refused: list[tuple[JobId, str]] = []
    for id, epoch in ask.runs():
        try:
            await api.queue.recover(id, epoch)
            done.append(id)
            await request[SCRIBE].write(id)
        except (JobNotFound, NotAllowed) as error:
            refused.append((id, str(error)))
    return reply(serialize.bulk(Bulk(done, refused)))


async def check(api: Api, _: web.Request) -> web.Response:
    """Whether it is safe to restart now, what runs here, and how long that will take.

    What other boxes run goes on there, and leases of remote workers stay good.
    """
    running = []
    async for job in api.queue.each(RUNNING):
        if not api.queue.locality.holds(job) or (job.lease and holder_of(job.lease.boot)):
            continue
        steps = await api.queue.steps_of(job.id)
        paid = [step.name for step in steps if not step.done and step.sends]
        running.append((slim(job), paid))
    return reply(serialize.restart_check(running, api.clock.now()))


async def backup(api: Api, request: web.Request) -> web.Response:
    """Copy the database to a path of this machine; on the control socket only, since any path can be named."""
    if not api.trusted or api.backup is None:
        raise ScopeTooSmall("backups are taken on the box itself: `secondunit backup`")
    ask = requests.taken(requests.BackupAsk, await read_object(request, api.settings.max_body))
    snapshot = await api.backup(Path(ask.path), ask.keep)
    note(request, str(snapshot.path))
    return reply(serialize.backup(snapshot))


async def doctor(api: Api, _: web.Request) -> web.Response:
    """The settings in effect, and what the daemon alone can see of itself and of the services that it asks."""
    return reply(serialize.doctor(await api.doctor()))
