"""The reference store and another, side by side under the same random moves."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from secondunit.queue import state
from secondunit.queue.model import Batch, Bonds, Change, Filter, Idempotency, Job, Lease, Status, Target
from secondunit.queue.outcome import Completed, Outcome, Partial, Postpone, Released, Stopped
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.sight.query import searched
from secondunit.queue.store import Decide, Delivery, Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.queue.value import replace
from secondunit.testing.jobs import ALL, BROKEN, FLAKY, NOW, TTL, by, listened, new, prune_at, settled
from tests.property.answers import answered, cached, counts, due, expired, known, leafed_through, twin

TYPES = ("hls", "webp")
OUTCOMES: list[Outcome] = [
    Completed({"n": 1}),
    Partial([1], ["x"]),
    BROKEN,
    FLAKY,
    Postpone(timedelta(seconds=40), "quota"),
    Released("drain"),
    Stopped(),
]
types = st.sampled_from(TYPES)
boxes = st.sampled_from([None, "one", "two"])
room = st.dictionaries(types, st.integers(0, 3))
keys = st.none() | st.builds(Idempotency, st.sampled_from("kl"), st.sampled_from([b"1", b"2"]))
fields = st.fixed_dictionaries(
    {
        "type": types,
        "priority": st.integers(0, 4),
        "delay": st.none() | st.integers(-10, 120),
        "idempotency": keys,
        "dedupe_key": st.sampled_from([None, None, "w1", "w2"]),
        "target": st.sampled_from([None, Target("callback", "http://127.0.0.1/")]),
        "retry": st.builds(RetryPolicy, st.integers(0, 2)),
        "parents": st.sets(st.integers(1, 6), max_size=2),
        "rule": st.sampled_from(["fail", "cancel", "run"]),
        "box": st.sampled_from([None, None, "one", "two"]),
    }
)


class Disagreement(AssertionError):
    """The stores gave different answers."""


class Stores(RuleBasedStateMachine):
    """Both stores, side by side, under the same moves: the reference and SQLite, or what `opened` opens instead."""

    ids: Bundle[str] = Bundle("ids")
    leases: Bundle[Lease] = Bundle("leases")

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="stores-"))
        self.memory: Store = MemoryStore()
        self.other: Store = self.runner.run(self.opened())
        self.heard = listened(self.memory), listened(self.other)
        self.now = NOW
        self.made = 0

    async def opened(self) -> Store:
        return await open_store(self.folder / "queue.db", synchronous="off")

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.runner.run(self.other.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def both(self, ask: Callable[[Store], Awaitable[Any]]) -> Any:
        """What both stores answer."""
        memory, other = (self.runner.run(answered(ask, store)) for store in (self.memory, self.other))
        if memory != other:
            raise Disagreement(f"\nmemory: {memory}\n other: {other}")
        return memory

    @rule(target=ids, batch=st.lists(fields, min_size=1, max_size=4), together=st.booleans())
    def add(self, batch: list[dict[str, Any]], together: bool) -> str:
        batch_id = f"batch{self.made}" if together else None
        changes = []
        for wish in batch:
            self.made += 1
            delay, back = wish["delay"], wish["parents"]
            run_at = None if delay is None else self.now + timedelta(seconds=delay)
            bonds = Bonds([f"j{self.made - n}" for n in sorted(back) if n < self.made], wish["rule"]) if back else None
            rest = {name: value for name, value in wish.items() if name not in ("delay", "parents", "rule")}
            changes.append(new(f"j{self.made}", at=self.now, run_at=run_at, bonds=bonds, batch=batch_id, **rest))
        whole = Batch(batch_id, self.now, target=Target("callback", "http://127.0.0.1/")) if batch_id else None
        self.both(lambda store: store.add(changes, batch=whole))
        return changes[-1].job.id

    @rule(
        target=leases,
        room=room,
        limit=st.integers(0, 4),
        boot=st.sampled_from(["b1", "b1", "b2"]),
        box=boxes,
        overall=st.dictionaries(types, st.integers(1, 3), max_size=1),
    )
    def claim(self, room: dict[str, int], limit: int, boot: str, box: str | None, overall: dict[str, int]) -> Any:
        jobs = self.both(lambda store: store.claim(room, limit, boot, TTL, self.now, box=box, overall=overall))
        return next((job.lease for job in jobs), Lease("nobody", 1, boot, self.now))

    @rule(held=st.lists(leases, max_size=4))
    def extend(self, held: list[Lease]) -> None:
        self.both(lambda store: store.extend(held, self.now + TTL, self.now))

    @rule(lease=leases, outcome=st.sampled_from(OUTCOMES), fenced=st.booleans())
    def settle(self, lease: Lease, outcome: Outcome, fenced: bool) -> None:
        if fenced:
            self.change(lease.job_id, settled(outcome, self.now), lease)
        else:
            self.change(lease.job_id, partial(_settle_if_running, outcome=outcome, now=self.now))

    @rule(lease=leases, fraction=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    def progress(self, lease: Lease, fraction: float) -> None:
        self.change(lease.job_id, by(state.progress, fraction, f"at {fraction}", "main", self.now), lease)

    @rule(job_id=ids, move=st.sampled_from([state.cancel, state.retry, state.recover, state.expire, state.share]))
    def move(self, job_id: str, move: Any) -> None:
        self.change(job_id, by(move, self.now))

    @rule(lease=leases, name=st.sampled_from("st"), how=st.sampled_from(["intend", "finish", "forget"]))
    def step(self, lease: Lease, name: str, how: str) -> None:
        done = by(state.step_done, self.now)
        match how:
            case "intend":
                self.both(lambda store: store.steps.intend(lease, name, self.now))
            case "finish":
                self.both(lambda store: store.steps.finish(lease, name, {"n": [None]}, done, self.now))
            case _:
                self.both(lambda store: store.steps.forget(lease, name))
        self.both(lambda store: store.steps.of_job(lease.job_id))

    @rule(text=st.sampled_from(["-1", "type:hls status:queued", "-status:failed", "class:transient", "broken"]))
    def search(self, text: str) -> None:
        filter = searched(ALL, text, self.now, {"hls": []})
        self.both(lambda store: store.find(filter, None, 5))

    @rule()
    def series(self) -> None:
        self.both(lambda store: store.sight.series(NOW, []))

    @rule(job_id=ids, box=boxes)
    def line(self, job_id: str, box: str | None) -> None:
        self.both(lambda store: store.sight.line(job_id, TYPES, self.now, 3, box))
        self.both(lambda store: store.sight.waiting(TYPES, self.now, 2, box))

    @rule(job_id=ids, box=boxes)
    def give(self, job_id: str, box: str | None) -> None:
        self.change(job_id, lambda job: Change(replace(job, box=box)))

    @rule(job_id=ids, nth=st.integers(0, 2), way=st.sampled_from(["delivered", "dead", "pending"]))
    def deliver(self, job_id: str, nth: int, way: Any) -> None:
        async def change(store: Store) -> Delivery | None:
            rows = await store.outbox.of_job(job_id)
            if nth >= len(rows):
                return None
            again = self.now + timedelta(seconds=30) if way == "pending" else None
            return await store.outbox.change(
                rows[nth].id, lambda row: replace(row, state=way, attempts=row.attempts + 1, next_at=again)
            )

        self.both(change)

    @rule(job_id=ids, key=st.sampled_from("cd"), life=st.integers(1, 300))
    def cache(self, job_id: str, key: str, life: int) -> None:
        entry = CacheEntry(key, {"n": life}, job_id, self.now, self.now + timedelta(seconds=life))
        self.both(lambda store: store.cache.put(entry))

    @rule(seconds=st.sampled_from([0.5, 10, 31, 600, 3600, 25 * 3600]))
    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def age(self) -> None:
        self.promote()
        self.both(lambda store: store.age(self.now, timedelta(minutes=10), 1000))

    @rule(seconds=st.sampled_from([-3600, 45]))
    def shift(self, seconds: int) -> None:
        self.promote()
        self.both(lambda store: store.shift(timedelta(seconds=seconds)))

    @rule(type=types, paused=st.booleans())
    def pause(self, type: str, paused: bool) -> None:
        self.both(lambda store: store.pause(type, paused))

    @rule(target=ids, ago=st.sampled_from([0, 60, 3600]), failed_ago=st.sampled_from([0, 3600]))
    def prune(self, ago: int, failed_ago: int) -> str:
        # a job that stays, so that the numbers of those that go are not given out again
        self.made += 1
        self.both(lambda store: store.add([new(f"j{self.made}", at=self.now)]))
        what = replace(
            prune_at(self.now - timedelta(seconds=ago)),
            now=self.now,
            failed_before=self.now - timedelta(seconds=failed_ago),
            limit=1000,
        )

        async def prune(store: Store) -> list[str]:
            return sorted(await store.prune(what))

        self.both(prune)
        return f"j{self.made}"

    @rule(filter=st.builds(Filter, st.lists(st.sampled_from(list(Status)), max_size=2), st.lists(types, max_size=2)))
    def look(self, filter: Filter) -> None:
        self.both(partial(leafed_through, filter=filter))
        self.both(lambda store: store.events(self.now.second, filter, 5))

    @rule(job_ids=st.lists(ids, min_size=1, max_size=3), filter=st.builds(Filter, types=st.lists(types, max_size=1)))
    def look_for(self, job_ids: list[str], filter: Filter) -> None:
        self.both(lambda store: store.find(replace(filter, ids=job_ids), None, 10))
        self.both(lambda store: store.events(0, replace(filter, ids=job_ids), 100))

    @invariant()
    def the_same_is_there(self) -> None:
        self.promote()
        self.both(lambda store: store.find(ALL, None, 1000))
        self.both(lambda store: store.events(0, ALL, 10_000))
        self.both(lambda store: store.event_bounds())
        self.both(counts)
        self.both(lambda store: store.next_due(TYPES))
        self.both(lambda store: store.paused())
        for boot in ("b1", "b2"):
            self.both(partial(expired, now=self.now, boot=boot))
        for key in "kl":
            self.both(partial(known, key=key, now=self.now))
        for work in ("w1", "w2"):
            self.both(partial(twin, work=work))
        for key in "cd":
            self.both(partial(cached, key=key, now=self.now))
        self.both(partial(due, now=self.now))
        assert self.heard[0] == self.heard[1]

    def promote(self) -> None:
        """Let both see whose time has come, which is a claim's affair."""
        self.both(lambda store: store.claim({}, 0, "b1", TTL, self.now))

    def change(self, job_id: str, decide: Decide, lease: Lease | None = None) -> None:
        self.both(lambda store: store.change(job_id, decide, lease=lease))


def _settle_if_running(job: Job, *, outcome: Outcome, now: datetime) -> Any:
    return settled(outcome, now)(job) if job.status is Status.RUNNING else state.cancel(job, now)


QUICK = settings(
    max_examples=10,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
