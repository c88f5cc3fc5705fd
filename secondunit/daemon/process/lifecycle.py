"""From the first signal to the last: asking the daemon to stop, draining it, and telling systemd that it lives."""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog

from secondunit.daemon.process.systemd import Notifier
from secondunit.queue.instrumentation import Fact, Sink

EXTEND_EVERY = 5.0
EXTEND_BY = 20.0
TO_STOP = 6.0
LEAVE_AFTER = 9.0  # from the second signal on; ten are promised
LAST_WORDS = 20.0
MEASURE_EVERY = 1.0
LARGEST_LAG = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Systemd:
    """Who started us, and every how many seconds it is to hear that we live."""

    notifier: Notifier
    every: float


class Stop:
    """What was asked of the daemon: `asked` to drain, `pressed` to stop at once.

    `leave(seconds)` ends the process so much later whatever still runs in it: a handler may ignore that it is stopped.
    """

    def __init__(self, leave: Callable[[float], None] = lambda seconds: None) -> None:
        self.asked = asyncio.Event()
        self.pressed = asyncio.Event()
        self.leave = leave

    def ask(self, by: str) -> None:
        """Once: drain. Again: stop at once."""
        if self.asked.is_set():
            log.warning("daemon.pressed", message=f"{by} again: stopping at once")
            self.pressed.set()
            self.leave(LEAVE_AFTER)
        else:
            log.info("daemon.asked", message=f"{by}: draining; once more stops at once")
            self.asked.set()


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Listen for SIGTERM and SIGINT."""
    stop = Stop(leave_by_force)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.ask, number.name)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # asked once more it must not look as if killed


def leave_by_force(seconds: float) -> None:
    """End the process so much later, as `kill -9` would but with 0: children die, the next start frees the leases."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


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
        stop.leave(LAST_WORDS)


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
        begun = loop.time()
        await asyncio.sleep(MEASURE_EVERY)
        lag = loop.time() - begun - MEASURE_EVERY
        emit(LoopLagged(max(lag, 0.0)))
        if lag > LARGEST_LAG:
            log.warning("loop.lagged", message=f"the event loop stood still for {lag:.1f} s", lag_seconds=round(lag, 3))
        elif loop.time() - told >= systemd.every and await alive():
            systemd.notifier.send(WATCHDOG=1)
            told = loop.time()
