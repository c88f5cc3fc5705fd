"""The daemon's event loop goes on when something asks Python to exit."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from secondunit.daemon.process.event_loop import run_through

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop, uvloop.new_event_loop]


def run(main: Coroutine[Any, Any, None], make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=make) as runner:
        run_through(runner.get_loop(), main)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("make", LOOPS)
def test_what_a_callback_raises_to_exit_is_told_and_all_else_goes_on(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    done: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for exits in (lambda: sys.exit(5), interrupt):
            went_on = loop.create_future()
            loop.call_soon(exits)
            loop.call_soon(went_on.set_result, None)
            await went_on
            await asyncio.to_thread(done.append, "thread")
        done.append("end")

    with capture_logs() as said:
        run(main(), make)
    assert done == ["thread", "thread", "end"]
    assert [line["event"] for line in said] == ["loop.exit_refused"] * 2
    assert "SystemExit(5)" in said[0]["message"] and "KeyboardInterrupt()" in said[1]["message"]


@pytest.mark.parametrize("make", LOOPS)
def test_how_the_daemon_itself_ends_is_how_it_ends(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit, match="3"):
        run(main(), make)


@pytest.mark.parametrize("make", LOOPS)
def test_threads_that_never_return_leave_room_for_others(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        bell = asyncio.Event()
        loop = asyncio.get_running_loop()
        done = threading.Event()
        stuck = [asyncio.create_task(asyncio.to_thread(done.wait)) for _ in range(12)]
        try:
            loop.call_soon(bell.set)
            await bell.wait()
            assert await asyncio.wait_for(asyncio.to_thread(int), 10) == 0
        finally:
            done.set()
            await asyncio.wait(stuck)

    run(main(), make)
