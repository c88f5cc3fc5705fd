"""Endpoints of sight: why a job waits, the job types and their limits, the boxes and their drain."""

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests
from secondunit.daemon.http.contract.sight import answers as sight
from secondunit.daemon.http.contract.sight import boxes as box_answers
from secondunit.daemon.http.contract.sight import requests as sight_requests
from secondunit.daemon.http.transport.audit import note
from secondunit.daemon.http.transport.auth import caller_of, job_of
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.replies import reply


async def explain(api: Api, request: web.Request) -> web.Response:
    """Why a job is where it is: what it waits for, how many are ahead, and until when."""
    asked = await job_of(api, request)
    job, told = await api.answers.explain(asked.id)
    outlook = await api.answers.forecast(job)
    return reply(sight.explained(job, told, outlook, whole=caller_of(request).tenant is None))


async def types(api: Api, _: web.Request) -> web.Response:
    """The job types: their limits, and what runs and waits of them."""
    return reply(sight.types(await api.answers.types()))


async def limit(api: Api, request: web.Request) -> web.Response:
    """Change how many jobs of a type run at once.

    It counts from the next claim on and is kept over restarts; null: as the settings say.
    """
    type = request.match_info["type"]
    ask = requests.taken(sight_requests.LimitAsk, await read_object(request, api.settings.max_body))
    await api.queue.limit(type, ask.concurrency)
    note(request, type, "default" if ask.concurrency is None else str(ask.concurrency))
    return reply(sight.one_type(type, await api.answers.types()))


async def boxes(api: Api, _: web.Request) -> web.Response:
    """The daemons that share this queue: what each serves, runs and could run, and when it was last seen."""
    return reply(box_answers.boxes(await api.answers.boxes()))


async def drain(api: Api, request: web.Request) -> web.Response:
    """Have a box start no more jobs, over restarts too, until it is resumed.

    What runs there goes on to its end, and its API serves. It is asked of any box, and heard within two seconds.
    """
    seen = await api.answers.boxes.drain(request.match_info["name"])
    note(request, seen.row.name)
    return reply(box_answers.box(seen))


async def resume(api: Api, request: web.Request) -> web.Response:
    """Have a box that was drained start jobs again."""
    seen = await api.answers.boxes.resume(request.match_info["name"])
    note(request, seen.row.name)
    return reply(box_answers.box(seen))


async def errors(api: Api, request: web.Request) -> web.Response:
    """What failed for good, in groups whose messages differ in ids, paths, numbers and times only."""
    ask = requests.query(sight_requests.StatsQuery, request.query)
    return reply(sight.errors(*await api.answers.errors(ask.span, ask.type)))


async def stats(api: Api, request: web.Request) -> web.Response:
    """What happened in a window: how much was submitted, ended and retried, how long jobs waited and ran."""
    ask = requests.query(sight_requests.StatsQuery, request.query)
    return reply(sight.stats(ask.window, await api.answers.stats(ask.span, ask.type)))


async def backend(api: Api, _: web.Request) -> web.Response:
    """How active mode stands: what the backend listed, what was taken on, refused and delivered, the last polls."""
    return reply(sight.backend(api.answers.backend()))


async def system(api: Api, _: web.Request) -> web.Response:
    """What the daemon runs on: versions and ages, disks, database, last backup, lag, memory, sandbox, the unit."""
    return reply(sight.system(await api.answers.system(), api.version, api.clock.now()))
