"""Conformance tests of what is kept: a value none of whose fields was left out is loaded as it was stored."""

from datetime import timedelta

import pytest

from secondunit.queue.model import Bonds, Change, Event, Filter, Job, Lease, Notice, Status
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.store import Delivery, Step, Store
from secondunit.queue.value import replace
from secondunit.testing.full_values import full, left_out
from secondunit.testing.jobs import NOW, later, start

RETRY = RetryPolicy(9, "fixed", timedelta(milliseconds=1, microseconds=500))
RUNNING = full(
    Job,
    id="a",
    seq=1,
    status=Status.RUNNING,
    priority=3,
    retry=RETRY,
    attempt=2,
    epoch=7,
    lease=Lease("a", 7, "boot", later(30)),
    finished_at=None,
    bonds=Bonds([], "run", "ref"),
)
ENDED = replace(RUNNING, status=Status.CANCELLED, lease=None, suspicion=None, finished_at=later(9))


class RoundTripContract:
    """Every field of every kind of value; one that is new and has no place in the store fails here."""

    @pytest.mark.parametrize(
        ("job", "none"), [(RUNNING, {"finished_at"}), (ENDED, {"lease", "suspicion"})], ids=["live", "ended"]
    )
    async def test_every_field_of_a_job_is_kept(self, store: Store, job: Job, none: set[str]) -> None:
        assert left_out(job) == none, "a new field needs a value here"
        await store.add([Change(replace(job, seq=0))])
        assert await store.get("a") == job
        assert list((await store.find(Filter(), None, 1)).jobs) == [job]

    async def test_every_field_of_a_job_is_kept_by_a_move(self, store: Store) -> None:
        await start(store, "a", type=RUNNING.type, priority=RUNNING.priority, retry=RETRY)
        before = await store.get("a")
        fixed = ("payload", "source", "labels", "created_at", "retry", "timeout", "target", "idempotency", "dedupe_key")
        owned = ("submitted_by", "owner", "bonds", "batch")
        after = replace(RUNNING, **{name: getattr(before, name) for name in (*fixed, *owned)})
        await store.change("a", lambda _: Change(after))
        assert await store.get("a") == after

    async def test_every_field_of_an_event_is_kept_but_what_is_live_only(self, store: Store) -> None:
        event = full(Event, job_id="a", job_type=RUNNING.type, name="retrying", data=None, seq=1)
        assert left_out(event) == {"data"}
        await store.add([Change(replace(RUNNING, seq=0), replace(event, seq=0))])
        assert list(await store.events(0, Filter(), 10)) == [event]

    async def test_every_field_of_a_notice_and_its_delivery_is_kept(self, store: Store) -> None:
        notice = full(Notice, job_id="a", job_type=RUNNING.type)
        await store.add([Change(replace(ENDED, seq=0), notice=notice)])
        [row] = await store.outbox.of_job("a")
        after = full(Delivery, id=row.id, notice=notice, state="pending")
        assert left_out(notice) | left_out(after) == set()
        await store.outbox.change(row.id, lambda _: after)
        assert row.notice == notice
        assert await store.outbox.get(row.id) == after

    async def test_every_field_of_a_step_is_kept(self, store: Store) -> None:
        step = full(Step, job_id="a", done=True, sends=1)
        assert left_out(step) == set()
        lease = await start(store, "a")
        await store.steps.intend(lease, step.name, NOW)
        await store.steps.finish(lease, step.name, step.result, Change, step.at, files=step.files)
        assert await store.steps.get("a", step.name) == step
        assert list(await store.steps.of_job("a")) == [step]

    async def test_every_field_of_a_cache_entry_is_kept(self, store: Store) -> None:
        entry = full(CacheEntry)
        assert left_out(entry) == set()
        await store.cache.put(entry)
        assert await store.cache.get(entry.key, NOW) == entry
