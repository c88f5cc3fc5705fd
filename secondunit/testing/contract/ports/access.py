"""Conformance tests of access keys and the audit trail."""

from datetime import timedelta

from secondunit.queue.model import Filter, Status
from secondunit.queue.ports.access import AUDIT_KEPT, AccessKey, AuditEntry
from secondunit.queue.ports.pruning import Prune
from secondunit.queue.store import Store
from secondunit.queue.value import replace
from secondunit.testing.full_values import full, left_out
from secondunit.testing.jobs import NOW, end, later, submit


def key(prefix: str, **fields: object) -> AccessKey:
    """A key of which only this matters."""
    plain = AccessKey(prefix, b"digest of " + prefix.encode(), f"name of {prefix}", ["read"], NOW)
    return replace(plain, **fields)  # type: ignore[arg-type]


def entry(action: str, minutes: float = 0) -> AuditEntry:
    """An entry of which only this matters."""
    return AuditEntry(NOW + timedelta(minutes=minutes), None, "127.0.0.1", action)


class AccessContract:
    """Keys are kept whole, end once, and never change hands; entries are kept in order, and for their time."""

    async def test_every_field_of_a_key_and_of_an_entry_is_kept(self, store: Store) -> None:
        whole, told = full(AccessKey), full(AuditEntry, seq=1)
        assert left_out(whole) | left_out(told) == set()
        assert await store.keys.add(whole)
        await store.audit.add(replace(told, seq=0))
        assert list(await store.keys.all()) == [whole]
        assert list(await store.audit.find(None, 10)) == [told]
        bare = key("bare")
        assert await store.keys.add(bare)
        assert bare in await store.keys.all()

    async def test_a_prefix_that_is_taken_stays_whose_it_is(self, store: Store) -> None:
        first = key("a")
        assert await store.keys.add(first)
        assert await store.keys.revoke("a", later(1)) == replace(first, revoked_at=later(1))
        assert not await store.keys.add(key("a", name="another's"))
        assert [(found.name, found.revoked_at) for found in await store.keys.all()] == [("name of a", later(1))]

    async def test_keys_are_listed_oldest_first(self, store: Store) -> None:
        for prefix, seconds in (("b", 2), ("c", 1), ("a", 2)):
            await store.keys.add(key(prefix, created_at=later(seconds)))
        assert [found.prefix for found in await store.keys.all()] == ["c", "a", "b"]

    async def test_a_key_is_revoked_once(self, store: Store) -> None:
        await store.keys.add(key("a"))
        await store.keys.add(key("b"))
        await store.keys.revoke("a", later(1))
        again = await store.keys.revoke("a", later(9))
        assert again is not None and again.revoked_at == later(1)
        assert await store.keys.revoke("nobody's", later(1)) is None
        assert [found.revoked_at for found in await store.keys.all()] == [later(1), None]

    async def test_every_move_of_a_key_is_counted_once(self, store: Store) -> None:
        seen = [await store.keys.moves()]
        for move in (
            store.keys.add(key("a")), store.keys.add(key("b")), store.keys.revoke("a", later(1)),
            store.keys.revoke("a", later(2)), store.keys.add(key("a")), store.keys.used({"b": later(3)}),
        ):  # fmt: skip
            await move
            seen.append(await store.keys.moves())
        assert seen == [0, 1, 2, 3, 3, 3, 3]

    async def test_the_last_use_never_goes_back(self, store: Store) -> None:
        await store.keys.add(key("a"))
        await store.keys.add(key("b"))
        await store.keys.used({"a": later(5), "nobody's": later(5)})
        await store.keys.used({"a": later(3)})
        assert [found.last_used_at for found in await store.keys.all()] == [later(5), None]
        await store.keys.used({"a": later(6)})
        assert [found.last_used_at for found in await store.keys.all()] == [later(6), None]

    async def test_entries_are_found_newest_first_and_page_by_page(self, store: Store) -> None:
        for action in "abcde":
            await store.audit.add(entry(action))
        first = await store.audit.find(None, 2)
        rest = await store.audit.find(first[-1].seq, 10)
        assert [found.action for found in (*first, *rest)] == ["e", "d", "c", "b", "a"]
        assert list(await store.audit.find(rest[-1].seq, 10)) == []

    async def test_entries_are_found_by_their_key_action_or_target(self, store: Store) -> None:
        for key, action, target in (("a", "x", None), (None, "a", "b"), ("c", "x", "a"), ("aa", "x", "b")):
            await store.audit.add(AuditEntry(NOW, key, "127.0.0.1", action, target))
        assert [found.seq for found in await store.audit.find(None, 9, "a")] == [3, 2, 1]
        assert [found.seq for found in await store.audit.find(3, 1, "a")] == [2]
        assert list(await store.audit.find(None, 9, "nobody")) == []

    async def test_entries_are_kept_for_their_time_and_numbers_are_not_used_again(self, store: Store) -> None:
        for action, minutes in (("old", -1), ("young", 0), ("younger", 1)):
            await store.audit.add(entry(action, minutes))
        now = NOW + AUDIT_KEPT
        await store.prune(Prune(now, now, now))
        assert [(found.action, found.seq) for found in await store.audit.find(None, 10)] == [
            ("younger", 3),
            ("young", 2),
        ]
        far = now + timedelta(days=1)
        await store.prune(Prune(far, far, far))
        await store.audit.add(entry("next"))
        assert [found.seq for found in await store.audit.find(None, 10)] == [4]

    async def test_an_entry_is_finished_or_withdrawn_by_its_number(self, store: Store) -> None:
        assert [await store.audit.add(entry(action)) for action in "abc"] == [1, 2, 3]
        await store.audit.finish(1, "done")
        await store.audit.withdraw(2)
        await store.audit.withdraw(9)
        found = await store.audit.find(None, 10)
        assert [(one.action, one.detail, one.seq) for one in found] == [("c", None, 3), ("a", "done", 1)]
        assert await store.audit.add(entry("d")) == 4

    async def test_a_slice_is_forgotten_at_a_time(self, store: Store) -> None:
        for action in "abc":
            await store.audit.add(entry(action, -1))
        now = NOW + AUDIT_KEPT
        await store.prune(Prune(now, now, now, limit=2))
        assert [found.action for found in await store.audit.find(None, 10)] == ["c"]


class OwnerContract:
    """What one owner is told of are that owner's jobs alone."""

    async def test_an_owner_finds_its_own_jobs(self, store: Store) -> None:
        await submit(store, "a1", "a2", owner="A")
        await submit(store, "b1", owner="B")
        await submit(store, "n1")
        await submit(store, "a3", type="webp", owner="A")
        page = await store.find(Filter(owner="A"), None, 2)
        assert ([job.id for job in page.jobs], page.total) == (["a3", "a2"], 3)
        rest = await store.find(Filter(owner="A"), page.next_cursor, 2)
        assert ([job.id for job in rest.jobs], rest.total, rest.next_cursor) == (["a1"], 3, None)
        assert (await store.find(Filter(owner="nobody"), None, 5)).total == 0

    async def test_an_owners_filter_narrows_what_is_its_own(self, store: Store) -> None:
        await end(store, "a1", owner="A")
        await submit(store, "a2", owner="A")
        await submit(store, "a3", type="webp", owner="A")
        await submit(store, "b1", owner="B")
        for filter, ids in (
            (Filter([Status.QUEUED], owner="A"), ["a3", "a2"]),
            (Filter([Status.QUEUED, Status.COMPLETED], ["hls"], owner="A"), ["a2", "a1"]),
            (Filter(types=["webp"], owner="A"), ["a3"]),
            (Filter(ids=["a1", "b1"], owner="A"), ["a1"]),
            (Filter(ids=["a1", "b1"], owner="B"), ["b1"]),
        ):
            page = await store.find(filter, None, 10)
            assert ([job.id for job in page.jobs], page.total) == (ids, len(ids)), filter

    async def test_an_owner_is_told_of_its_own_jobs(self, store: Store) -> None:
        await submit(store, "a1", owner="A")
        await submit(store, "b1", owner="B")
        await submit(store, "n1")
        assert [event.job_id for event in await store.events(0, Filter(owner="A"), 10)] == ["a1"]
        assert [(e.job_id, e.owner) for e in await store.events(0, Filter(), 10)] == [
            ("a1", "A"),
            ("b1", "B"),
            ("n1", None),
        ]
