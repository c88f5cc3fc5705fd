"""A writer's thread takes what was asked for together, and nobody waits for one that is gone."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from secondunit.queue.errors import StoreBroken, StoreFull
from secondunit.queue.stores.group_commit import AT_ONCE, GroupCommit

BROKEN = StoreBroken("the disk is gone")


class Thread:
    """Does what it takes, and notes how much that was each time; `breaks` is called before it takes."""

    def __init__(self, breaks: Callable[[], None] = lambda: None) -> None:
        self.took: list[int] = []
        self.go = threading.Event()
        self.commits = GroupCommit(asyncio.get_running_loop(), self._serve)
        self._breaks = breaks

    def _serve(self) -> None:
        self.commits.ready()
        failure, last = None, False
        try:
            while not last:
                self.go.wait(10)
                self._breaks()
                batch, last = self.commits.take(None)
                self.took.append(len(batch))
                for entry in batch:
                    entry.outcome = entry.work(None)
                self.commits.answer(batch, [])
        except StoreBroken as error:
            failure = error
        self.commits.ended(failure)

    def ask(self, n: int) -> asyncio.Future[int]:
        return self.commits.ask(lambda _: n, spends=False)


async def test_what_is_asked_for_meanwhile_is_taken_together_but_not_without_a_bound() -> None:
    thread = Thread()
    await thread.commits.open()
    answers = []
    for n in range(AT_ONCE + 10):
        answers.append(thread.ask(n))
        await asyncio.sleep(0)
    thread.go.set()
    assert await asyncio.gather(*answers) == list(range(AT_ONCE + 10))
    assert max(thread.took) == AT_ONCE
    await thread.commits.close()


async def test_closing_has_done_what_was_asked_for_before_and_takes_nothing_after() -> None:
    thread = Thread()
    await thread.commits.open()
    answer = thread.ask(7)
    thread.go.set()
    await thread.commits.close()
    assert answer.result() == 7 and thread.commits.waiting == 0
    with pytest.raises(StoreBroken, match="the store is closed"):
        await thread.ask(8)


async def test_who_waits_for_a_thread_that_ends_of_an_error_is_told_of_it() -> None:
    def breaks() -> None:
        raise BROKEN

    thread = Thread(breaks)
    await thread.commits.open()
    handed_over = thread.ask(1)
    await asyncio.sleep(0)
    thread.go.set()
    asked_since = thread.ask(2)
    for answer in (handed_over, asked_since):
        with pytest.raises(StoreBroken, match="the disk is gone"):
            await asyncio.wait_for(answer, 10)
    assert thread.commits.failure.result() is BROKEN and thread.commits.waiting == 0
    with pytest.raises(StoreBroken, match="the disk is gone"):
        await thread.ask(3)
    await thread.commits.close()


async def test_a_thread_that_cannot_begin_is_an_error_of_the_opening() -> None:
    commits: GroupCommit
    commits = GroupCommit(asyncio.get_running_loop(), lambda: commits.ended(StoreFull("no room")))
    with pytest.raises(StoreFull, match="no room"):
        await commits.open()
