"""Job endpoints: submit, look, list, cancel, retry."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from aiohttp import web

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.access.positions import Positions
from secondunit.daemon.files.uploads import plain
from secondunit.daemon.http.context import Api
from secondunit.daemon.http.contract import batches, filters, requests, responses, serialize, trailtag
from secondunit.daemon.http.contract.idempotency import idempotency_keys
from secondunit.daemon.http.traces import note_made, traced
from secondunit.daemon.http.transport.admission import count_jobs
from secondunit.daemon.http.transport.audit import SCRIBE, note
from secondunit.daemon.http.transport.auth import caller_of, job_of
from secondunit.daemon.http.transport.bodies.json_batches import read_batch
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import fields_of
from secondunit.daemon.http.transport.replies import encoded_list, encoded_plain, reply, reply_encoded
from secondunit.daemon.http.transport.short_way import written
from secondunit.queue.errors import (
    BadDependencies,
    BadPayload,
    FieldError,
    JobNotFound,
    NotAllowed,
    TypeUnavailable,
    UnknownType,
)
from secondunit.queue.graph.bulk import Bulk
from secondunit.queue.model import Counts, Filter, Job, Page, Status, Submission
from secondunit.queue.payloads.field_faults import MOST_FAULTS
from secondunit.queue.payloads.secret_fields import account_of
from secondunit.queue.turns import in_turns
from secondunit.queue.validation import judged
from secondunit.queue.value import replace

ALL = "all types"


async def submit(api: Api, request: web.Request) -> web.StreamResponse:
    """Take one job: 201 once it is on disk, 200 if its idempotency key stands for it already."""
    body = await read_object(request, api.settings.max_body)
    job, created = await submitted(api, request, body, request.headers.get("Idempotency-Key"))
    content = encoded_plain(serialize.accepted(job, await api.queue.paused()))
    return written(request, 201 if created else 200, content, f"/api/jobs/{job.id}")


async def submitted(
    api: Api, request: web.Request, body: Mapping[str, Any], key: str | None, labels: Mapping[str, str] | None = None
) -> tuple[Job, bool]:
    """The job that this body asks for, on disk; False if it was there already. `labels` are kept with a new one."""
    ask, caller = requests.taken(requests.SubmitAsk, body), caller_of(request)
    [idempotency] = idempotency_keys(key, body, owner=caller.prefix)
    asked = requests.submission(ask, api.queue.registry, api.rule, idempotency, caller)
    [asked] = traced(request, [replace(asked, labels=labels) if labels else asked])
    _check_own(api, caller, [asked])
    count_jobs(request, 1)
    try:
        job, created = await api.queue.submit(asked, caller.sees)
    except BadDependencies as error:
        raise batches.misplaced(error) from None
    except UnknownType as error:
        raise await _placed(api, error) from None
    _note_submits(api, request, [(job, created)])
    return job, created


async def submit_batch(api: Api, request: web.Request) -> web.Response:
    """Take many jobs, all or none."""
    settings, key = api.settings, request.headers.get("Idempotency-Key")
    body = await read_batch(request, settings.max_batch, settings.max_body, requests.LARGEST_BATCH)
    frame, caller = batches.frame(body), caller_of(request)
    asks = await batches.asked(frame)
    keyed = partial(idempotency_keys, key, body, len(asks), owner=caller.prefix)
    keys = keyed() if key is None else await asyncio.to_thread(keyed)
    batch = api.queue.new_batch(frame.name, batches.target(frame, api.rule), caller.prefix)
    submissions = await batches.submissions(asks, api.queue.registry, api.rule, keys, caller, batch)
    _check_own(api, caller, submissions)
    count_jobs(request, len(submissions))
    try:
        stored = await api.queue.submit_all(traced(request, submissions), batch=batch, sees=caller.sees)
    except BadDependencies as error:
        raise batches.misplaced(error, in_batch=True) from None
    except (BadPayload, UnknownType, TypeUnavailable):
        raise BadPayload(*await _faults(api, submissions)) from None
    _note_submits(api, request, stored)
    created = any(new for _, new in stored)
    answer = batches.accepted([job for job, _ in stored], await api.queue.paused())
    return reply_encoded(encoded_plain(answer), 201 if created else 200)


async def show(api: Api, request: web.Request) -> web.Response:
    """Everything about one job."""
    job = await job_of(api, request)
    paused, outlook = await api.queue.paused(), await api.answers.forecast(job)
    return reply(_words(api).detail(job, api.queue.registry, paused, outlook))


async def find(api: Api, request: web.Request) -> web.Response:
    """Jobs newest first."""
    ask, caller = requests.query(requests.ListQuery, request.query), caller_of(request)
    places = Positions(api.queue.secret, caller.tenant, "jobs")
    meant = filters.filter_of(ask, caller, api.queue.registry, api.clock.now())
    counts, paused = await _counts(api, caller), await api.queue.paused()
    async with api.pages:
        page = await api.queue.find(meant, requests.cursor_of(ask, places), ask.limit)
        frame = serialize.page(replace(page, jobs=()), counts, api.queue.registry, paused, places.shown)
        return reply_encoded(await encoded_list(frame, "jobs", details(api, page, paused)))


def details(api: Api, page: Page, paused: Collection[str]) -> Iterator[responses.Job]:
    """The jobs of a page, made as they are taken."""
    outlook = api.answers.forecast.at_once
    return (serialize.detail(job, api.queue.registry, paused, outlook(job)) for job in page.jobs)


async def cancel(api: Api, request: web.Request) -> web.Response:
    """Cancel a job; for a running one, answer once its processes are gone."""
    job, scribe = await job_of(api, request), request[SCRIBE]
    entry = await scribe.write(job.id, job.type)  # first: the processes of one that runs take their time to end
    try:
        job = await api.queue.cancel(job.id)
    except (JobNotFound, NotAllowed):
        await scribe.withdraw(entry)
        raise
    return reply(_words(api).moved(job))


async def retry(api: Api, request: web.Request) -> web.Response:
    """Queue an ended job again."""
    job = await job_of(api, request)
    caller_of(request).check_types([job.type])
    job = await api.queue.retry(job.id)
    note(request, job.id, job.type)
    return reply(_words(api).moved(job))


async def cancel_all(api: Api, request: web.Request) -> web.Response:
    """Cancel all jobs that match."""
    return await _bulk(api, request, api.queue.cancel_all)


async def retry_all(api: Api, request: web.Request) -> web.Response:
    """Retry all jobs that match."""
    return await _bulk(api, request, partial(retry_own, api, caller_of(request)))


async def retry_own(api: Api, caller: Caller, matching: Filter) -> Bulk:
    """Retry those of the types that the key is for; it may not submit others, nor again."""
    if caller.types is None:
        return await api.queue.retry_all(matching)
    own = sorted({*caller.types} & {*(matching.types or caller.types)})
    return await api.queue.retry_all(replace(matching, types=own)) if own else Bulk((), ())


async def _bulk(api: Api, request: web.Request, move: Callable[[Filter], Awaitable[Bulk]]) -> web.Response:
    ask = requests.taken(requests.BulkAsk, await read_object(request, api.settings.max_body))
    filter = filters.bulk_filter(ask, caller_of(request), api.queue.registry, api.clock.now())
    return reply(serialize.bulk(await told_first(request, ask, partial(move, filter))))


async def told_first(
    request: web.Request,
    ask: requests.BulkAsk,
    move: Callable[[], Awaitable[Bulk]],
    target: str | None = None,
    action: str | None = None,
) -> Bulk:
    """Move many, which the audit trail says from the beginning on, under the call's word or `action`."""
    meant, scribe = filters.meant(ask), request[SCRIBE]
    entry = await scribe.write(target, f"{meant}: begun", action)
    moved = await move()
    if moved.done:
        await scribe.finish(entry, f"{meant}: {len(moved.done)} done, {len(moved.refused)} refused")
    else:
        await scribe.withdraw(entry)
    return moved


async def _counts(api: Api, caller: Caller) -> Counts:
    """How busy the queue is, or what of it is the caller's, who may not know of the rest."""
    if caller.tenant is None:
        return await api.queue.counts()
    queued, running = [
        (await api.queue.find(Filter([status], owner=caller.tenant), None, 1)).total
        for status in (Status.QUEUED, Status.RUNNING)
    ]
    return Counts({ALL: queued}, {ALL: running}, {}, None)


def _check_own(api: Api, caller: Caller, asked: Sequence[Submission]) -> None:
    """Refuse types that the key is not for, and uploads by their names: an upload may be another's."""
    caller.check_types([one.type for one in asked])
    if caller.tenant is None or api.analyses is None:
        return
    folder = plain(str(api.analyses.uploads.folder.absolute()))
    for one in asked:
        spec = api.queue.registry.known(one.type)
        names = spec.uploads if spec else None
        if names and any(plain(path).is_relative_to(folder) for path in names(one.payload)):
            raise BadPayload(FieldError("payload", "names an upload; send the file itself to POST /analyze"))


def _note_submits(api: Api, request: web.Request, stored: Sequence[tuple[Job, bool]]) -> None:
    """Audit those that change something outside, such as what is deployed; all that are new belong to the request."""
    note_made(request, stored)
    for job, created in stored:
        if created and api.queue.registry[job.type].audited:
            note(request, job.id, account_of(job, api.queue.registry.secrets_of(job.type)), job.type)


async def _placed(api: Api, error: UnknownType) -> UnknownType:
    """The same, with the boxes that run the type."""
    boxes = [box.name for box in await api.answers.boxes() if error.type in box.limits and box.state == "up"]
    return UnknownType(error.type, error.known, boxes)


def _words(api: Api) -> ModuleType:
    """Those of who asked for a job; the command line knows the usual ones."""
    return serialize if api.trusted else trailtag


async def _faults(api: Api, submissions: Sequence[Submission]) -> list[FieldError]:
    """The refused fields of a batch, under their jobs' places in it, as far as anybody reads."""
    faults: list[FieldError] = []
    async for index, submission in in_turns(enumerate(submissions)):
        try:
            judged(submission, api.queue.registry, api.queue.locality)
        except (BadPayload, UnknownType, TypeUnavailable) as refusal:
            error = await _placed(api, refusal) if isinstance(refusal, UnknownType) else refusal
            faults += [FieldError(f"jobs.{index}.{fault.field}", fault.message) for fault in fields_of(error)]
        if len(faults) > MOST_FAULTS:
            break
    return faults[:MOST_FAULTS]
