"""Asynchronous client, on aiohttp, which is imported when the first one is opened."""

from __future__ import annotations

import asyncio
import random
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from secondunit.client import calls, conversation
from secondunit.client.aio_work import AsyncLeases, AsyncRun, AsyncWorkLoop, awaited_leases
from secondunit.client.calls import Call, Progress, RawFile, Upload, sending
from secondunit.client.conversation import Answer, Done, Json, Now, Open, Receive, Send, Sleep, Steps, Tell, Waiting
from secondunit.client.errors import NoAnswer
from secondunit.client.event_stream import Message

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import ClientResponse, ClientSession

T = TypeVar("T")
CHUNK = 256 * 1024


class AsyncClient:
    """The daemon's API at `url`, as `Client` has it; `async with` opens and closes its connections."""

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
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._patience = patience
        self._timeout = timeout
        self._context = context
        self._session: ClientSession | None = None

    async def __aenter__(self) -> AsyncClient:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        limit = ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
        connector = TCPConnector(ssl=self._context or True)
        self._session = ClientSession(headers=self._headers, timeout=limit, connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def submit(self, job: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """A job, accepted once however often the request had to be sent: `{jobId, status, createdAt}`."""
        return await self._ask(calls.submit(job, idempotency_key or str(uuid.uuid4())))

    async def submit_batch(self, batch: Mapping[str, Any], *, idempotency_key: str | None = None) -> Json:
        """`{jobs, callback?, name?}`, all of them accepted or none: `{batchId, jobs}`."""
        return await self._ask(calls.submit_batch(batch, idempotency_key or str(uuid.uuid4())))

    async def get(self, job_id: str) -> Json:
        """The job as it stands."""
        return await self._ask(calls.get(job_id))

    async def list(self, **query: str | int | Sequence[str] | None) -> Json:
        """A page of jobs, newest first, by `status`, `type`, `q`, `limit` and `cursor` (the last page's nextCursor).

        One that is not full is the last only if its nextCursor is None: pages of large jobs end early.
        """
        return await self._ask(calls.find(query))

    async def each(self, **query: str | int | Sequence[str] | None) -> AsyncIterator[Json]:
        """Every job that matches, newest first, page after page; `limit` is a page's."""
        while True:
            page = await self.list(**query)
            for job in page["jobs"]:
                yield job
            if page["nextCursor"] is None:
                return
            query["cursor"] = page["nextCursor"]

    async def cancel(self, job_id: str) -> Json:
        """The job is cancelled, its processes are gone."""
        return await self._finish(conversation.cancel(job_id, self._patience))

    async def retry(self, job_id: str) -> Json:
        """The ended job is queued again, with fresh attempts."""
        return await self._finish(conversation.retry(job_id, self._patience))

    async def explain(self, job_id: str) -> Json:
        """Why it is where it is: `{reason, sentence, until, ahead, ...}`."""
        return await self._ask(calls.explain(job_id))

    async def boxes(self) -> Json:
        """The daemons that share the queue, by name: `{boxes: [{name, state, running, capacity, ...}]}`."""
        return await self._ask(calls.boxes())

    async def wait(
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
        return await self._finish(conversation.wait(job_id, Waiting(timeout, poll), self._patience), on_event)

    async def events(self, *, last_event_id: str = "", **query: str | Sequence[str] | None) -> AsyncIterator[Message]:
        """Messages of all jobs, or of `jobId` or `type`, across connections that break; without end."""
        async for step in self._told(conversation.follow(query, last_event_id, self._patience)):
            if isinstance(step, Tell):
                yield step.message

    async def analyze(self, source: Path | str, *, on_progress: Progress | None = None) -> Json:
        """An analysis of a file or an address: `{jobId, recipe, metadata}` if it is known, else `{jobId, status}`."""
        what = Upload(source, on_progress) if isinstance(source, Path) else source
        return await self._ask(calls.analyze(what))

    @property
    def leases(self) -> AsyncLeases:
        """The single calls of a remote worker."""
        return AsyncLeases(self._ask, awaited_leases)

    async def work(
        self,
        types: Sequence[str],
        handler: Callable[[AsyncRun], Awaitable[Any]],
        *,
        worker: str | None = None,
        concurrency: int = 1,
        stop: asyncio.Event | None = None,
        wait: float = 20.0,
        grace: float = 10.0,
    ) -> None:
        """Be a remote worker, as `Client.work`; a handler that is to stop is cancelled."""
        loop = AsyncWorkLoop(self.leases, types, handler, worker or socket.gethostname())
        await loop.serve(concurrency, stop or asyncio.Event(), wait, grace)

    async def _ask(self, call: Call, patience: float | None = None) -> Json:
        return await self._finish(conversation.ask(call, self._patience if patience is None else patience))

    async def _finish(self, steps: Steps[T], tell: Callable[[Message], None] = lambda _: None) -> T:
        async for step in self._told(steps):
            if isinstance(step, Done):
                return step.value
            tell(step.message)
        raise AssertionError("a conversation ends with Done")

    async def _told(self, steps: Steps[T]) -> AsyncIterator[Tell | Done[T]]:
        if self._session is None:
            raise RuntimeError("open the client first: async with AsyncClient(...) as client")
        outcome: Any = None
        async with AsyncExitStack() as stack:
            wire = _Wire(self._session, self._url, self._timeout, stack)
            while not isinstance(effect := conversation.advance(steps, outcome), Done):
                if isinstance(effect, Tell):
                    yield effect
                    outcome = None
                else:
                    outcome = await wire.perform(effect)
            yield effect


class _Wire:
    """One conversation's requests, and the stream that is open."""

    def __init__(self, session: ClientSession, url: str, timeout: float, stack: AsyncExitStack) -> None:
        self._session = session
        self._url = url
        self._timeout = timeout
        self._stack = stack
        self._stream: ClientResponse | None = None

    async def perform(self, effect: Send | Open | Receive | Sleep | Now) -> Any:
        """What comes of it."""
        from aiohttp import ClientError

        if isinstance(effect, Send) and effect.call.upload:
            await asyncio.to_thread(effect.call.prepared)
        try:
            match effect:
                case Send(call):
                    return await self._send(call)
                case Open(call):
                    return await self._open(call)
                case Receive(within) if self._stream is not None:
                    return await asyncio.wait_for(self._stream.content.readany(), within)
                case Sleep(seconds):
                    return await asyncio.sleep(seconds * (1 + random.random() / 5))
                case Now():
                    return time.monotonic()
        except (OSError, ClientError) as error:
            if isinstance(effect, Send) and (ours := effect.call.fault()):
                raise ours from None
            return NoAnswer(f"{self._url} gave no answer: {str(error) or type(error).__name__}")
        return NoAnswer("no stream is open")

    async def _send(self, call: Call) -> Answer:
        from aiohttp import ClientTimeout

        within = self._timeout + call.waits
        limit = ClientTimeout(total=None, sock_connect=self._timeout, sock_read=within)
        asked = self._session.request(call.method, self._url + call.path, timeout=limit, **self._content(call))
        async with asked as response:
            return Answer(response.status, response.headers, await response.read())

    async def _open(self, call: Call) -> Answer:
        from aiohttp import ClientTimeout

        if self._stream is not None:
            self._stream.close()
        limit = ClientTimeout(total=None, sock_connect=self._timeout)
        opening = self._session.request(call.method, self._url + call.path, timeout=limit, **self._content(call))
        self._stream = await self._stack.enter_async_context(opening)
        status = self._stream.status
        return Answer(status, self._stream.headers, b"" if status == 200 else await self._stream.read())

    def _content(self, call: Call) -> dict[str, Any]:
        headers, body = dict(call.headers), call.content()
        boundary = uuid.uuid4().hex
        if kind := call.content_type(boundary):
            headers["Content-Type"] = kind
        if call.upload is None:
            return {"headers": headers, "data": body}
        head, tail = call.upload.frame(boundary)
        return {"headers": headers, "data": _chunks(call.upload, head, tail)}


async def _chunks(upload: Upload | RawFile, head: bytes, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    sent = 0
    file = await asyncio.to_thread(upload.path.open, "rb")
    try:
        with sending(upload):
            size = (await asyncio.to_thread(upload.path.stat)).st_size
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield chunk
                sent += len(chunk)
                if upload.progress:
                    upload.progress(sent, size)
    finally:
        await asyncio.to_thread(file.close)
    yield tail
