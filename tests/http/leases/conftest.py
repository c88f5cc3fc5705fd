"""A daemon whose types are leased."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.http.harness import ApiHarness, Build
from tests.http.leases.scene import SPECS


@pytest.fixture
async def harness(build: Build) -> AsyncIterator[ApiHarness]:
    """A daemon whose types ocr and asr are leased."""
    harness = await build(specs=SPECS)
    loops = [asyncio.create_task(loop) for loop in harness.remote.loops()]
    await harness.clock.settle()
    yield harness
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
