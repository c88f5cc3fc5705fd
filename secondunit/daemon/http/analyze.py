"""The analysis endpoints: post a video, or its address, and wait for the recipe: an ordinary job, shared by twins."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from secondunit.daemon.http import wire
from secondunit.daemon.http.api import Analyses, Api
from secondunit.daemon.http.bodies import read_object
from secondunit.daemon.http.problems import Kind, NotJson, TooLarge, WrongForm, problem
from secondunit.daemon.http.reply import reply
from secondunit.daemon.uploads import Upload, UploadTooLarge
from secondunit.handlers.tools.strategy import cache_key, strategy, url_identity
from secondunit.queue.errors import BadPayload, Draining, FieldError, TypeUnavailable
from secondunit.queue.model import HIGHEST_PRIORITY, Job, JobId, Status
from secondunit.queue.service import Submission
from secondunit.queue.validation import validated

CHUNK = 256 * 1024
LONGEST_FIELD = 8192
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
URL_FIELDS = ("video_url", "language")
ENDED_WITHOUT_RECIPE: Mapping[str, Kind] = {
    "deterministic": Kind(422, "analysis-failed", "The video can't be analysed"),
    "transient": Kind(502, "analysis-unavailable", "The analysis failed, and so did trying it again"),
    "timeout": Kind(502, "analysis-unavailable", "The analysis took too long, and so did trying it again"),
    "cancelled": Kind(409, "analysis-cancelled", "The analysis was cancelled"),
}
DRAINED = Kind(503, "draining", "The daemon shuts down; the job goes on once it is back", retry_after=10)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A video to be analysed: `identity` is the same for the same video."""

    payload: Mapping[str, str]
    identity: str
    language: str | None


async def upload(api: Api, request: web.Request) -> web.Response:
    """Take a video as the file field `video` and answer with its recipe."""
    desk = _desk(api)
    stored, fields = await _received(api, request, desk)
    return await _answer(
        api, request, desk, Wanted({"videoPath": str(stored.path)}, f"sha256:{stored.digest}", *fields)
    )


async def from_url(api: Api, request: web.Request) -> web.Response:
    """Take a video's address as `video_url` and answer with its recipe."""
    desk = _desk(api)
    fields = await _url_fields(api, request)
    url = fields.get("video_url")
    if not isinstance(url, str) or not url:
        raise BadPayload(FieldError("video_url", "is required: the http(s) address of a video"))
    try:
        return await _answer(api, request, desk, Wanted({"videoUrl": url}, url_identity(url), fields.get("language")))
    except ValueError as error:
        raise BadPayload(FieldError("video_url", f"is no address: {error}")) from None


async def _answer(api: Api, request: web.Request, desk: Analyses, wanted: Wanted) -> web.Response:
    payload = dict(wanted.payload)
    if wanted.language:
        payload["language"] = wanted.language
    try:
        validated(api.queue.registry["analyze"], payload)
    except BadPayload as error:
        raise BadPayload(*(_as_field(fault) for fault in error.errors)) from None
    key = cache_key(wanted.identity, strategy(desk.model, None, wanted.language))
    if found := await desk.results.get(key):
        result, maker = found
        return reply(_answered(maker, result, cached=True))
    asked = Submission("analyze", payload, HIGHEST_PRIORITY, dedupe_key=f"asked {key}", source="analyze")
    job, _ = await api.queue.submit(asked)
    if "respond-async" in request.headers.get("Prefer", ""):
        return _accepted(job)
    return await _waited(api, desk, job)


async def _waited(api: Api, desk: Analyses, job: Job) -> web.Response:
    """The end of the job, if it comes before the caller's patience, or the daemon's life, is over."""
    ended = asyncio.ensure_future(api.queue.wait(job.id))
    stopping = asyncio.ensure_future(api.stopping.wait())
    try:
        await asyncio.wait([ended, stopping], timeout=desk.wait_seconds, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return _ended(ended.result())
        if stopping.done():
            return _refusal(DRAINED, f"{job.id} goes on when the daemon is back", job)
        return _accepted(await api.queue.get(job.id))
    finally:
        ended.cancel()
        stopping.cancel()


def _ended(job: Job) -> web.Response:
    if job.status is Status.COMPLETED:
        return reply(_answered(job.id, job.result))
    error = job.error
    kind = ENDED_WITHOUT_RECIPE[error.kind if error else "deterministic"]
    return _refusal(kind, error.message if error else str(job.status), job)


def _answered(job_id: JobId, result: Mapping[str, Any], *, cached: bool = False) -> dict[str, Any]:
    metadata = {**result["metadata"], "cached": True} if cached else result["metadata"]
    return {"jobId": job_id, "recipe": result["recipe"], "metadata": metadata}


def _accepted(job: Job) -> web.Response:
    return reply({"jobId": job.id, "status": job.status.value}, 202, {"Location": f"/api/jobs/{job.id}"})


def _refusal(kind: Kind, detail: str, job: Job) -> web.Response:
    headers = {} if kind.retry_after is None else {"Retry-After": str(kind.retry_after)}
    return problem(kind, detail, headers=headers, more={"jobId": job.id, "error": wire.failure(job.error)})


async def _received(api: Api, request: web.Request, desk: Analyses) -> tuple[Upload, tuple[str | None]]:
    if request.content_type != "multipart/form-data":
        raise WrongForm(f"the Content-Type is {request.content_type}; send multipart/form-data with a file field video")
    validated(api.queue.registry["analyze"], {"videoPath": str(desk.uploads.folder / "upload")})
    if request.content_length is not None and request.content_length > desk.uploads.limit + CHUNK:
        raise TooLarge(f"videos of up to {desk.uploads.limit >> 20} MiB are taken; MAX_UPLOAD_MB sets the limit")
    stored: Upload | None = None
    language = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            if part.name == "video" and stored is None:
                stored = await desk.uploads.receive(_chunks(part))
            elif part.name == "language":
                language = (await part.read_chunk(LONGEST_FIELD)).decode("utf-8", "replace").strip() or None
    except UploadTooLarge as error:
        raise TooLarge(str(error)) from None
    except (ValueError, HttpProcessingError, web.RequestPayloadError, ConnectionResetError) as error:
        raise NotJson(f"the form can't be read: {error}") from None
    if stored is None or stored.size == 0:
        raise BadPayload(FieldError("video", "is required: a file field with the video's content"))
    return stored, (language,)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK):
        yield part.decode(chunk)


async def _url_fields(api: Api, request: web.Request) -> Mapping[str, Any]:
    if request.content_type not in FORMS:
        fields: Mapping[str, Any] = await read_object(request, api.settings.max_body)
    else:
        try:
            form = await request.post()
        except (ValueError, HttpProcessingError, web.RequestPayloadError) as error:
            raise NotJson(f"the form can't be read: {error}") from None
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    unknown = [FieldError(name, "unknown field") for name in fields if name not in URL_FIELDS]
    if unknown:
        raise BadPayload(*unknown)
    return fields


def _desk(api: Api) -> Analyses:
    if api.queue.draining:
        raise Draining("the daemon is shutting down; ask again once it is back")
    api.queue.registry["analyze"]
    if api.analyses is None:
        raise TypeUnavailable("analyze", "set GEMINI_API_KEY to a key for the Gemini API")
    return api.analyses


def _as_field(fault: FieldError) -> FieldError:
    names = {"payload.videoUrl": "video_url", "payload.videoPath": "video", "payload.language": "language"}
    return FieldError(names.get(fault.field, fault.field), fault.message)
