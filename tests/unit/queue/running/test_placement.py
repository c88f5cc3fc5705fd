"""Whether a run is where its inputs lie, once its parents have told them."""

from typing import Any

import pytest
from pydantic import BaseModel

from secondunit.queue.errors import LeaseLost
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.model import Bonds
from secondunit.queue.outcome import Completed, Moved
from secondunit.queue.payloads.locality import Locality
from secondunit.queue.running.placement import misplaced
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, claim_one, new, settled, start

HERE = Locality("one", alone=False)
READS = {"inputPath": "/srv/media/a"}


async def nothing(_: Any, __: Any) -> None:
    """A run that does nothing."""


TYPE = HandlerSpec("hls", BaseModel, nothing)


async def child_of(boot: str) -> tuple[MemoryStore, Any]:
    store = MemoryStore()
    lease = await start(store, "parent", type="other", boot=boot)
    await store.change("parent", settled(Completed({"outputPath": "/srv/media/a"})), lease=lease)
    await store.add([new("child", bonds=Bonds(["parent"]))])
    return store, await claim_one(store, "child", boot="one/1")


async def test_a_run_goes_where_its_parent_wrote_the_input_unless_this_box_is_alone() -> None:
    store, lease = await child_of("two/1")
    job = await store.get("child")
    moved = await misplaced(job, lease, TYPE, READS, store, HERE, NOW)
    assert isinstance(moved, Moved) and moved.box == "two"
    assert await misplaced(job, lease, TYPE, READS, store, replace(HERE, alone=True), NOW) is None
    assert await misplaced(job, lease, TYPE, {"url": "https://x/a"}, store, HERE, NOW) is None


async def test_one_that_is_right_here_is_bound_to_this_box_under_its_lease() -> None:
    store, lease = await child_of("one/0")
    job = await store.get("child")
    with pytest.raises(LeaseLost):
        await misplaced(job, replace(lease, epoch=9), TYPE, READS, store, HERE, NOW)
    assert await misplaced(job, lease, TYPE, READS, store, HERE, NOW) is None
    assert (await store.get("child")).box == "one"
