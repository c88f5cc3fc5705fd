"""Job endpoints: submit, look, list, cancel, retry."""

import asyncio
from collections.abc import Sequence
from functools import partial
from types import ModuleType

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import batches, requests, serialize, trailtag
from secondunit.daemon.http.contract.idempotency import idempotency_keys
from secondunit.daemon.http.transport.bodies.json_batches import read_batch
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import fields_of
from secondunit.daemon.http.transport.replies import encoded_plain, reply, reply_encoded
from secondunit.daemon.http.transport.short_way import written
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable, UnknownType
from secondunit.queue.field_faults import MOST_FAULTS
from secondunit.queue.model import Submission
from secondunit.queue.turns import in_turns
from secondunit.queue.validation import validated


async def submit(api: Api, request: web.Request) -> web.StreamResponse:
    """Take one job: 201 once it is on disk, 200 if its idempotency key stands for it already."""
    body = await read_object(request, api.settings.max_body)
    ask = requests.taken(requests.SubmitAsk, body)
    [idempotency] = idempotency_keys(request.headers.get("Idempotency-Key"), body)
    job, created = await api.queue.submit(requests.submission(ask, api.queue.registry, api.rule, idempotency))
    content = encoded_plain(serialize.accepted(job, await api.queue.paused()))
    return written(request, 201 if created else 200, content, f"/api/jobs/{job.id}")


async def submit_batch(api: Api, request: web.Request) -> web.Response:
    """Take many jobs, all or none."""
    settings, key = api.settings, request.headers.get("Idempotency-Key")
    body = await read_batch(request, settings.max_batch, settings.max_body, requests.LARGEST_BATCH)
    asks = await batches.asked(body)
    keyed = partial(idempotency_keys, key, body, len(asks))
    keys = keyed() if key is None else await asyncio.to_thread(keyed)
    submissions = await batches.submissions(asks, api.queue.registry, api.rule, keys)
    try:
        stored = await api.queue.submit_all(submissions)
    except (BadPayload, UnknownType, TypeUnavailable):
        raise BadPayload(*await _faults(api, submissions)) from None
    created = any(new for _, new in stored)
    answer = serialize.batch((job for job, _ in stored), await api.queue.paused())
    return reply_encoded(encoded_plain(answer), 201 if created else 200)


async def show(api: Api, request: web.Request) -> web.Response:
    """Everything about one job."""
    job = await api.queue.get(request.match_info["id"])
    return reply(_words(api).detail(job, api.queue.registry, await api.queue.paused()))


async def find(api: Api, request: web.Request) -> web.Response:
    """Jobs newest first."""
    ask = requests.query(requests.ListQuery, request.query)
    page = await api.queue.find(requests.filter_of(ask), ask.cursor, ask.limit)
    counts, paused = await api.queue.counts(), await api.queue.paused()
    return reply(serialize.page(page, counts, api.queue.registry, paused))


async def cancel(api: Api, request: web.Request) -> web.Response:
    """Cancel a job; for a running one, answer once its processes are gone."""
    return reply(_words(api).moved(await api.queue.cancel(request.match_info["id"])))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Queue an ended job again."""
    return reply(_words(api).moved(await api.queue.retry(request.match_info["id"])))


async def cancel_all(api: Api, request: web.Request) -> web.Response:
    """Cancel all jobs that match."""
    body = await read_object(request, api.settings.max_body)
    return reply(
        serialize.bulk(await api.queue.cancel_all(requests.bulk_filter(requests.taken(requests.BulkAsk, body))))
    )


async def retry_all(api: Api, request: web.Request) -> web.Response:
    """Retry all jobs that match."""
    body = await read_object(request, api.settings.max_body)
    return reply(
        serialize.bulk(await api.queue.retry_all(requests.bulk_filter(requests.taken(requests.BulkAsk, body))))
    )


def _words(api: Api) -> ModuleType:
    """Those of who asked for a job; the command line knows the usual ones."""
    return serialize if api.trusted else trailtag


async def _faults(api: Api, submissions: Sequence[Submission]) -> list[FieldError]:
    """The refused fields of a batch, under their jobs' places in it, as far as anybody reads."""
    faults: list[FieldError] = []
    async for index, submission in in_turns(enumerate(submissions)):
        try:
            validated(api.queue.registry[submission.type], submission.payload)
        except (BadPayload, UnknownType, TypeUnavailable) as error:
            faults += [FieldError(f"jobs.{index}.{fault.field}", fault.message) for fault in fields_of(error)]
        if len(faults) > MOST_FAULTS:
            break
    return faults
