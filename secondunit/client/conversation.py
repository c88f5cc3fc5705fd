"""Sans-I/O core of the clients: what to send, how long to wait, when to ask again; a generator of effects.

`Client` and `AsyncClient` perform the effects and hand back what came of each, a `NoAnswer` included.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

from secondunit.client import calls
from secondunit.client.calls import Call
from secondunit.client.errors import (
    Conflict,
    NoAnswer,
    Refused,
    TooManyRequests,
    Unavailable,
    WaitTimedOut,
    refusal,
)
from secondunit.client.event_stream import EventStream, Message

T = TypeVar("T")
Json = dict[str, Any]
ENDED = ("completed", "partial", "failed", "cancelled", "done", "canceled")  # the last two are TrailTag's words
SILENCE = 45.0  # the daemon sends a comment every 15 s: a stream that is still for so long is dead
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # before a call is sent again; the last one from then on
LOOKS = (1, 2, 4, 8, 16, 32)  # at the job, before a stream is tried again that failed so often


@dataclass(frozen=True, slots=True)
class Send:
    """Send a call; comes back as an `Answer`."""

    call: Call


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream in place of the one that is open; comes back as an `Answer`, without a body at 200."""

    call: Call


@dataclass(frozen=True, slots=True)
class Receive:
    """The next bytes of the open stream, empty at its end."""

    within: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds, a little more by chance."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """Seconds of a clock that never goes back."""


@dataclass(frozen=True, slots=True)
class Tell:
    """A message for whoever follows."""

    message: Message


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The end, and what was asked for."""

    value: T


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a call."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """How to wait for a job: `timeout` in seconds or None, `poll` seconds between looks where there is no stream."""

    timeout: float | None = None
    poll: float = 2.0


Effect = Send | Open | Receive | Sleep | Now | Tell
Steps = Generator[Effect, Any, T]


def advance(steps: Steps[T], outcome: Any) -> Effect | Done[T]:
    """The next effect, after this outcome of the last one; None begins."""
    try:
        return steps.throw(outcome) if isinstance(outcome, NoAnswer) else steps.send(outcome)
    except StopIteration as end:
        return Done(end.value)


def ask(call: Call, patience: float) -> Steps[Any]:
    """The answer's JSON; what passes by is waited for, `patience` seconds in all, as the daemon's Retry-After says."""
    waited, sent = 0.0, 0
    while True:
        pause = PAUSES[min(sent, len(PAUSES) - 1)]
        sent += 1
        error: NoAnswer | Refused
        try:
            answer: Answer = yield Send(call)
            if answer.status < 400:
                return _content(answer)
            error = _refused(answer, sent)
            if not error.passes:
                raise error
            pause = max(pause, error.retry_after or 0)
        except NoAnswer as lost:
            error = lost
        if waited + pause > patience:
            raise error
        waited += pause
        yield Sleep(pause)


def _content(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.body else None
    except (ValueError, RecursionError):  # a page of a proxy, perhaps, while the daemon is away
        told = answer.body[:100].decode("utf-8", "replace")
        raise NoAnswer(f"what answers is no daemon: {answer.status}, and no JSON: {told}") from None


def cancel(job_id: str, patience: float) -> Steps[Json]:
    """The job is cancelled; one that was already is, too: who asks twice need not know of an answer that was lost."""
    try:
        answer: Json = yield from ask(calls.cancel(job_id), patience)
    except Conflict as refused:
        return (yield from _moved_before(job_id, ("cancelled", "canceled"), refused, patience))
    return answer


def retry(job_id: str, patience: float) -> Steps[Json]:
    """An ended job, queued again; once, however often it had to be asked for."""
    try:
        answer: Json = yield from ask(calls.retry(job_id), patience)
    except Conflict as refused:
        if refused.sent == 1:
            raise
        return (yield from _moved_before(job_id, ("queued", "running"), refused, patience))
    return answer


def wait(job_id: str, how: Waiting, patience: float) -> Steps[Json]:
    """The job, once it has ended: by its events, and by looking where no stream is to be had; tells both."""
    stream = EventStream()
    ends = None if how.timeout is None else (yield Now()) + how.timeout
    failures = 0
    while True:
        before = stream.last_id
        try:
            job = yield from _until_cut(job_id, stream, ends, patience)
        except (NoAnswer, Unavailable, TooManyRequests):
            job = None
        failures = 0 if stream.last_id != before else failures + 1
        looks = LOOKS[min(failures, len(LOOKS) - 1)]
        while not _ended(job) and looks:
            looks -= 1
            left = yield from _left(ends)
            if left <= 0:
                raise WaitTimedOut(job_id, how.timeout or 0)
            yield Sleep(min(how.poll, left))
            job = yield from _looked(job_id, patience)
        if job is not None and _ended(job):
            return job


def follow(query: Mapping[str, Any], last_id: str, patience: float) -> Steps[None]:
    """Tells every message, across connections that break; ends when none can be opened for `patience` seconds."""
    stream, waited = EventStream(), 0.0
    stream.resume(last_id)
    while True:
        try:
            yield from _opened(calls.events(query, stream.last_id), stream)
            while chunk := (yield Receive(SILENCE)):
                waited = 0.0
                for message in stream.feed(chunk):
                    yield Tell(message)
        except (NoAnswer, Unavailable, TooManyRequests) as error:
            if waited > patience:
                raise
            pause = max(stream.retry, getattr(error, "retry_after", None) or 0)
        else:
            pause = stream.retry
        waited += pause
        yield Sleep(pause)


def _until_cut(job_id: str, stream: EventStream, ends: float | None, patience: float) -> Steps[Json | None]:
    """The job if it ended while this stream was open, else as it stood."""
    yield from _opened(calls.events({"jobId": job_id}, stream.last_id), stream)
    job = yield from _looked(job_id, patience)  # its last event may have passed before
    while not _ended(job):
        left = yield from _left(ends)
        chunk: bytes = b"" if left <= 0 else (yield Receive(min(SILENCE, left)))
        if not chunk:
            break
        for message in stream.feed(chunk):
            yield Tell(message)
            if message["type"] == "reset" or message.get("status") in ENDED:
                job = yield from _looked(job_id, patience)
    return job


def _looked(job_id: str, patience: float) -> Steps[Json]:
    """The job as it stands; tells it as the message `job:now`, unless it has ended."""
    job: Json = yield from ask(calls.get(job_id), patience)
    if not _ended(job):
        now = {name: job[name] for name in ("jobId", "status", "progress", "phase", "message")}
        yield Tell({"type": "job:now", "jobType": job["type"], **now})
    return job


def _opened(call: Call, stream: EventStream) -> Steps[None]:
    answer: Answer = yield Open(call)
    if answer.status >= 400:
        raise _refused(answer, 1)
    stream.resume(stream.last_id)


def _moved_before(job_id: str, to: tuple[str, ...], refused: Conflict, patience: float) -> Steps[Json]:
    """What an earlier call did; the refusal, where the job stands elsewhere."""
    job = yield from ask(calls.get(job_id), patience)
    if job["status"] not in to:
        raise refused
    return {"jobId": job_id, "status": job["status"]}


def _left(ends: float | None) -> Steps[float]:
    return SILENCE if ends is None else ends - (yield Now())


def _ended(job: Json | None) -> bool:
    return job is not None and job["status"] in ENDED


def _refused(answer: Answer, sent: int) -> Refused:
    return refusal(answer.status, answer.body, _pause(answer.headers), sent)


def _pause(headers: Mapping[str, str]) -> float | None:
    """What Retry-After says, in seconds or as a date, which is held to the answer's own."""
    told = {name.lower(): value for name, value in headers.items()}
    after = told.get("retry-after", "")
    if after.isdecimal():
        return float(after)
    try:
        until = parsedate_to_datetime(after) - parsedate_to_datetime(told.get("date", ""))
    except (ValueError, TypeError, OverflowError):  # no date, or one with a zone and one without
        return None
    return max(0.0, until.total_seconds())
