"""Worker loop of the synchronous client: takes jobs, runs a handler for each, renews meanwhile, says how it ended."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from secondunit.client import leases as calls
from secondunit.client.calls import Call
from secondunit.client.conversation import Json
from secondunit.client.errors import ClientError, LeaseLost, NoAnswer, Refused
from secondunit.client.lease_calls import LeaseCalls
from secondunit.client.leases import CANCELLED, STOPPED, TELL_EVERY, Lease, WorkStopped

T = TypeVar("T")


Leases = LeaseCalls[Json, Sequence[Lease]]


class Run:
    """A job in its handler's hands. Its calls raise WorkStopped or LeaseLost once the handler is to stop."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self.lease = lease
        self.payload: Mapping[str, Any] = lease.payload
        self._leases = leases
        self._steps = dict(lease.steps)
        self._news: dict[str, Any] = {}
        self._why: ClientError | None = None
        self._wake = threading.Event()
        self._over = threading.Event()

    def check(self) -> None:
        """Raise if the handler is to stop; long work asks now and then."""
        if self._why:
            raise self._why

    def step(self, name: str, do: Callable[[], T]) -> T:
        """What `do` returns, stored at once; what an earlier lease of the job stored is not done again."""
        self.check()
        if name not in self._steps:
            result = do()
            self.check()
            self._leases.step(self.lease.token, name, result)
            self._steps[name] = result
        stored: T = self._steps[name]
        return stored

    def progress(
        self, percent: float, message: str | None = None, *, phase: str | None = None, stats: Json | None = None
    ) -> None:
        """How far it is, told once a second at most."""
        self.check()
        self._news = {**self._news, **calls.news(percent, message, phase, stats)}
        self._wake.set()

    def artifact(self, name: str, content: Path | bytes) -> Json:
        """Send a file, or bytes, as an artefact of the job."""
        self.check()
        return self._leases.artifact(self.lease.token, name, content)

    def stop(self, why: str) -> None:
        """The handler is to stop."""
        self._why = self._why or WorkStopped(why)

    def finish(self, handler: Callable[["Run"], Any]) -> None:
        """Run the handler, renewing all the while, and say how it ended."""
        beats = threading.Thread(target=self._beat, daemon=True)
        beats.start()
        try:
            try:
                call: Call | None = calls.ending(self.lease, handler(self))
            except Exception as error:  # noqa: BLE001  whatever it raises is how it ended
                call = calls.failing(self.lease, error, self._why)
            if call and not isinstance(self._why, LeaseLost):
                _end(self._leases, self.lease, call)
        finally:
            self._over.set()
            self._wake.set()
            beats.join()
        if isinstance(self._why, Refused) and not isinstance(self._why, LeaseLost):
            raise self._why

    def _beat(self) -> None:
        every = calls.beat_every(self.lease, datetime.now(UTC))
        while True:
            self._wake.wait(every)
            self._wake.clear()
            if self._over.is_set():
                return
            news, self._news = self._news, {}
            try:
                if self._leases.renew(self.lease.token, **news)["cancelRequested"]:
                    self.stop(CANCELLED)
            except Refused as refused:
                if not refused.passes:
                    self._why = refused
                    return
            except NoAnswer:
                pass  # the lease may be good still once the daemon is back
            self._over.wait(TELL_EVERY)


class WorkLoop:
    """Serves these types with `handler`, so many jobs at once, until `stop` is set."""

    def __init__(self, leases: Leases, types: Sequence[str], handler: Callable[[Run], Any], worker: str) -> None:
        self._leases = leases
        self._types = types
        self._handler = handler
        self._worker = worker
        self._running: set[Run] = set()

    def serve(self, concurrency: int, stop: threading.Event, wait: float, grace: float) -> None:
        """Return once it is stopped: what runs then has `grace` seconds, and is released if it takes longer."""
        pool, over = ThreadPoolExecutor(concurrency), threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop, over, grace), daemon=True)
        watch.start()
        try:
            serving = [pool.submit(self._one_after_the_other, stop, wait) for _ in range(concurrency)]
            for served in serving:
                served.add_done_callback(lambda _: stop.set())
            for served in serving:
                served.result()
        finally:
            stop.set()  # a Ctrl-C, too, stops those that the pool then waits for
            pool.shutdown()
            over.set()
            watch.join()

    def _one_after_the_other(self, stop: threading.Event, wait: float) -> None:
        misses = 0
        while not stop.is_set():
            try:
                leased = self._leases.take(self._types, self._worker, wait=wait, patience=0)
                misses = 0
            except (NoAnswer, Refused) as error:
                stop.wait(calls.pause_after(error, misses))
                misses += 1
                continue
            for lease in leased:
                run = Run(self._leases, lease)
                if stop.is_set():  # it came as we were told to stop
                    _end(self._leases, lease, calls.release(lease.token, STOPPED))
                    continue
                self._running.add(run)
                try:
                    run.finish(self._handler)
                finally:
                    self._running.discard(run)

    def _watch(self, stop: threading.Event, over: threading.Event, grace: float) -> None:
        stop.wait()
        over.wait(grace)
        for run in tuple(self._running):
            run.stop(STOPPED)


def _end(leases: Leases, lease: Lease, call: Call) -> None:
    """Say how a run ended; what can't be stored of it is a failure of its handler."""
    try:
        leases.tell(call)
    except LeaseLost:
        return
    except Refused as refused:
        leases.tell(calls.unstorable(lease, refused))
