"""A film, and downloads of it that fail."""

import asyncio
from collections.abc import Callable

import pytest

from secondunit.handlers.tools.fetching.http_download import Transfer, TransferWish
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.handler_kit import FakeContext

FILM = bytes(range(256)) * 4096  # 1 MiB
MOST = 10 << 20


async def failing(transfer: Transfer, wish: TransferWish, ctx: FakeContext) -> Transient | Deterministic:
    with pytest.raises((Transient, Deterministic)) as caught:
        await transfer.fetch(wish, ctx)
    assert isinstance(caught.value, Transient | Deterministic)
    return caught.value


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)
