"""Cooperative yielding: who goes through many things on the event loop lets others have it in between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")
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


async def made_in_turns(make: Callable[[T], Made], things: Iterable[T]) -> list[Made]:
    """What `make` gives for each, with turns as `in_turns` gives them.

    The loop keeps account of every asynchronous generator, for 4 us each: as much as a job's own part of a submit.
    """
    time = asyncio.get_running_loop().time
    all: list[Made] = []
    done, began = 0, time()
    for thing in things:
        all.append(make(thing))
        done += 1
        if done == A_TURN or time() - began > LONGEST_TURN:
            await asyncio.sleep(0)
            done, began = 0, time()
    return all
