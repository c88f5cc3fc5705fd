"""Cooperative yielding: who goes through many things on the event loop lets others have it in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
A_TURN = 16  # things that take 20 to 100 us each


async def in_turns(things: Iterable[T]) -> AsyncIterator[T]:
    """The things, and after some of them a turn for all else."""
    for number, thing in enumerate(things, 1):
        yield thing
        if number % A_TURN == 0:
            await asyncio.sleep(0)
