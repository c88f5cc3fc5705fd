"""For the operator's commands: whether a restart would disturb anything, and backups."""

from pathlib import Path

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests as asks
from secondunit.daemon.http.contract import serialize as wire
from secondunit.daemon.http.endpoints.recovery import running
from secondunit.daemon.http.transport.json_bodies import read_object
from secondunit.daemon.http.transport.problems import ScopeTooSmall
from secondunit.daemon.http.transport.replies import reply


async def check(api: Api, _: web.Request) -> web.Response:
    """Whether it is safe to restart now, what runs, and how long that will take."""
    now = api.clock.now()
    jobs = []
    async for job in running(api):
        steps = await api.queue.store.steps.of_job(job.id)
        paid = [step.name for step in steps if not step.done and step.sends]
        jobs.append(wire.under_way(job, paid, now))
    left = [job["remainingSeconds"] for job in jobs]
    known = [seconds for seconds in left if seconds is not None]
    return reply(
        {"safe": not jobs, "running": jobs, "seconds": None if len(known) < len(left) else max(known, default=0)}
    )


async def backup(api: Api, request: web.Request) -> web.Response:
    """Copy the database to a path of this machine; on the control socket only, since any path can be named."""
    if not api.trusted or api.backup is None:
        raise ScopeTooSmall("backups are taken on the box itself: `secondunit backup`")
    ask = asks.taken(asks.BackupAsk, await read_object(request, api.settings.max_body))
    snapshot = await api.backup(Path(ask.path), ask.keep)
    return reply({"path": str(snapshot.path), "bytes": snapshot.size, "jobs": snapshot.jobs})
