"""Job endpoints: submit, look, list, cancel, retry."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import requests, serialize, trailtag
from secondunit.daemon.http.contract.idempotency import idempotency_keys
from secondunit.daemon.http.transport.json_bodies import read_object
from secondunit.daemon.http.transport.problems import TooLarge, fields_of
from secondunit.daemon.http.transport.replies import encoded_plain, reply, reply_encoded
from secondunit.daemon.http.transport.short_way import written
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable, UnknownType
from secondunit.queue.field_faults import MOST_FAULTS
from secondunit.queue.json_text import dump
from secondunit.queue.model import Submission
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
    body = await read_object(request, api.settings.max_batch)
    ask = requests.taken(requests.BatchAsk, body)
    _check_sizes(body["jobs"], api.settings.max_body)
    keys = idempotency_keys(request.headers.get("Idempotency-Key"), body, len(ask.jobs))
    submissions = [
        requests.submission(one, api.queue.registry, api.rule, key, f"jobs.{index}.")
        for index, (one, key) in enumerate(zip(ask.jobs, keys, strict=True))
    ]
    try:
        stored = await api.queue.submit_all(submissions)
    except (BadPayload, UnknownType, TypeUnavailable):
        raise BadPayload(*_faults(api, submissions)) from None
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


def _check_sizes(jobs: Sequence[Mapping[str, Any]], limit: int) -> None:
    """A job of a batch is no larger than one that comes alone may be."""
    for index, job in enumerate(jobs):
        if (size := len(dump(job).encode())) > limit:
            raise TooLarge(f"jobs.{index} has {size} bytes; a job may have up to {limit}, in a batch as well")


def _words(api: Api) -> ModuleType:
    """Those of who asked for a job; the command line knows the usual ones."""
    return serialize if api.trusted else trailtag


def _faults(api: Api, submissions: Sequence[Submission]) -> list[FieldError]:
    """The refused fields of a batch, under their jobs' places in it, as far as anybody reads."""
    faults: list[FieldError] = []
    for index, submission in enumerate(submissions):
        try:
            validated(api.queue.registry[submission.type], submission.payload)
        except (BadPayload, UnknownType, TypeUnavailable) as error:
            faults += [FieldError(f"jobs.{index}.{fault.field}", fault.message) for fault in fields_of(error)]
        if len(faults) > MOST_FAULTS:
            break
    return faults
