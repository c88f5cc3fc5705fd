"""Event loop of the daemon: tasks of a run are in its scope, and what asks Python to exit does not stop it."""

import asyncio
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from secondunit.queue.running.scope import task_factory

# Threads are made as they are needed. A handler may leave some in calls that never return; the others are for the rest.
MOST_THREADS = 32
LOCK_HELD = 0.001  # seconds; Python's 5 ms, a dozen times for one answer, made /health late while a thread was busy

log = structlog.get_logger(__name__)


def let_the_loop_in() -> None:
    """A thread that is at work gives Python's lock soon to the loop that waits for it."""
    sys.setswitchinterval(LOCK_HELD)


def run_through(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its own end.

    asyncio lets a SystemExit or KeyboardInterrupt of any callback (`loop.call_soon(sys.exit)`) stop the loop. Nothing
    of the daemon asks for its end like this, so somebody's handler did: the loop is taken up where it stopped.
    """
    loop.set_task_factory(task_factory)
    loop.set_default_executor(ThreadPoolExecutor(MOST_THREADS, "pool"))
    task = loop.create_task(main)
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done():
                raise
            log.exception("loop.exit_refused", message=f"a callback raised {error!r}; the daemon goes on")
