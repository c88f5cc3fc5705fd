"""Synchronous client, on the standard library alone; a connection a call, so threads may share one."""

import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from secondunit.client import calls, conversation
from secondunit.client.calls import Call, Progress, RawFile, Upload, sending
from secondunit.client.conversation import Answer, Done, Json, Now, Open, Receive, Send, Sleep, Steps, Tell, Waiting
from secondunit.client.errors import NoAnswer
from secondunit.client.event_stream import Message
from secondunit.client.leases import leases_of
from secondunit.client.sync_work import Leases, Run, WorkLoop

T = TypeVar("T")
CHUNK = 256 * 1024


class Client:
    """The daemon's API at `url`; answers are its JSON, refusals are raised as `Refused`.

    `patience` is how many seconds a call may wait in all for a daemon that is away, full or limits the rate; `timeout`
    is one request's. `context` is for a certificate of one's own.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        patience: float = 60.0,
        timeout: float = 30.0,
        context: SSLContext | None = None,
    ) -> None:
        self._url = calls.base(url)
        self._key = api_key
        self._patience = patience
        self._timeout = timeout
        self._context = context

    def submit(self, job: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """A job, accepted once however often the request had to be sent: `{jobId, status, createdAt}`."""
        return self._ask(calls.submit(job, idempotency_key or str(uuid.uuid4())))

    def submit_batch(self, batch: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """`{jobs, callback?, name?}`, all of them accepted or none: `{batchId, jobs}`."""
        return self._ask(calls.submit_batch(batch, idempotency_key or str(uuid.uuid4())))

    def get(self, job_id: str) -> Json:
        """The job as it stands."""
        return self._ask(calls.get(job_id))

    def list(self, **query: str | int | Sequence[str] | None) -> Json:
        """A page of jobs, newest first, by `status`, `type`, `q`, `limit` and `cursor` (the last page's nextCursor).

        One that is not full is the last only if its nextCursor is None: pages of large jobs end early.
        """
        return self._ask(calls.find(query))

    def each(self, **query: str | int | Sequence[str] | None) -> Generator[Json]:
        """Every job that matches, newest first, page after page; `limit` is a page's."""
        while True:
            page = self.list(**query)
            yield from page["jobs"]
            if page["nextCursor"] is None:
                return
            query["cursor"] = page["nextCursor"]

    def cancel(self, job_id: str) -> Json:
        """The job is cancelled, its processes are gone."""
        return self._finish(conversation.cancel(job_id, self._patience))

    def retry(self, job_id: str) -> Json:
        """The ended job is queued again, with fresh attempts."""
        return self._finish(conversation.retry(job_id, self._patience))

    def explain(self, job_id: str) -> Json:
        """Why it is where it is: `{reason, sentence, until, ahead, ...}`."""
        return self._ask(calls.explain(job_id))

    def boxes(self) -> Json:
        """The daemons that share the queue, by name: `{boxes: [{name, state, running, capacity, ...}]}`."""
        return self._ask(calls.boxes())

    def wait(
        self,
        job_id: str,
        *,
        timeout: float | None = None,
        poll: float = 2.0,
        on_event: Callable[[Message], None] = lambda _: None,
    ) -> Json:
        """The job, once it has ended, whatever came of it; WaitTimedOut after `timeout` seconds.

        `on_event` gets the job as it stands, as a message `job:now`, then what happens; where no stream is to be had
        the job is looked at every `poll` seconds.
        """
        return self._finish(conversation.wait(job_id, Waiting(timeout, poll), self._patience), on_event)

    def events(self, *, last_event_id: str = "", **query: str | Sequence[str] | None) -> Generator[Message]:
        """Messages of all jobs, or of `jobId` or `type`, across connections that break; without end."""
        for step in self._told(conversation.follow(query, last_event_id, self._patience)):
            if isinstance(step, Tell):
                yield step.message

    def analyze(self, source: Path | str, *, on_progress: Progress | None = None) -> Json:
        """An analysis of a file or an address: `{jobId, recipe, metadata}` if it is known, else `{jobId, status}`."""
        what = Upload(source, on_progress) if isinstance(source, Path) else source
        return self._ask(calls.analyze(what))

    @property
    def leases(self) -> Leases:
        """The single calls of a remote worker."""
        return Leases(self._ask, leases_of)

    def work(
        self,
        types: Sequence[str],
        handler: Callable[[Run], Any],
        *,
        worker: str | None = None,
        concurrency: int = 1,
        stop: threading.Event | None = None,
        wait: float = 10.0,
        grace: float = 10.0,
    ) -> None:
        """Be a remote worker: lease jobs of these types and run `handler(run)` for each, until `stop` is set.

        What it returns completes the job (a `Partial` in part); WorkFailed says how it failed, any other error is tried
        again; a lease is renewed meanwhile. A worker that is stopped returns once its call that waits (`wait` seconds)
        is over; what runs has `grace` seconds more, and goes back at no cost.
        """
        loop = WorkLoop(self.leases, types, handler, worker or socket.gethostname())
        loop.serve(concurrency, stop or threading.Event(), wait, grace)

    def _ask(self, call: Call, patience: float | None = None) -> Json:
        return self._finish(conversation.ask(call, self._patience if patience is None else patience))

    def _finish(self, steps: Steps[T], tell: Callable[[Message], None] = lambda _: None) -> T:
        for step in self._told(steps):
            if isinstance(step, Done):
                return step.value
            tell(step.message)
        raise AssertionError("a conversation ends with Done")

    def _told(self, steps: Steps[T]) -> Iterator[Tell | Done[T]]:
        outcome: Any = None
        with _Wire(self._url, self._key, self._timeout, self._context) as wire:
            while not isinstance(effect := conversation.advance(steps, outcome), Done):
                if isinstance(effect, Tell):
                    yield effect
                    outcome = None
                else:
                    outcome = wire.perform(effect)
            yield effect


class _Wire:
    """One conversation's connections: one for each call, and the stream that is open."""

    def __init__(self, url: str, key: str | None, timeout: float, context: SSLContext | None) -> None:
        self._parts = urlsplit(url)
        self._headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._timeout = timeout
        self._context = context
        self._stream: _Stream | None = None

    def __enter__(self) -> "_Wire":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()

    def perform(self, effect: Send | Open | Receive | Sleep | Now) -> Any:
        """What comes of it."""
        if isinstance(effect, Send):
            effect.call.prepared()
        try:
            match effect:
                case Send(call):
                    return self._send(call)
                case Open(call):
                    return self._open(call)
                case Receive(within) if self._stream is not None:
                    return self._stream.read(within)
                case Sleep(seconds):
                    return time.sleep(seconds * (1 + random.random() / 5))
                case Now():
                    return time.monotonic()
        except (OSError, HTTPException) as error:
            if isinstance(effect, Send) and (ours := effect.call.fault()):
                raise ours from None
            return NoAnswer(f"{self._parts.netloc} gave no answer: {str(error) or type(error).__name__}")
        return NoAnswer("no stream is open")

    def _send(self, call: Call) -> Answer:
        stream = self._sent(call)
        try:
            return stream.whole()
        finally:
            stream.close()

    def _open(self, call: Call) -> Answer:
        self.__exit__(None, None, None)
        self._stream = self._sent(call)
        return Answer(200, {}, b"") if self._stream.status == 200 else self._stream.whole()

    def _sent(self, call: Call) -> "_Stream":
        host, within = self._parts.hostname or "", self._timeout + call.waits
        if self._parts.scheme == "https":
            line: HTTPConnection = HTTPSConnection(host, self._parts.port, timeout=within, context=self._context)
        else:
            line = HTTPConnection(host, self._parts.port, timeout=within)
        try:
            self._request(line, call)
            return _Stream(line)
        except BaseException:
            line.close()
            raise

    def _request(self, line: HTTPConnection, call: Call) -> None:
        headers, body = {**self._headers, **call.headers}, call.content()
        path = self._parts.path.rstrip("/") + call.path
        boundary = uuid.uuid4().hex
        if kind := call.content_type(boundary):
            headers["Content-Type"] = kind
        if call.upload is None:
            line.request(call.method, path, body, headers)
            return
        head, tail = call.upload.frame(boundary)
        size = call.upload.path.stat().st_size
        headers["Content-Length"] = str(len(head) + size + len(tail))
        try:
            line.request(call.method, path, _chunks(call.upload, head, tail, size), headers)
        except ConnectionError:  # it may have refused the file before it had all of it
            if line.sock is None:
                raise


class _Stream:
    """A response that is being read."""

    def __init__(self, line: HTTPConnection) -> None:
        self._line = line
        self._socket = line.sock  # where the connection ends with the answer, the response alone has it from now on
        self._response: HTTPResponse = line.getresponse()
        self.status = self._response.status

    def whole(self) -> Answer:
        """All of it."""
        return Answer(self.status, dict(self._response.getheaders()), self._response.read())

    def read(self, within: float) -> bytes:
        """What comes next."""
        self._socket.settimeout(within)
        return self._response.read1(CHUNK)

    def close(self) -> None:
        """Nothing of it stays open."""
        self._response.close()
        self._line.close()


def _chunks(upload: Upload | RawFile, head: bytes, tail: bytes, size: int) -> Iterator[bytes]:
    yield head
    sent = 0
    with upload.path.open("rb") as file, sending(upload):
        while chunk := file.read(CHUNK):
            yield chunk
            sent += len(chunk)
            if upload.progress:
                upload.progress(sent, size)
    yield tail
