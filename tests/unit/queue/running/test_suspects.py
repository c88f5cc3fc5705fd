"""Probation: which suspect is admitted, and what room it leaves to the others."""

from collections.abc import Sequence
from datetime import datetime

from secondunit.queue import state
from secondunit.queue.model import Job, JobId, Status
from secondunit.queue.running.suspects import Suspects
from secondunit.queue.stores.memory import MemoryStore
from secondunit.testing.jobs import BOOT, FLAKY, NOW, TTL, by, end, later, settled, start, start_suspect

ROOM = {"hls": 2, "webp": 2}


class Listed(MemoryStore):
    """A store that counts how often it lists its suspects, and moves one right after."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.moves: JobId | None = None

    async def suspects(self) -> Sequence[Job]:
        self.asked += 1
        listed = await super().suspects()
        if self.moves:
            await self.change(self.moves, by(state.cancel, NOW))
        return listed


async def suspect(store: MemoryStore, job_id: JobId, at: datetime = NOW, type: str = "hls") -> None:
    await start(store, job_id, at=at, type=type)
    await store.change(job_id, by(state.bury, 1, False, at))


async def test_a_store_without_suspects_is_asked_once() -> None:
    store = Listed()
    suspects = Suspects(store)
    for _ in range(3):
        assert await suspects.admit(ROOM, [], BOOT, TTL, NOW) == (ROOM, ())
    assert store.asked == 1


async def test_a_suspect_that_moved_since_it_was_listed_gives_its_turn_to_the_next() -> None:
    store = Listed()
    await suspect(store, "gone", later(1))
    await suspect(store, "next", NOW)
    store.moves = "gone"
    _, started = await Suspects(store).admit(ROOM, [], BOOT, TTL, later(2))
    assert [job.id for job in started] == ["next"] and started[0].status is Status.RUNNING


async def test_only_types_that_have_completed_and_are_not_suspected_run_beside_one() -> None:
    store = MemoryStore()
    await end(store, "good", type="webp")
    await end(store, "as good", type="hls")
    await suspect(store, "a")
    room, started = await Suspects(store).admit({**ROOM, "new": 1}, [], BOOT, TTL, NOW)
    assert (room, [job.id for job in started]) == ({"webp": 2}, ["a"])


async def test_one_that_can_not_start_now_leaves_all_the_room_to_others() -> None:
    store = MemoryStore()
    await suspect(store, "a")
    assert await Suspects(store).admit({"webp": 2}, [], BOOT, TTL, NOW) == ({"webp": 2}, ()), "its type has no room"
    lease = await start_suspect(store, "a", at=later(1))
    await store.change("a", settled(FLAKY, later(2)), lease=lease)
    assert await Suspects(store).admit(ROOM, [], BOOT, TTL, later(2)) == (ROOM, ()), "it waits for its next attempt"


async def test_once_the_last_one_is_cleared_everything_runs_as_ever() -> None:
    store = MemoryStore()
    await suspect(store, "a")
    suspects = Suspects(store)
    _, [job] = await suspects.admit(ROOM, [], BOOT, TTL, NOW)
    assert (await suspects.admit(ROOM, [], BOOT, TTL, NOW))[0] == {}, "nothing has ever completed"
    await store.change("a", by(state.cleared, later(1)), lease=job.lease)
    assert await suspects.admit(ROOM, [], BOOT, TTL, later(1)) == (ROOM, ())
