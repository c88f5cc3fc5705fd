"""Conformance tests of published folders: what is noted of them is known again, and nothing else."""

from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.jobs import NOW, later

FILM = PublishedFolder("/media/film", 7, NOW, "job_a", 1, later(1))


class FolderContract:
    """Which folders are ours, and what they replaced."""

    async def test_a_folder_is_known_by_its_path_and_by_its_inode_though_there_is_no_such_job(
        self, store: Store
    ) -> None:
        await store.folders.add(FILM)
        assert list(await store.folders.known("/media/film", 8)) == [FILM]
        assert list(await store.folders.known("/elsewhere", 7)) == [FILM]
        assert list(await store.folders.known("/media/film", 7)) == [FILM]
        assert list(await store.folders.known("/media/film/", 8)) == []

    async def test_what_comes_and_what_stands_are_both_known_until_it_is_settled(self, store: Store) -> None:
        coming = replace(FILM, inode=9, manifest_at=later(60), job_id="job_b")
        other = replace(FILM, path="/media/other")
        for folder in (FILM, other, coming):
            await store.folders.add(folder)
        assert sorted(row.inode for row in await store.folders.known("/media/film", 0)) == [7, 9]
        await store.folders.settle(coming)
        assert list(await store.folders.known("/media/film", 0)) == [coming]
        assert list(await store.folders.known("/media/other", 0)) == [other]

    async def test_a_folder_that_is_noted_again_is_as_it_was_noted_last(self, store: Store) -> None:
        await store.folders.add(FILM)
        again = replace(FILM, inode=2**62, epoch=2)
        await store.folders.add(again)
        assert list(await store.folders.known("/media/film", 7)) == [again]

    async def test_what_was_replaced_is_due_after_its_time_oldest_first(self, store: Store) -> None:
        rows = [Replaced("s3://b/film", "v-1", [], later(3)), Replaced("/media/film", "", ["480p/0", "a"], later(2))]
        for row in rows:
            await store.folders.replace(row)
        assert list(await store.folders.replaced(later(2), 9)) == []
        assert list(await store.folders.replaced(later(3), 9)) == rows[1:]
        assert list(await store.folders.replaced(later(9), 9)) == rows[::-1]
        assert list(await store.folders.replaced(later(9), 1)) == rows[1:]

    async def test_what_is_replaced_again_counts_from_then_on_and_each_part_for_itself(self, store: Store) -> None:
        first, part = Replaced("/media/film", "", ["a"], NOW), Replaced("/media/film", "v-1", ["b"], NOW)
        again = replace(first, files=["a", "c"], at=later(5))
        for row in (first, part, again):
            await store.folders.replace(row)
        assert list(await store.folders.replaced(later(9), 9)) == [part, again]

    async def test_what_was_replaced_again_meanwhile_is_not_forgotten(self, store: Store) -> None:
        first = Replaced("/media/film", "", ["a"], NOW)
        again = replace(first, at=later(5))
        await store.folders.replace(first)
        await store.folders.replace(again)
        await store.folders.swept(first)
        assert list(await store.folders.replaced(later(9), 9)) == [again]
        await store.folders.swept(again)
        assert list(await store.folders.replaced(later(9), 9)) == []
