"""Programs are run under both event loops that the daemon may have, and each test is checked for what it left."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.testing.processes import children_of, living


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test of this folder runs once under each."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def runner() -> ProcessRunner:
    return ProcessRunner(sys.executable, grace=timedelta(seconds=0.3))


def open_descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
async def nothing_left(tmp_path: Path) -> AsyncIterator[None]:
    """No test leaves a process, a zombie or a descriptor behind."""
    await asyncio.to_thread(int)  # the loop's own descriptors and threads are there before we count
    others = await children_of(os.getpid())  # a server that other tests share
    before = open_descriptors()
    yield
    assert await living(tmp_path) == []
    assert [child for child in await children_of(os.getpid()) if child not in others] == []
    assert open_descriptors() <= before
