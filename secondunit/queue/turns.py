"""Cooperative yielding: who goes through many things on the event loop lets others have it in between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")
A_TURN = 16  # things that take 20 to 100 us each
LONGEST_TURN = 0.002  # seconds, of things that take longer


class _Turn:
    """A turn on the event loop: over after some things, or too much time."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._done, self._began = 0, self._time()

    async def one_done(self) -> None:
        """Let all else have a turn, and begin another, if this one is over."""
        self._done += 1
        if self._done == A_TURN or self._time() - self._began > LONGEST_TURN:
            await asyncio.sleep(0)
            self._done, self._began = 0, self._time()


async def in_turns(things: Iterable[T]) -> AsyncIterator[T]:
    """The things, and after some of them a turn for all else."""
    turn = _Turn()
    for thing in things:
        yield thing
        await turn.one_done()


async def made_in_turns(make: Callable[[T], Made], things: Sequence[T]) -> list[Made]:
    """What `make` gives for each, with turns as `in_turns` gives them.

    The loop keeps account of every asynchronous generator, for 4 us each: as much as a job's own part of a submit.
    """
    if len(things) == 1:
        return [make(things[0])]
    turn = _Turn()
    made: list[Made] = []
    for thing in things:
        made.append(make(thing))
        await turn.one_done()
    return made
