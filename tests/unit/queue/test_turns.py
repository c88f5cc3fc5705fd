"""Going through many things: others have their turns in between, and nothing is left out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from secondunit.queue.turns import A_TURN, in_turns, made_in_turns

Way = Callable[[Sequence[int]], Awaitable[list[int]]]


async def gone_through(things: Sequence[int]) -> list[int]:
    return [thing + 1 async for thing in in_turns(things)]


async def made(things: Sequence[int]) -> list[int]:
    return await made_in_turns(lambda n: n + 1, things)


@pytest.fixture(params=[gone_through, made])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


async def test_others_have_turns_while_many_things_are_gone_through(way: Way) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = await way(range(10 * A_TURN + 1))
    task.cancel()
    assert seen == list(range(1, 10 * A_TURN + 2)) and turns >= 10


async def test_few_things_take_no_turn(way: Way) -> None:
    turned = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert await way(range(3)) == [1, 2, 3]
    assert not turned.done()
    await turned
