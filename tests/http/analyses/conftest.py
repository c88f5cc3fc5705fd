"""A daemon whose analyses are made by a stand-in."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.queue.running.execution import Runtime as Runs
from secondunit.queue.running.worker import Worker
from secondunit.testing.rig import RecordedFolders, SteadyRandom
from tests.http.analyses.kitchen import Kitchen, Open, running


@pytest.fixture
async def open_kitchen(build: Any, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(working: bool = True) -> Kitchen:
            kitchen = Kitchen(tmp_path)
            harness = kitchen.harness = await build(specs=[kitchen.spec], analyses=kitchen.analyses)
            if working:
                runs = Runs(harness.store, harness.hub, harness.clock, SteadyRandom(), RecordedFolders())
                worker = kitchen.worker = Worker(
                    runs, harness.queue.registry, boot="boot", ttl=timedelta(hours=9), most=5
                )
                await stack.enter_async_context(running(worker.run()))
                await stack.enter_async_context(running(kitchen.uploads.run(harness.queue)))
            return kitchen

        yield opened


@pytest.fixture
async def kitchen(open_kitchen: Open) -> Kitchen:
    return await open_kitchen()
