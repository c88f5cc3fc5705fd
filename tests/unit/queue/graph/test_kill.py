"""Graphs through kill -9: a diamond, a chain of 100, a batch of 1,000; nobody is stuck, each end is told once."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from secondunit.queue.model import Batch, Bonds, Change, Filter, Status
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import CALLBACK, NOW, later, names, new

CHILD = Path(__file__).with_name("graph_child.py")


def job(job_id: str, *parents: str, type: str = "good") -> Change:
    return new(job_id, type=type, batch="batch", bonds=Bonds(parents))


DIAMOND = [job("a"), job("b", "a"), job("c", "a", type="bad"), job("d", "b", "c"), job("e", "b")]
CHAIN = [job("j0"), *(job(f"j{n}", f"j{n - 1}") for n in range(1, 100))]
WIDE = [job("root"), *(job(f"w{n}", "root") for n in range(998)), job("last", "root", "w0", "w997")]
BROKEN_WIDE = [job("root", type="bad"), *(job(f"w{n}", "root") for n in range(999))]


async def run(path: Path, boot: int, lines: int | None) -> bool:
    """Have a process work, and kill it once it has said so many lines; whether it came to its end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), str(path), f"boot-{boot}", stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    said = 0
    async for line in child.stdout:
        if line == b"done\n":
            break
        said += 1
        if said == lines:
            child.kill()
            await child.wait()
            return False
    return await child.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "kills", "ends"),
    [
        (DIAMOND, (1, 2, 2), {Status.COMPLETED: 3, Status.FAILED: 2}),
        (CHAIN, (3, 40), {Status.COMPLETED: 100}),
        (WIDE, (2, 300), {Status.COMPLETED: 1000}),
        (BROKEN_WIDE, (2,), {Status.FAILED: 1000}),
    ],
    ids=["diamond", "chain", "batch", "broken-batch"],
)
async def test_a_graph_ends_whenever_its_process_is_killed(
    tmp_path: Path, changes: Sequence[Change], kills: Sequence[int], ends: dict[Status, int]
) -> None:
    path = tmp_path / "queue.db"
    store = await open_store(path)
    await store.add(changes, batch=Batch("batch", NOW, target=CALLBACK))
    await store.close()
    for boot, lines in enumerate(kills):
        assert not await run(path, boot, lines), "it came to its end before it was killed"
    assert await run(path, len(kills), None)
    store = await open_store(path)
    assert await store.graph.standing("batch") == ends
    told = [row for row in (await store.outbox.due(later(1e6), 99))[0] if row.notice.target.kind == "batch"]
    assert len(told) == 1, "the batch's end is told once"
    for one in (await store.find(Filter(), None, 20)).jobs:
        counted = Counter(await names(store, one.id))
        assert counted["completed"] + counted["failed"] == 1, "each end is told once"
    await store.close()
