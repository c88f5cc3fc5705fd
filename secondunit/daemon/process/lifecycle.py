"""Process lifecycle, from the first signal to the last: stop, drain, and the watchdog's signs of life."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import structlog

from secondunit.daemon.process import signals
from secondunit.daemon.process.clock import tick
from secondunit.daemon.process.dead_man_switch import DeadManSwitch
from secondunit.daemon.process.exit_codes import DRAINED, exit_code
from secondunit.daemon.process.log_sink import LogSink
from secondunit.daemon.process.systemd import Notifier
from secondunit.queue.instrumentation import Fact, Sink
from secondunit.queue.value import Value

EXTEND_EVERY = 5.0
EXTEND_BY = 20.0
TO_STOP = 5.0
LEAVE_AFTER = 9.0  # from the second signal on; ten are promised
LAST_WORDS = 5.0
MEASURE_EVERY = 1.0
LARGEST_LAG = 2.0
PUSH_EVERY, PUSH_SOON = 1.0, 0.05

log = structlog.get_logger(__name__)
Leave = Callable[[float, int], None]


class Systemd(Value, frozen=True):
    """Who started us, and every how many seconds it is to hear that we live."""

    notifier: Notifier
    every: float


class Host(Value, frozen=True):
    """The process around the daemon: who started it, where its log goes, the switch that ends it, and its last resort.

    `leave(seconds, code)` ends the process so much later whatever still runs in it.
    """

    systemd: Systemd
    log: LogSink
    switch: DeadManSwitch
    leave: Leave


class Stop:
    """What was asked of the daemon: `asked` to drain, `pressed` to stop at once.

    `leave` is the host's: a handler may ignore that it is stopped, a thread may hang.
    """

    def __init__(self, leave: Leave = lambda seconds, code: None) -> None:
        self.asked = asyncio.Event()
        self.pressed = asyncio.Event()
        self.leave = leave

    def ask(self, by: str) -> None:
        """Once: drain. Again: stop at once."""
        if self.asked.is_set():
            log.warning("daemon.pressed", message=f"{by} again: stopping at once")
            self.pressed.set()
            self.leave(LEAVE_AFTER, DRAINED)
        else:
            log.info("daemon.asked", message=f"{by}: draining; once more stops at once")
            self.asked.set()


@contextmanager
def stop_on_signals(stop: Stop) -> Iterator[None]:
    """Let signals ask `stop` while this is open, also those that came before; after it they do nothing more."""
    loop, bell = asyncio.get_running_loop(), signals.stand()

    def asked(by: str) -> None:
        bell.heard()
        stop.ask(by)

    bell.listen(lambda by: loop.call_soon_threadsafe(asked, by), lambda: stop.leave(LEAVE_AFTER, DRAINED))
    try:
        yield
    finally:
        signals.dismiss()


@asynccontextmanager
async def beside(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these from now on until this is closed, whatever else begins, serves and ends meanwhile."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def beat(switch: DeadManSwitch) -> None:
    """Keep the switch from ending the process, for as long as the loop turns."""
    while True:
        switch.beat()
        await tick(switch.every)


class LogLinesLost(Fact, frozen=True):
    """So many lines of the log were lost since the last time."""

    number: int


async def keep_lines(log: LogSink, emit: Sink) -> None:
    """Write what waits for the reader of the log, and announce what is lost."""
    known = 0
    while True:
        log.push()
        if log.lost > known:
            emit(LogLinesLost(log.lost - known))
            known = log.lost
        await (asyncio.sleep(PUSH_SOON) if log.waiting else tick(PUSH_EVERY))


async def vital(part: Coroutine[Any, Any, None], leave: Leave) -> None:
    """Run a part that must not end. If it dies the process ends soon, whatever the others make of being cancelled."""
    try:
        await part
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        leave(LAST_WORDS, exit_code(error))
        raise


class Drains(Protocol):
    """What is drained: the worker."""

    async def drain(self, grace: float) -> None:
        """Start nothing more; return once nothing runs, TimeoutError if that takes longer than `grace` seconds."""
        ...

    def stop_all(self, why: str) -> None:
        """Stop what runs, at no cost to its jobs."""
        ...


async def drain(worker: Drains, stop: Stop, notifier: Notifier, grace: float) -> None:
    """Let running jobs end within `grace` seconds, or until pressed; then stop them and wait until they are gone."""
    notifier.send(STOPPING=1, STATUS=f"draining for at most {grace:g} s")
    ended = asyncio.create_task(_within(worker, grace))
    pressed = asyncio.create_task(stop.pressed.wait())
    try:
        while not ended.done() and not pressed.done():
            notifier.send(EXTEND_TIMEOUT_USEC=int(EXTEND_BY * 1e6), WATCHDOG=1)
            await asyncio.wait({ended, pressed}, timeout=EXTEND_EVERY, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and ended.result():
            return
    finally:
        for task in (ended, pressed):
            task.cancel()
    worker.stop_all("the daemon was stopped; the job starts again with it")
    if not await _within(worker, TO_STOP):
        log.error("daemon.unstopped", message="some runs did not stop in time; the next start queues their jobs again")
        stop.leave(LAST_WORDS, DRAINED)


async def _within(worker: Drains, grace: float) -> bool:
    try:
        await worker.drain(grace)
    except TimeoutError:
        return False
    return True


class LoopLagged(Fact, frozen=True):
    """So many seconds too late the event loop ran what was due; told each second."""

    seconds: float


async def watch(alive: Callable[[], Awaitable[bool]], emit: Sink, systemd: Systemd) -> None:
    """Measure the event loop's lag, and tell systemd that we live: if the loop does not lag and `alive` says so."""
    loop = asyncio.get_running_loop()
    told = loop.time() - systemd.every
    while True:
        lag = await tick(MEASURE_EVERY)
        emit(LoopLagged(max(lag, 0.0)))
        if lag > LARGEST_LAG:
            log.warning("loop.lagged", message=f"the event loop stood still for {lag:.1f} s", lag_seconds=round(lag, 3))
        elif loop.time() - told >= systemd.every and await alive():
            systemd.notifier.send(WATCHDOG=1)
            told = loop.time()
