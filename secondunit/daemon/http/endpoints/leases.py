"""Lease endpoints: remote workers take jobs, renew their leases, store steps, and end their runs."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests
from secondunit.daemon.http.contract.leases import answers, asks
from secondunit.daemon.http.transport.auth import caller_of
from secondunit.daemon.http.transport.bodies.encoded_bodies import chunks_of_body, coding_of
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import UnknownEncoding
from secondunit.daemon.http.transport.replies import ON_GONE, reply
from secondunit.daemon.leasing.artifacts import ArtifactTooLarge
from secondunit.daemon.leasing.work import RemoteWork
from secondunit.queue.errors import BadPayload, FieldError, LeaseLost
from secondunit.queue.model import Job, JobId
from secondunit.queue.outcome import Outcome
from secondunit.queue.ports.holders import RemoteHolder

NO_LEASE = "this token is of no lease that this key has here: made up, cut short, or another key's; lease again"


async def take(api: Api, request: web.Request) -> web.Response:
    """Lease jobs of these types, at once or as soon as there is one; an empty list after the wait.

    A caller that goes away meanwhile gets none: what was leased for it goes back at no cost.
    """
    ask = requests.taken(asks.LeaseAsk, await read_object(request, api.settings.max_body))
    work, caller, types = _work(api), caller_of(request), list(dict.fromkeys(ask.types))
    known = work.leasing.registry
    if faults := [
        FieldError(f"types.{index}", f"is no type that workers lease; known are {', '.join(sorted(known)) or 'none'}"
                   " ([remote_types.NAME] in the configuration file)")
        for index, type in enumerate(ask.types)
        if type not in known
    ]:  # fmt: skip
        raise BadPayload(*faults)
    caller.check_types(types)
    holder = RemoteHolder(caller.id, ask.worker)
    waiting = asyncio.ensure_future(work.leasing.lease(holder, types, ask.max, ask.wait_seconds))
    request[ON_GONE] = waiting.cancel
    try:
        granted = await waiting
    except asyncio.CancelledError:
        if request.transport is not None:
            waiting.cancel()
            raise
        return reply(answers.leases(()))  # which nobody reads
    if request.transport is None:
        await work.leasing.put_back([one.job for one in granted], holder)
    tokens = work.tokens
    return reply(
        answers.leases(answers.granted(tokens.issue(one.job.id, one.job.epoch, caller.id), one) for one in granted)
    )


async def renew(api: Api, request: web.Request) -> web.Response:
    """Renew a lease, and tell how far the work is; an empty object renews it too."""
    job_id, epoch = _held(api, request)
    ask = requests.taken(asks.NewsAsk, await read_object(request, api.settings.max_body))
    return reply(answers.renewed(await _work(api).holding.renew(job_id, epoch, asks.news(ask))))


async def step(api: Api, request: web.Request) -> web.Response:
    """Store the result of a step: a later lease of the job is given it. The same step again replaces it."""
    job_id, epoch = _held(api, request)
    name = asks.step_name(request.match_info["name"])
    ask = requests.taken(asks.ResultAsk, await read_object(request, api.settings.max_body))
    await _work(api).holding.step(job_id, epoch, name, asks.kept(ask.result, "result"))
    return reply(answers.StepStored(job_id, name))


async def artifact(api: Api, request: web.Request) -> web.Response:
    """Keep a file, which is the body as it is, as an artefact of the job: whole, or not there.

    The same name again replaces it. It is listed and served with the job's artefacts, and goes with the job.
    """
    job_id, epoch = _held(api, request)
    name, shelf = request.match_info["name"], _work(api).artifacts
    if request.content_length is not None and request.content_length > shelf.limit:
        raise ArtifactTooLarge(f"artefacts of up to {shelf.limit} bytes are taken (MAX_UPLOAD_MB)")
    if coding_of(request) is not None:
        raise UnknownEncoding("an artefact is taken as it is, not packed")
    sent = await shelf.store(job_id, epoch, name, chunks_of_body(request), request.content_length)
    return reply(answers.ArtifactStored(job_id, name, sent.size, sent.digest))


async def complete(api: Api, request: web.Request) -> web.Response:
    """End the run: all of the work is done."""
    body = await read_object(request, api.settings.max_body)
    outcome = asks.completed(requests.taken(asks.ResultAsk, body))
    return await _settled(api, request, asks.call_of("complete", body), lambda _: outcome)


async def partial(api: Api, request: web.Request) -> web.Response:
    """End the run: part of the work is done, and `missing` lists what is not."""
    body = await read_object(request, api.settings.max_body)
    outcome = asks.partial(requests.taken(asks.PartialAsk, body))
    return await _settled(api, request, asks.call_of("partial", body), lambda _: outcome)


async def fail(api: Api, request: web.Request) -> web.Response:
    """End the run: it failed, and is tried again as its class and the retry policy say."""
    body = await read_object(request, api.settings.max_body)
    ask = requests.taken(asks.FailAsk, body)
    return await _settled(api, request, asks.call_of("fail", body), lambda job: asks.failed(ask, job))


async def release(api: Api, request: web.Request) -> web.Response:
    """Give the job back to the queue, at no cost."""
    body = await read_object(request, api.settings.max_body)
    outcome = asks.released(requests.taken(asks.ReleaseAsk, body))
    return await _settled(api, request, asks.call_of("release", body), lambda _: outcome)


async def _settled(api: Api, request: web.Request, call: str, outcome: Callable[[Job], Outcome]) -> web.Response:
    job_id, epoch = _held(api, request)
    return reply(answers.settled(job_id, await _work(api).holding.settle(job_id, epoch, call, outcome)))


def _held(api: Api, request: web.Request) -> tuple[JobId, int]:
    """The job and the epoch that the token in the path stands for, for this caller; LeaseLost for any other token."""
    token, caller = request.match_info["token"], caller_of(request)
    found = api.remote.tokens.read(token, caller.id) if api.remote else None
    if found is None:  # or since a restart nothing is leased here any more
        raise LeaseLost("", 0, NO_LEASE)
    return found


def _work(api: Api) -> RemoteWork:
    if api.remote is None:
        raise BadPayload(FieldError("types", "no job type is leased here"))
    return api.remote
