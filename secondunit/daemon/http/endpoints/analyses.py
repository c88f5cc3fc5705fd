"""Analysis endpoints: post a video, or its address, and wait for the recipe: an ordinary job, shared by twins."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import BodyPartReader, web

from secondunit.daemon.files.uploads import Upload, UploadTooLarge
from secondunit.daemon.http.context import Analyses, Api
from secondunit.daemon.http.contract import serialize
from secondunit.daemon.http.contract.video_requests import (
    LANGUAGE,
    URL_FIELDS,
    VIDEO,
    AnalysisRequest,
    addressed,
    given,
    upload_payload,
    uploaded,
)
from secondunit.daemon.http.traces import note_made, traced
from secondunit.daemon.http.transport.admission import count_jobs
from secondunit.daemon.http.transport.auth import caller_of, is_seen
from secondunit.daemon.http.transport.bodies.forms import (
    CHUNK,
    MULTIPART,
    URLENCODED,
    chunks_of,
    fields_of_form,
    kind_of,
    parts_of,
    text_of,
)
from secondunit.daemon.http.transport.bodies.json_bodies import read_object
from secondunit.daemon.http.transport.problems import ProblemType, TooLarge, WrongForm, problem
from secondunit.daemon.http.transport.replies import reply
from secondunit.handlers.analyze.strategy import as_cached, cache_key, strategy
from secondunit.queue.errors import BadPayload, Draining, FieldError, TypeUnavailable
from secondunit.queue.model import HIGHEST_PRIORITY, Job, Status, Submission
from secondunit.queue.validation import validated
from secondunit.queue.value import Value

TYPE = "analyze"
ENDED_WITHOUT_RECIPE: Mapping[str, ProblemType] = {
    "deterministic": ProblemType(422, "analysis-failed", "The video can't be analysed"),
    "transient": ProblemType(502, "analysis-unavailable", "The analysis failed, and so did trying it again"),
    "timeout": ProblemType(502, "analysis-unavailable", "The analysis took too long, and so did trying it again"),
    "cancelled": ProblemType(409, "analysis-cancelled", "The analysis was cancelled"),
}
DRAINED = ProblemType(503, "draining", "The daemon shuts down; the job goes on once it is back", retry_after=10)


class CachedAnalysis(Value, frozen=True):
    """A result that was there already, and the job that made it."""

    job_id: str
    result: Mapping[str, Any]


async def upload(api: Api, request: web.Request) -> web.Response:
    """Take a video as the file field `video` and answer with its recipe."""
    return await _answer(api, request, _desk(api, request), await uploaded_video(api, request))


async def uploaded_video(api: Api, request: web.Request) -> CachedAnalysis | Job:
    """The result that is there for the video of this form, or the job that makes it."""
    desk = _desk(api, request)
    _check_upload(api, request, desk)
    async with _received(request, desk) as wanted:
        return await _known_or_submitted(api, request, desk, wanted)


async def from_url(api: Api, request: web.Request) -> web.Response:
    """Take a video's address as `video_url` and answer with its recipe."""
    desk = _desk(api, request)
    wanted = addressed(await _url_fields(api, request))
    found = await _known_or_submitted(api, request, desk, wanted)
    return await _answer(api, request, desk, found)


async def _known_or_submitted(
    api: Api, request: web.Request, desk: Analyses, wanted: AnalysisRequest
) -> CachedAnalysis | Job:
    """The stored result, or the job that makes it: a new one, or the one that lives for others who asked here.

    A tenant is told of no job but its own: where another's made the result, one of its own takes it from there.
    """
    caller = caller_of(request)
    try:
        validated(api.queue.registry[TYPE], wanted.payload)
    except BadPayload as error:
        raise BadPayload(*(wanted.fault(fault) for fault in error.errors)) from None
    key = cache_key(wanted.identity, strategy(desk.model, None, wanted.language))
    if stored := await desk.results.get(key):
        result, maker = stored
        if await is_seen(api, caller, maker):
            return CachedAnalysis(maker, result)
    count_jobs(request, 1)
    asked = Submission(
        TYPE, wanted.payload, HIGHEST_PRIORITY, dedupe_key=caller.own(f"asked {key}"), source=TYPE,
        submitted_by=caller.name, owner=caller.prefix,
    )  # fmt: skip
    [(job, created)] = await api.queue.submit_all(traced(request, [asked]))
    note_made(request, [(job, created)])
    return job


async def _answer(api: Api, request: web.Request, desk: Analyses, found: CachedAnalysis | Job) -> web.Response:
    if isinstance(found, CachedAnalysis):
        return reply(serialize.recipe(found.job_id, as_cached(found.result)))
    if "respond-async" in request.headers.get("Prefer", "").lower():
        return _accepted(found)
    return await _waited(api, desk, found)


async def _waited(api: Api, desk: Analyses, job: Job) -> web.Response:
    """The end of the job, if it comes before the caller's deadline and the daemon's end."""
    ended = asyncio.ensure_future(api.queue.wait(job.id))
    stopping = asyncio.ensure_future(api.stopping.wait())
    deadline = asyncio.ensure_future(api.clock.sleep(desk.wait_seconds))
    try:
        await asyncio.wait([ended, stopping, deadline], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return _ended(ended.result())
        if stopping.done():
            return _refusal(DRAINED, f"{job.id} goes on when the daemon is back", job)
        return _accepted(await api.queue.get(job.id))
    finally:
        for task in (ended, stopping, deadline):
            task.cancel()


def _ended(job: Job) -> web.Response:
    if job.status is Status.COMPLETED:
        return reply(serialize.recipe(job.id, job.result))
    why = "cancelled" if job.status is Status.CANCELLED or job.error is None else job.error.kind
    return _refusal(ENDED_WITHOUT_RECIPE[why], job.error.message if job.error else f"{job.id} is {job.status}", job)


def _accepted(job: Job) -> web.Response:
    return reply(serialize.moved(job), 202, {"Location": f"/api/jobs/{job.id}"})


def _refusal(kind: ProblemType, detail: str, job: Job) -> web.Response:
    headers = {} if kind.retry_after is None else {"Retry-After": str(kind.retry_after)}
    return problem(kind, detail, headers=headers, more=serialize.without_recipe(job))


def _check_upload(api: Api, request: web.Request, desk: Analyses) -> None:
    """Refuse, before the body is read, what could not be taken after it."""
    if (kind := kind_of(request)) != MULTIPART:
        raise WrongForm(f"the Content-Type is {kind}; send {MULTIPART} with a file field video")
    validated(api.queue.registry[TYPE], upload_payload(desk.uploads.folder / VIDEO))
    if request.content_length is not None and request.content_length > desk.uploads.limit + CHUNK:
        raise TooLarge(f"videos of up to {desk.uploads.limit >> 20} MiB are taken (MAX_UPLOAD_MB)")


@asynccontextmanager
async def _received(request: web.Request, desk: Analyses) -> AsyncIterator[AnalysisRequest]:
    """The form, read to its end, with the video on disk for as long as this is open."""
    stored: Upload | None = None
    language: str | None = None
    async with AsyncExitStack() as stack:
        async for part in parts_of(request, (VIDEO, LANGUAGE)):
            if part.name == VIDEO:
                stored = await _stored(stack, desk, part)
            else:
                language = (await text_of(part)).strip() or None
        if stored is None:
            raise BadPayload(FieldError(VIDEO, "is required: a file field with the video's content"))
        yield uploaded(stored.path, stored.digest, language)


async def _stored(stack: AsyncExitStack, desk: Analyses, part: BodyPartReader) -> Upload:
    if part.filename is None:
        raise BadPayload(FieldError(VIDEO, "is a text field; send the file's content (curl: -F video=@FILE)"))
    try:
        stored = await stack.enter_async_context(desk.uploads.received(chunks_of(part)))
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from None
    if stored.size == 0:
        raise BadPayload(FieldError(VIDEO, "is empty"))
    return stored


async def _url_fields(api: Api, request: web.Request) -> Mapping[str, Any]:
    if kind_of(request) in (MULTIPART, URLENCODED):
        return given(await fields_of_form(request, URL_FIELDS, api.settings.max_body))
    return await read_object(request, api.settings.max_body)


def _desk(api: Api, request: web.Request) -> Analyses:
    """What analyses are taken with; else the refusal, before anything is read."""
    caller_of(request).check_types([TYPE])
    if api.queue.draining:
        raise Draining("the daemon is shutting down; ask again once it is back")
    api.queue.registry[TYPE]
    if api.analyses is None:
        raise TypeUnavailable(TYPE, "set GEMINI_API_KEY to a key for the Gemini API")
    api.analyses.admit()
    return api.analyses
