"""Active mode against a backend on loopback."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.daemon.automation.poller.scene import Box, opened


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    async with opened() as box:
        yield box
