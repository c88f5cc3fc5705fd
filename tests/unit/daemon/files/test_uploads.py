"""Which uploads are needed: those that a job of any type names, as its spec says, or as anybody can see."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from secondunit.daemon.files.uploads import Uploads
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.outcome import Completed, Outcome
from secondunit.testing.jobs import BROKEN, claim_one, end, settled, submit
from secondunit.testing.rig import Rig, spec


async def never(ctx: JobContext, payload: Any) -> None:
    raise AssertionError("tests move jobs themselves")


def clips(payload: Mapping[str, Any]) -> Sequence[str]:
    return list(payload["clips"])


OWN, BLIND = spec("own", never, uploads=clips), spec("blind", never)


class Shelf:
    """A folder of uploads beside a queue."""

    def __init__(self, folder: Path, known: Sequence[HandlerSpec] = (OWN, BLIND)) -> None:
        self.folder = folder
        self.rig = Rig(*known)
        self.uploads = Uploads(folder, 1 << 20, self.rig.clock, {spec.type: spec for spec in known})
        self.rig.hub.tap(self.uploads.hear)

    def upload(self, name: str) -> str:
        path = self.folder / name
        path.write_bytes(b"video")
        return str(path)

    async def ended(self, type: str, outcome: Outcome, *clips: str) -> None:
        await end(self.rig.store, f"job_{type}", outcome, type=type, payload={"clips": list(clips)})

    async def kept(self) -> set[str]:
        """What is left once the daemon has looked."""
        task = asyncio.create_task(self.uploads.run(self.rig.queue))
        async with asyncio.timeout(10):
            while not self.rig.clock.sleepers:
                await asyncio.sleep(0.002)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return self.names()

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


async def test_a_type_keeps_what_its_spec_says_it_names_until_it_has_completed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second, _ = shelf.upload("first"), shelf.upload("second"), shelf.upload("orphan")
    await shelf.ended("own", BROKEN, first, second)
    assert await shelf.kept() == {"first", "second"}
    done = Shelf(tmp_path)
    await done.ended("own", Completed({}), first, second)
    assert await done.kept() == set()


async def test_a_type_that_takes_no_uploads_keeps_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    await shelf.ended("blind", BROKEN, shelf.upload("first"))
    assert await shelf.kept() == set()


async def test_a_job_whose_type_is_gone_keeps_whatever_it_names(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, known=[BLIND])
    await shelf.ended("own", BROKEN, shelf.upload("first"))
    shelf.upload("orphan")
    assert await shelf.kept() == {"first"}


async def test_what_completed_gives_all_its_uploads_free_at_once(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    payload = {"clips": [shelf.upload("first"), shelf.upload("second")]}
    await submit(shelf.rig.store, "job_a", type="own", payload=payload)
    assert await shelf.kept() == {"first", "second"}
    task = asyncio.create_task(shelf.uploads.run(shelf.rig.queue))
    lease = await claim_one(shelf.rig.store, "job_a")
    await shelf.rig.store.change("job_a", settled(Completed({})), lease=lease)
    async with asyncio.timeout(10):
        while shelf.names():
            await asyncio.sleep(0.002)
    task.cancel()
