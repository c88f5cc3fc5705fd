"""A file that a worker sent stays for as long as the step that names it may have been written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.leasing.artifacts import SentArtifacts
from secondunit.queue.errors import LeaseLost, StoreBroken, StoreFull


class Holding:
    """Its step is written, and then ends as it is told to."""

    def __init__(self) -> None:
        self.end: BaseException | None = None
        self.written = asyncio.Event()

    async def held(self, job_id: str, epoch: int) -> None:
        """The lease holds."""

    async def step(self, *_: Any) -> None:
        self.written.set()
        if self.end is None:
            await asyncio.Event().wait()
        else:
            raise self.end


class NoSteps:
    async def of_job(self, job_id: str) -> Sequence[Any]:
        return []


async def chunks() -> AsyncIterator[bytes]:
    yield b"paid for"


def shelf(holding: Holding, work: Path) -> SentArtifacts:
    return SentArtifacts(work, "b1", NoSteps(), holding, 1000, 1000, lambda: None)  # type: ignore[arg-type]  # what it asks of them


def files(work: Path) -> list[bytes]:
    return [file.read_bytes() for file in work.rglob("*") if file.is_file()]


async def test_a_caller_that_goes_while_the_step_is_written_leaves_its_file(tmp_path: Path) -> None:
    holding = Holding()
    sending = asyncio.create_task(shelf(holding, tmp_path).store("job_a", 1, "a.txt", chunks()))
    await holding.written.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert files(tmp_path) == [b"paid for"]


@pytest.mark.parametrize(("end", "left"), [(StoreBroken("cut off"), 1), (StoreFull("full"), 0), (LeaseLost("j", 1), 0)])
async def test_a_file_goes_only_where_its_step_was_surely_not_written(
    tmp_path: Path, end: BaseException, left: int
) -> None:
    holding = Holding()
    holding.end = end
    with pytest.raises(type(end)):
        await shelf(holding, tmp_path).store("job_a", 1, "a.txt", chunks())
    assert len(files(tmp_path)) == left


async def test_what_the_disk_has_no_room_for_is_refused_before_any_of_it_is_taken(tmp_path: Path) -> None:
    async def untouched() -> AsyncIterator[bytes]:
        raise AssertionError("it is not to be read")
        yield b""

    with pytest.raises(StoreFull, match="MiB are free"):
        await shelf(Holding(), tmp_path).store("job_a", 1, "a.txt", untouched(), 1 << 60)
    assert files(tmp_path) == []
