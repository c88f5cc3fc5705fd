"""Task scope of a run, structured concurrency from outside: what its handler starts beside itself ends with it."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import ContextVar
from typing import Any

from secondunit.queue.clock import Clock

TO_STOP = 5.0


class Scope:
    """The tasks that are started within a run, by whichever of its tasks and callbacks.

    A SystemExit or KeyboardInterrupt in one of them would end the event loop: `on_exit` gets it, and the task counts as
    cancelled. Once the scope is closed, a task that is still started in it is cancelled before it begins.
    """

    def __init__(self, on_exit: Callable[[BaseException], object]) -> None:
        self._on_exit = on_exit
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def enter(self) -> None:
        """From now on the current task, and all that comes of it, is within."""
        _SCOPE.set(self)

    async def close(self, clock: Clock) -> Sequence[str]:
        """Stop what still runs and wait until it is gone, five seconds at most; the names of what went on."""
        self._closed = True
        if not self._tasks:
            return ()
        forgotten = [task for task in self._going() if not task.cancelling()]
        for task in forgotten:
            task.cancel()
        if self._going():
            await self._gone(clock)
        return [name_of(task) for task in forgotten]

    def task(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **named: Any) -> asyncio.Task[Any]:
        """A task within the scope."""
        task: asyncio.Task[Any] = asyncio.Task(_Contained(work, self._on_exit), loop=loop, **named)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._closed:
            task.cancel()
        return task

    def _going(self) -> Sequence[asyncio.Task[Any]]:
        return [task for task in self._tasks if not task.done()]

    async def _gone(self, clock: Clock) -> None:
        pause = asyncio.ensure_future(clock.sleep(TO_STOP))
        try:
            while (going := self._going()) and not pause.done():
                await asyncio.wait([pause, *going], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()


# Context is how asyncio itself hands down what belongs to a task: children, callbacks and threads inherit it.
_SCOPE: ContextVar[Scope | None] = ContextVar("scope of a run", default=None)


def task_factory(loop: asyncio.AbstractEventLoop, work: Any, **named: Any) -> asyncio.Task[Any]:
    """For `loop.set_task_factory`: tasks as ever, those of a run in its scope."""
    context = named.get("context")
    scope = _SCOPE.get() if context is None else context.get(_SCOPE)
    return asyncio.Task(work, loop=loop, **named) if scope is None else scope.task(loop, work, **named)


def name_of(task: asyncio.Task[Any]) -> str:
    """The name of a task's coroutine, by which a person finds it in the code."""
    return str(getattr(task.get_coro(), "__qualname__", task.get_name()))


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that never ends by what would end the loop. No coroutine around it: one that never begins warns."""

    def __init__(self, work: Coroutine[Any, Any, Any], on_exit: Callable[[BaseException], object]) -> None:
        self._work = work
        self._on_exit = on_exit

    def send(self, value: Any) -> Any:
        try:
            return self._work.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._exited(error) from error

    def throw(self, *error: Any) -> Any:
        try:
            return self._work.throw(*error)
        except (SystemExit, KeyboardInterrupt) as exit:
            raise self._exited(exit) from exit

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._work.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # cr_frame and the like, for tracebacks and names

    def _exited(self, error: BaseException) -> asyncio.CancelledError:
        self._on_exit(error)
        return asyncio.CancelledError("it asked the process to exit")
