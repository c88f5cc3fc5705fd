"""Turns of large bodies."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from secondunit.daemon.http.transport.bodies.encoded_bodies import body_of
from secondunit.daemon.http.transport.bodies.large_bodies import LARGE, LARGE_BODIES, TURN, LargeBodies
from secondunit.daemon.http.transport.problems import BrokenBody


def request(turns: LargeBodies, length: int) -> tuple[web.Request, StreamReader]:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.transport = asyncio.Transport()
    body = StreamReader(protocol, 2**16, loop=loop)
    made: Any = make_mocked_request("POST", "/", headers={"Content-Length": str(length)}, payload=body)
    made[LARGE_BODIES] = turns
    return made, body


async def test_a_turn_ends_with_its_request_and_memory_is_given_back_before_the_next() -> None:
    tidied: list[str] = []
    turns = LargeBodies(lambda: tidied.append("tidy"))
    first, _ = request(turns, LARGE + 1)
    second, _ = request(turns, LARGE + 1)
    await turns.begin(first)
    await turns.begin(first)
    waiting = asyncio.create_task(turns.begin(second))
    await asyncio.sleep(0)
    assert TURN not in second
    await first[TURN].end()
    await waiting
    assert TURN in second and tidied == ["tidy"]


async def test_a_large_body_that_does_not_come_in_time_loses_its_turn_and_a_small_one_needs_none() -> None:
    turns = LargeBodies(lambda: None, within=0.01)
    slow, _ = request(turns, LARGE + 1)
    with pytest.raises(BrokenBody, match="others wait"):
        await body_of(slow, 16 * LARGE)
    small, body = request(turns, 2)
    body.feed_data(b"{}")
    body.feed_eof()
    assert await body_of(small, 16 * LARGE) == b"{}" and TURN not in small
