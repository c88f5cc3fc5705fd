"""Conformance tests of the registry of boxes: whose name it is, when it was seen, and a drain that stands."""

from datetime import timedelta

from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.full_values import full, left_out
from secondunit.testing.jobs import NOW, TTL, claim, end, later, prune_at, submit

BOX = BoxRow("a", "a/1", "http://127.0.0.1:8000", "1.0.0", {"hls": 1}, 5, TTL, NOW)
HOUR = timedelta(hours=1)


class BoxContract:
    """What is known of a box, by its name. Times are compared with the row's own: a server goes by its clock."""

    async def test_every_field_of_a_box_is_kept(self, store: Store) -> None:
        whole = full(BoxRow)
        assert left_out(whole) == set()
        entered = await store.boxes.enter(whole)
        assert replace(entered, seen_at=whole.seen_at) == whole
        assert list(await store.boxes.all()) == [entered]

    async def test_boxes_are_listed_by_name(self, store: Store) -> None:
        for name in ("b", "箱", "a"):
            await store.boxes.enter(replace(BOX, name=name))
        assert [box.name for box in await store.boxes.all()] == ["a", "b", "箱"]

    async def test_a_new_boot_takes_the_name_and_the_drain_stays(self, store: Store) -> None:
        await store.boxes.enter(BOX)
        assert await store.boxes.drain("a", True) is not None
        await store.boxes.turn("a", "a/1", "ended", later(1))
        second = replace(BOX, boot="a/2", address="http://127.0.0.1:8001", most=7, seen_at=later(2))
        entered = await store.boxes.enter(second)
        assert replace(entered, seen_at=second.seen_at) == replace(second, drained=True)
        assert [(box.boot, box.phase, box.most) for box in await store.boxes.all()] == [("a/2", "up", 7)]

    async def test_a_heartbeat_says_when_the_box_was_seen_and_what_is_wanted_of_it(self, store: Store) -> None:
        entered, other = await store.boxes.enter(BOX), await store.boxes.enter(replace(BOX, name="b", boot="b/1"))
        beaten = await store.boxes.beat("a", "a/1", later(2))
        assert beaten is not None and beaten.seen_at > entered.seen_at
        assert replace(beaten, seen_at=entered.seen_at) == entered and not beaten.drained
        await store.boxes.drain("a", True)
        again = await store.boxes.beat("a", "a/1", later(4))
        assert again is not None and again.drained and again.seen_at > beaten.seen_at
        assert list(await store.boxes.all()) == [again, other]

    async def test_a_boot_that_lost_its_name_changes_nothing(self, store: Store) -> None:
        await store.boxes.enter(BOX)
        entered = await store.boxes.enter(replace(BOX, boot="a/2", seen_at=later(1)))
        assert await store.boxes.beat("a", "a/1", later(9)) is None
        await store.boxes.turn("a", "a/1", "ended", later(9))
        assert await store.boxes.beat("nobody", "a/2", later(9)) is None
        assert list(await store.boxes.all()) == [entered]

    async def test_a_box_says_that_it_stops_and_that_it_ended(self, store: Store) -> None:
        entered = await store.boxes.enter(BOX)
        for phase in ("stopping", "ended"):
            await store.boxes.turn("a", "a/1", phase, later(1))
            [box] = await store.boxes.all()
            assert box.phase == phase and box.seen_at >= entered.seen_at

    async def test_one_box_is_drained_and_resumed(self, store: Store) -> None:
        await store.boxes.enter(BOX)
        await store.boxes.enter(replace(BOX, name="b", boot="b/1"))
        for drained in (True, True, False):
            box = await store.boxes.drain("b", drained)
            assert box is not None and box.drained is drained
            assert [one.drained for one in await store.boxes.all()] == [False, drained]
        assert await store.boxes.drain("nobody", True) is None
        assert len(await store.boxes.all()) == 2

    async def test_running_jobs_are_counted_by_boot_and_type(self, store: Store) -> None:
        await submit(store, "1", "2", "3")
        await claim(store, 2, boot="a/1")
        await claim(store, 1, boot="b/1")
        await submit(store, "4", type="webp")
        await claim(store, 1, type="webp", boot="a/1")
        await submit(store, "5")
        assert await store.boxes.held() == {"a/1": {"hls": 2, "webp": 1}, "b/1": {"hls": 1}}

    async def test_what_waits_for_a_box_is_counted_and_the_box_not_forgotten_meanwhile(self, store: Store) -> None:
        seen = (await store.boxes.enter(BOX)).seen_at
        for job_id in ("1", "2", "3"):
            await submit(store, job_id, box="a")
        await submit(store, "4", box="b")
        await submit(store, "5")
        await submit(store, "6", box="a", run_at=later(60))
        assert await store.boxes.bound() == {"a": 3, "b": 1}
        await store.prune(prune_at(seen + HOUR))
        assert [box.name for box in await store.boxes.all()] == ["a"]
        jobs = await store.claim({"hls": 3}, 3, "a/1", TTL, NOW, box="a")
        assert len(jobs) == 3 and await store.boxes.bound() == {"b": 1}

    async def test_what_has_ended_runs_nowhere(self, store: Store) -> None:
        await end(store, "1")
        assert await store.boxes.held() == {}

    async def test_boxes_are_forgotten_when_they_were_not_seen_for_long_and_drained_ones_later(
        self, store: Store
    ) -> None:
        entered = await store.boxes.enter(BOX)
        seen = (await store.boxes.enter(replace(BOX, name="b", boot="b/1"))).seen_at
        await store.boxes.drain("b", True)
        await store.prune(prune_at(entered.seen_at - HOUR))
        assert [box.name for box in await store.boxes.all()] == ["a", "b"]
        await store.prune(prune_at(seen + HOUR, failed_before=entered.seen_at - HOUR))
        assert [box.name for box in await store.boxes.all()] == ["b"]
        await store.prune(prune_at(seen + HOUR))
        assert list(await store.boxes.all()) == []
