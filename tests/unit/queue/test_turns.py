"""Going through many things: others have their turns in between, and nothing is left out."""

import asyncio

from secondunit.queue.turns import A_TURN, in_turns, made_in_turns


async def test_others_have_turns_while_many_things_are_gone_through() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = [thing async for thing in in_turns(range(10 * A_TURN + 1))]
    task.cancel()
    assert seen == list(range(10 * A_TURN + 1)) and turns >= 10


async def test_few_things_take_no_turn() -> None:
    turned = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert [thing async for thing in in_turns("abc")] == ["a", "b", "c"]
    assert not turned.done()
    await turned


async def test_others_have_turns_while_many_things_are_made() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    made = await made_in_turns(lambda n: n + 1, range(10 * A_TURN + 1))
    task.cancel()
    assert made == list(range(1, 10 * A_TURN + 2)) and turns >= 10


async def test_few_things_are_made_without_a_turn() -> None:
    turned = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    assert await made_in_turns(str.upper, "abc") == ["A", "B", "C"]
    assert not turned.done()
    await turned
