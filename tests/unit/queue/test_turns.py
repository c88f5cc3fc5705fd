"""Going through many things: others have their turns in between, and nothing is left out."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest

from secondunit.queue.turns import A_TURN, LONGEST_TURN, in_turns, made_in_turns

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


async def test_things_that_take_long_give_others_their_turn_sooner(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, now = asyncio.get_running_loop(), 0.0
    monkeypatch.setattr(loop, "time", lambda: now)
    seen, had = list[int](), list[int]()

    class Slow(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal now
            for n in super().__iter__():
                seen.append(len(had))
                loop.call_soon(had.append, n)
                now += LONGEST_TURN * 0.4
                yield n

    await way(Slow(range(7)))
    assert seen == [0, 0, 0, 3, 3, 3, 6], "0.8 of a turn is no turn, 1.2 is one"


async def test_few_things_take_no_turn(way: Way) -> None:
    turned = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert await way(range(3)) == [1, 2, 3]
    assert not turned.done()
    await turned
