"""Problem details (RFC 9457): one table from an error to its status, word, title and Retry-After."""

from collections.abc import Mapping, Sequence
from typing import cast

from aiohttp import web

from secondunit.daemon.access.callers import WrongType
from secondunit.daemon.automation.timetable import NoSuchSchedule
from secondunit.daemon.files.artifacts import NoSuchArtifact, StorageAway
from secondunit.daemon.http.transport.replies import SAFE_LINES, encoded
from secondunit.daemon.leasing.artifacts import ArtifactTooLarge
from secondunit.queue import errors
from secondunit.queue.errors import FieldError
from secondunit.queue.value import Value

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:secondunit:problem:"


class RequestRefused(Exception):
    """A request that the HTTP room refuses itself; the message is for the caller."""


class NotJson(RequestRefused):
    """The body is no JSON document that can be taken as it is written."""


class NotAJsonType(RequestRefused):
    """The Content-Type says that the body is something else than JSON."""


class WrongForm(RequestRefused):
    """The Content-Type is none that this call takes."""


class BrokenBody(RequestRefused):
    """The body does not come as its head says."""


class BrokenEncoding(RequestRefused):
    """The body is packed in a way that is known, and can't be unpacked."""


class UnknownEncoding(RequestRefused):
    """The body is packed in a way that is not known here, or at this call."""


class TwoHeaders(RequestRefused):
    """A header that can be there once is there with two values."""


class TwoKeys(RequestRefused):
    """The request carries the keys of two callers."""

    def __init__(self) -> None:
        super().__init__(
            "the request carries two different keys, so it can't be told who calls; send one, in Authorization,"
            " X-API-Key, ?token= or the session's cookie"
        )


class UnknownExpectation(RequestRefused):
    """The request expects something else than to be told to go on."""


class BrokenForm(RequestRefused):
    """The form is none that can be read to its end."""


class TooLarge(RequestRefused):
    """The body is longer than this call takes."""


class Unauthorized(RequestRefused):
    """No valid key: the same words whether it was missing, wrong or malformed."""

    def __init__(self) -> None:
        super().__init__("send a valid key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'")


class NoKeyYet(RequestRefused):
    """There is no key, and the caller is no program of the daemon's own account, or can't be seen to be one."""

    def __init__(self, own: int, owner: int | None) -> None:
        whose = "whose account can't be seen" if owner is None else f"of uid {owner}"
        super().__init__(
            f"this daemon has no key, so it serves programs of its own account (uid {own}) and root alone, and this"
            f" call came from one {whose}; make a key on its box with `secondunit keys add NAME --scope read --scope"
            " submit`, or set API_KEY, and send it as 'Authorization: Bearer KEY'"
        )


class NotYours(RequestRefused):
    """The control socket is for others."""


class ScopeTooSmall(RequestRefused):
    """The key is valid, but not for this call."""


class Published(RequestRefused):
    """A keyless daemon was reached through a proxy."""


class TooManyConnections(RequestRefused):
    """A key has as many connections as one may have."""


class TooManyStreams(RequestRefused):
    """A key, or an address without one, has as many event streams as it may have."""


class ForeignOrigin(RequestRefused):
    """A page of another site asks a keyless daemon to change something."""


class WrongHost(RequestRefused):
    """The Host header names somebody else."""


class TooMany(RequestRefused):
    """The caller is over its rate; `retry_after` in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests; try again in {retry_after} s")
        self.retry_after = retry_after


class PreconditionFailed(RequestRefused):
    """A file is not as the request says that it must be."""


class RangeUnsatisfiable(RequestRefused):
    """The range that is asked for is none of this file, which has so many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the file has {size} bytes; ask for one range of them, such as bytes=0-99")
        self.size = size


class NoSuchDelivery(RequestRefused):
    """No delivery has this id."""


class NoSuchKey(RequestRefused):
    """No access key has this prefix."""


class NoSuchLocations(RequestRefused):
    """No result is stored of this video, or none by this strategy."""

    def __init__(self, video: str, strategy: str | None) -> None:
        how = f" by strategy {strategy}" if strategy else ""
        super().__init__(f"no places are stored of video {video}{how}; ask for them at POST /api/videos/analyze")


class ProblemType(Value, frozen=True):
    """How one sort of error is told: `retry_after` in seconds."""

    status: int
    word: str
    title: str
    retry_after: int | None = None


NO_ROOM = ProblemType(503, "too-many-connections", "Too many connections", retry_after=5)
PROBLEM_TYPES: Mapping[type[Exception], ProblemType] = {
    NotJson: ProblemType(400, "not-json", "The body is not JSON"),
    BrokenBody: ProblemType(400, "broken-body", "The body can't be read"),
    BrokenEncoding: ProblemType(400, "broken-encoding", "The body can't be unpacked"),
    TwoHeaders: ProblemType(400, "two-headers", "A header stands twice"),
    TwoKeys: ProblemType(400, "two-keys", "Two different keys"),
    BrokenForm: ProblemType(400, "broken-form", "The form can't be read"),
    Unauthorized: ProblemType(401, "unauthorized", "A valid key is needed"),
    NoKeyYet: ProblemType(401, "no-key-yet", "A key is needed, and there is none yet"),
    NotYours: ProblemType(403, "not-yours", "The control socket is not for this program"),
    ScopeTooSmall: ProblemType(403, "scope-too-small", "The key's scope is too small"),
    WrongType: ProblemType(403, "wrong-type", "The key is for other job types"),
    Published: ProblemType(403, "published-without-key", "A daemon without a key must not stand behind a proxy"),
    ForeignOrigin: ProblemType(403, "foreign-origin", "This origin may not change anything here"),
    errors.JobNotFound: ProblemType(404, "job-not-found", "No such job"),
    errors.BatchNotFound: ProblemType(404, "batch-not-found", "No such batch"),
    errors.BoxNotFound: ProblemType(404, "no-such-box", "No such box"),
    NoSuchArtifact: ProblemType(404, "artifact-not-found", "No such artefact"),
    NoSuchDelivery: ProblemType(404, "delivery-not-found", "No such delivery"),
    NoSuchSchedule: ProblemType(404, "schedule-not-found", "No such schedule"),
    NoSuchKey: ProblemType(404, "key-not-found", "No such key"),
    NoSuchLocations: ProblemType(404, "locations-not-found", "No places of this video are stored"),
    errors.NotAllowed: ProblemType(409, "not-allowed", "The job's status forbids this"),
    errors.LeaseLost: ProblemType(409, "lease_lost", "The lease is lost: stop, and write nothing"),
    errors.KeyReused: ProblemType(409, "idempotency-key-reused", "The idempotency key belongs to another request"),
    PreconditionFailed: ProblemType(412, "precondition-failed", "The file is another one"),
    ArtifactTooLarge: ProblemType(413, "artifact-too-large", "The artefact is too large"),
    TooLarge: ProblemType(413, "too-large", "The body is too large"),
    NotAJsonType: ProblemType(415, "not-a-json-type", "The body must be application/json"),
    UnknownEncoding: ProblemType(415, "unknown-encoding", "The Content-Encoding is not taken"),
    RangeUnsatisfiable: ProblemType(416, "range-unsatisfiable", "The file has no such range"),
    UnknownExpectation: ProblemType(417, "unknown-expectation", "The expectation can't be met"),
    WrongForm: ProblemType(415, "wrong-form", "The body must be a form"),
    WrongHost: ProblemType(421, "wrong-host", "The Host header is not one of this daemon's names"),
    errors.SecretsStruck: ProblemType(422, "secrets-struck", "Secrets of the job are not kept any more"),
    errors.BadPayload: ProblemType(422, "bad-fields", "Some fields were refused"),
    errors.UnknownType: ProblemType(422, "unknown-type", "No such job type"),
    errors.TypeUnavailable: ProblemType(422, "type-unavailable", "This job type can't run here"),
    errors.TypeBroken: ProblemType(500, "type-broken", "The job type's own code failed"),
    TooManyConnections: NO_ROOM,
    TooManyStreams: ProblemType(429, "too-many-streams", "Too many event streams", retry_after=30),
    errors.TooManyWaiting: ProblemType(429, "too-many-waiting", "Too many calls wait for jobs", retry_after=30),
    TooMany: ProblemType(429, "too-many-requests", "Too many requests"),
    StorageAway: ProblemType(502, "storage-away", "S3 can't be asked just now", retry_after=10),
    errors.Saturated: ProblemType(503, "saturated", "The queue is full", retry_after=30),
    errors.Draining: ProblemType(503, "draining", "The daemon takes no new work", retry_after=10),
    errors.StoreBroken: ProblemType(503, "store-broken", "The database can't be used", retry_after=10),
    errors.StoreFull: ProblemType(507, "store-full", "The disk is full", retry_after=60),
}
REMEDIES = {404: "nothing is served under this path; GET /api/openapi.json lists every call"}
TOO_SLOW = ProblemType(408, "too-slow", "The request did not come in time")
MALFORMED = ProblemType(400, "malformed", "This is no HTTP request")
UNEXPECTED = ProblemType(500, "internal", "An unexpected error")


def problem_of(error: Exception) -> web.Response | None:
    """The error as a response, or None for one that the table does not know."""
    if isinstance(error, web.HTTPException):
        return _http(error)
    kind = PROBLEM_TYPES.get(type(error))
    if kind is None:
        return None
    headers = {}
    retry_after = error.retry_after if isinstance(error, TooMany) else kind.retry_after
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if isinstance(error, UnknownEncoding):
        headers["Accept-Encoding"] = "gzip, deflate"
    if isinstance(error, RangeUnsatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, Unauthorized | NoKeyYet):
        headers["WWW-Authenticate"] = 'Bearer realm="secondunit"'
    return problem(kind, str(error) or kind.title, fields_of(error), headers)


def problem(
    kind: ProblemType,
    detail: str,
    fields: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> web.Response:
    """A problem document; `fields` name what was wrong with the input, `more` are members of its own."""
    content: dict[str, object] = {
        "type": NAMESPACE + kind.word,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        **(more or {}),
    }
    if fields:
        content["errors"] = [{"field": field.field, "message": field.message} for field in fields]
    return web.Response(body=encoded(content), status=kind.status, headers=headers, content_type=MEDIA_TYPE)


def as_sent(kind: ProblemType, detail: str) -> bytes:
    """The whole response, the last of its connection, where no request is at hand."""
    answer = problem(kind, detail)
    body = cast(bytes, answer.body)
    lines = [
        f"HTTP/1.1 {kind.status} {answer.reason}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        *([f"Retry-After: {kind.retry_after}"] if kind.retry_after else []),
        f"Connection: close\r\n{SAFE_LINES}\r\n",
    ]
    return "\r\n".join(lines).encode() + body


def fields_of(error: Exception) -> Sequence[FieldError]:
    """The fields that an error speaks of."""
    match error:
        case errors.BadPayload() | errors.SecretsStruck():
            return error.errors
        case errors.UnknownType() | errors.TypeUnavailable() | errors.TypeBroken():
            return (FieldError("type", str(error)),)
    return ()


def _http(error: web.HTTPException) -> web.Response:
    kind = ProblemType(error.status, error.reason.lower().replace(" ", "-"), error.reason)
    allow = error.headers.get("Allow")
    detail = f"this path takes {allow}" if allow else REMEDIES.get(error.status, error.reason)
    return problem(kind, detail, headers={"Allow": allow} if allow else None)
