"""An input that changes under a run: nothing is made of it until it has been still, and that costs nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.storage.settling import Settling
from secondunit.queue.handler import Workspace
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.testing.clock import ManualClock

STILL = timedelta(seconds=5)


@dataclass
class Recording:
    """A file that grows while runs read it, and what the runs come to."""

    root: Path
    files: LocalFiles
    clock: ManualClock

    @property
    def path(self) -> Path:
        return self.root / "film.ts"

    def write(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"more")

    async def later(self, delay: timedelta) -> None:
        await self.clock.advance(delay.total_seconds())

    async def growing(self, waits: list[timedelta]) -> None:
        """Runs that find it grown each time, until one of them gives up, or there were 120."""
        while len(waits) < 120 and isinstance(delay := await self.run(grows=True), timedelta):
            waits.append(delay)
            await self.later(delay)
            await asyncio.to_thread(self.write)

    async def run(self, *, grows: bool, fails: bool = False) -> str | timedelta:
        """What comes of a run: done, or how long it waits."""
        context: Any = type("Ctx", (), {"workspace": Workspace(self.root, self.root, self.root / "log")})
        try:
            async with (
                self.files.source(str(self.path)) as source,
                Settling(self.files, self.clock, STILL).unchanged(str(self.path), source, context),
            ):
                if grows:
                    await asyncio.to_thread(self.write)
                if fails:
                    raise Deterministic("half of it is missing", type="unreadable")
        except Postponed as postponed:
            return postponed.delay
        return "done"


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    files = LocalFiles([tmp_path])
    found = Recording(tmp_path, files, ManualClock())
    found.write()
    yield found
    files.close()


async def test_an_input_that_does_not_change_is_never_waited_for(recording: Recording) -> None:
    assert await recording.run(grows=False) == "done"
    with pytest.raises(Deterministic):
        await recording.run(grows=False, fails=True)


async def test_what_was_made_of_a_growing_file_is_dropped_and_made_again_once_it_is_still(recording: Recording) -> None:
    assert await recording.run(grows=True) == STILL
    await recording.later(timedelta(seconds=3))
    assert await recording.run(grows=False) == timedelta(seconds=2)
    await recording.later(timedelta(seconds=2))
    assert await recording.run(grows=False) == "done"


async def test_a_file_that_goes_on_growing_is_waited_for_before_it_is_read(recording: Recording) -> None:
    await recording.run(grows=True)
    await recording.later(STILL)
    await asyncio.to_thread(recording.write)
    assert await recording.run(grows=False, fails=True) == STILL
    await recording.later(STILL)
    assert await recording.run(grows=False) == "done"


async def test_what_is_wrong_with_a_growing_file_may_be_right_once_it_is_whole(recording: Recording) -> None:
    assert await recording.run(grows=True, fails=True) == STILL


async def test_a_file_that_is_replaced_has_changed(recording: Recording) -> None:
    async with recording.files.source(str(recording.path)) as source:
        assert await recording.files.identity(str(recording.path)) == source.identity
        await asyncio.to_thread((recording.root / "new").write_bytes, b"more")
        await asyncio.to_thread((recording.root / "new").rename, recording.path)
        assert await recording.files.identity(str(recording.path)) != source.identity
        await asyncio.to_thread(recording.path.unlink)
        assert await recording.files.identity(str(recording.path)) is None


async def test_after_an_hour_of_changes_an_attempt_is_spent_and_the_next_has_an_hour_of_its_own(
    recording: Recording,
) -> None:
    waits: list[timedelta] = []
    with pytest.raises(Transient) as refused:
        await recording.growing(waits)
    assert refused.value.type == "source_changed"
    assert sum(waits, timedelta()) >= timedelta(hours=1) and len(waits) < 120 and waits[-1] == timedelta(minutes=1)
    assert await recording.run(grows=False) == STILL
    await recording.later(STILL)
    assert await recording.run(grows=False) == "done"


async def test_a_note_that_cannot_be_read_is_none(recording: Recording) -> None:
    await asyncio.to_thread((recording.root / "changed-input.json").write_text, "{")
    assert await recording.run(grows=False) == "done"
