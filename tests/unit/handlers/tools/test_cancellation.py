"""Work that is seen to its end: a cancellation waits, is not lost, and hides no error."""

import asyncio
import threading

import pytest

from secondunit.handlers.tools.cancellation import in_thread, to_the_end


async def test_without_a_cancellation_it_is_as_if_it_were_not_there() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    async def broken() -> None:
        raise KeyError("x")

    assert await to_the_end(work()) == 7
    with pytest.raises(KeyError, match="x"):
        await to_the_end(broken())


async def test_a_cancellation_comes_after_the_work_however_often_it_is_asked_for() -> None:
    go, done = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        done.append("whole")

    task = asyncio.create_task(to_the_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["whole"]


async def test_an_error_of_the_work_is_the_cause_of_the_cancellation() -> None:
    go = asyncio.Event()

    async def work() -> None:
        await go.wait()
        raise OSError("disk")

    task = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert isinstance(cancelled.value.__cause__, OSError)


async def test_work_that_is_cancelled_itself_says_so() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await to_the_end(work())


async def test_a_thread_is_never_left_behind() -> None:
    began, go, steps = threading.Event(), threading.Event(), []

    def blocking(first: int, *, second: int) -> int:
        began.set()
        go.wait(30)
        steps.append("over")
        return first + second

    task = asyncio.create_task(in_thread(blocking, 1, second=2))
    await asyncio.to_thread(began.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done() and steps == []
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steps == ["over"]
    assert await in_thread(blocking, 1, second=2) == 3
