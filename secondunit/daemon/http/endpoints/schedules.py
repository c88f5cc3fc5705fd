"""Schedule endpoints: how schedules stand, a run by hand, pause and resume."""

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.replies import reply


async def find(api: Api, _: web.Request) -> web.Response:
    """Every schedule of the file: when it comes next, and how its last job does."""
    return reply(serialize.schedules(await api.schedules.all()))


async def run(api: Api, request: web.Request) -> web.Response:
    """Submit a job of the schedule now, whether it is paused or an earlier job of it is not done."""
    name = request.match_info["name"]
    job = await api.schedules.run_now(name)
    note(request, name, job.id)
    return reply(serialize.accepted(job, await api.queue.paused()), 201)


async def pause(api: Api, request: web.Request) -> web.Response:
    """Have the schedule come no more, until it is resumed; its jobs go on."""
    name = request.match_info["name"]
    standing = await api.schedules.pause(name)
    note(request, name)
    return reply(serialize.schedule(standing))


async def resume(api: Api, request: web.Request) -> web.Response:
    """Have the schedule come again from now on, and count its failures from 0."""
    name = request.match_info["name"]
    standing = await api.schedules.resume(name)
    note(request, name)
    return reply(serialize.schedule(standing))
