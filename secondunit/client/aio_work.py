"""Worker loop of the asynchronous client: takes jobs, runs a handler for each, renews meanwhile, says how it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from secondunit.client import leases as calls
from secondunit.client.calls import Call
from secondunit.client.conversation import Json
from secondunit.client.errors import ClientError, LeaseLost, NoAnswer, Refused
from secondunit.client.lease_calls import LeaseCalls
from secondunit.client.leases import CANCELLED, STOPPED, TELL_EVERY, Lease, WorkStopped, leases_of

T = TypeVar("T")


AsyncLeases = LeaseCalls[Awaitable[Json], Awaitable[Sequence[Lease]]]


class AsyncRun:
    """A job in its handler's hands; the handler is cancelled when it is to stop, and `why` says for what."""

    def __init__(self, leases: AsyncLeases, lease: Lease) -> None:
        self.lease = lease
        self.payload: Mapping[str, Any] = lease.payload
        self._leases = leases
        self._steps = dict(lease.steps)
        self._news: dict[str, Any] = {}
        self.why: ClientError | None = None
        self._wake = asyncio.Event()
        self._work: asyncio.Future[Any] | None = None

    async def step(self, name: str, do: Callable[[], Awaitable[T]]) -> T:
        """What `do` returns, stored at once; what an earlier lease of the job stored is not done again."""
        if name not in self._steps:
            result = await do()
            await self._leases.step(self.lease.token, name, result)
            self._steps[name] = result
        stored: T = self._steps[name]
        return stored

    def progress(
        self, percent: float, message: str | None = None, *, phase: str | None = None, stats: Json | None = None
    ) -> None:
        """How far it is, told once a second at most."""
        self._news = {**self._news, **calls.news(percent, message, phase, stats)}
        self._wake.set()

    async def artifact(self, name: str, content: Path | bytes) -> Json:
        """Send a file, or bytes, as an artefact of the job."""
        return await self._leases.artifact(self.lease.token, name, content)

    def stop(self, why: ClientError) -> None:
        """The handler is to stop."""
        self.why = self.why or why
        if self._work is not None:
            self._work.cancel()

    async def finish(self, handler: Callable[["AsyncRun"], Awaitable[Any]]) -> None:
        """Run the handler, renewing all the while, and say how it ended."""
        self._work = asyncio.ensure_future(handler(self))
        beats = asyncio.create_task(self._beat())
        try:
            await asyncio.wait([self._work])
            if call := self._call(self._work):
                await _end(self._leases, self.lease, call)
        finally:
            for task in (self._work, beats):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
        if isinstance(self.why, Refused) and not isinstance(self.why, LeaseLost):
            raise self.why

    def _call(self, work: asyncio.Future[Any]) -> Call | None:
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        return calls.ending(self.lease, work.result()) if error is None else calls.failing(self.lease, error, self.why)

    async def _beat(self) -> None:
        every = calls.beat_every(self.lease, datetime.now(UTC))
        while True:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), every)
            self._wake.clear()
            news, self._news = self._news, {}
            try:
                if (await self._leases.renew(self.lease.token, **news))["cancelRequested"]:
                    self.stop(WorkStopped(CANCELLED))
            except Refused as refused:
                if not refused.passes:
                    self.stop(refused)
                    return
            except NoAnswer:
                pass  # the lease may be good still once the daemon is back
            await asyncio.sleep(TELL_EVERY)


class AsyncWorkLoop:
    """Serves these types with `handler`, so many jobs at once, until `stop` is set."""

    def __init__(
        self, leases: AsyncLeases, types: Sequence[str], handler: Callable[[AsyncRun], Awaitable[Any]], worker: str
    ) -> None:
        self._leases = leases
        self._types = types
        self._handler = handler
        self._worker = worker
        self._running: set[AsyncRun] = set()

    async def serve(self, concurrency: int, stop: asyncio.Event, wait: float, grace: float) -> None:
        """Return once it is stopped: what runs then has `grace` seconds, and is released if it takes longer."""
        served = [asyncio.create_task(self._one_after_the_other(stop, wait)) for _ in range(concurrency)]
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([stopped, *served], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            if not [task for task in done if task is not stopped]:
                await asyncio.wait(served, timeout=grace)
            self._stop_all()
            await asyncio.gather(*served)
        except asyncio.CancelledError:  # whoever cancels us does not wait for handlers, but what they had goes back
            stop.set()
            self._stop_all()
            await asyncio.wait(served, timeout=grace)
            raise
        finally:
            for task in (stopped, *served):
                task.cancel()
            await asyncio.gather(stopped, *served, return_exceptions=True)

    def _stop_all(self) -> None:
        for run in tuple(self._running):
            run.stop(WorkStopped(STOPPED))

    async def _one_after_the_other(self, stop: asyncio.Event, wait: float) -> None:
        misses = 0
        while not stop.is_set():
            try:
                leased = await self._taken(stop, wait)
                misses = 0
            except (NoAnswer, Refused) as error:
                pause = calls.pause_after(error, misses)
                misses += 1
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)
                continue
            for lease in leased:
                run = AsyncRun(self._leases, lease)
                if stop.is_set():  # it came as we were told to stop
                    await _end(self._leases, lease, calls.release(lease.token, STOPPED))
                    continue
                self._running.add(run)
                try:
                    await run.finish(self._handler)
                finally:
                    self._running.discard(run)

    async def _taken(self, stop: asyncio.Event, wait: float) -> Sequence[Lease]:
        """What is leased; a call that waits is given up when the worker stops: the daemon takes back what it gave."""
        taking = asyncio.ensure_future(self._leases.take(self._types, self._worker, wait=wait, patience=0))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([taking, stopping], return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else ()
        finally:
            taking.cancel()
            stopping.cancel()
            await asyncio.gather(taking, stopping, return_exceptions=True)


async def _end(leases: AsyncLeases, lease: Lease, call: Call) -> None:
    """Say how a run ended; what can't be stored of it is a failure of its handler."""
    try:
        await leases.tell(call)
    except LeaseLost:
        return
    except Refused as refused:
        await leases.tell(calls.unstorable(lease, refused))


async def awaited_leases(told: Awaitable[Json]) -> Sequence[Lease]:
    """Those that an answer lists, once it is there."""
    return leases_of(await told)
