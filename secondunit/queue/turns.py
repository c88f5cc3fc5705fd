"""Cooperative yielding: who goes through many things on the event loop lets others have it in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
A_TURN = 16  # things that take 20 to 100 us each
LONGEST_TURN = 0.002  # seconds, of things that take longer


async def in_turns(things: Iterable[T]) -> AsyncIterator[T]:
    """The things, and after some of them a turn for all else."""
    time = asyncio.get_running_loop().time
    done, began = 0, time()
    for thing in things:
        yield thing
        done += 1
        if done == A_TURN or time() - began > LONGEST_TURN:
            await asyncio.sleep(0)
            done, began = 0, time()
