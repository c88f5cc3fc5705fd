"""What a caller gives wrongly is told at once as what it is: it is no daemon that gave no answer."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from secondunit.client.aio import AsyncClient
from secondunit.client.sync import Client

NOBODY = "http://127.0.0.1:9"  # nobody serves it: who takes a fault of the caller for the daemon's asks for a minute


def synchronously(film: Path) -> None:
    Client(NOBODY).analyze(film)


def asynchronously(film: Path) -> None:
    async def done() -> None:
        async with AsyncClient(NOBODY) as client:
            await client.analyze(film)

    asyncio.run(done())


@pytest.mark.parametrize("analyze", [synchronously, asynchronously])
def test_a_file_that_can_not_be_read_is_the_callers_fault(analyze: Callable[[Path], None], tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(FileNotFoundError):
        analyze(tmp_path / "none.mp4")
    with pytest.raises(IsADirectoryError):
        analyze(tmp_path)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost:8000", ""])
def test_an_address_without_http_makes_no_client(client: Callable[[str], object], url: str) -> None:
    with pytest.raises(ValueError, match="neither http"):
        client(url)
