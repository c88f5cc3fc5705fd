"""What a store answers, without what it may choose."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from secondunit.queue.errors import QueueError
from secondunit.queue.model import Event, Filter, Job
from secondunit.queue.store import Delivery, Store
from secondunit.queue.value import Value, replace


async def answered(ask: Callable[[Store], Awaitable[Any]], store: Store) -> Any:
    try:
        return plain(await ask(store))
    except QueueError as error:
        return type(error), getattr(error, "job_id", None)


def plain(answer: Any) -> Any:
    """The answer, without what a store may choose: names of deliveries, numbers of jobs, kinds of collections.

    Which job comes before which is compared where they are listed.
    """
    if isinstance(answer, Delivery):
        return replace(answer, id="")
    if isinstance(answer, Job):
        return replace(answer, seq=0)
    if isinstance(answer, Value):
        return answer if isinstance(answer, Event) else listed(answer)
    if isinstance(answer, str | bytes | frozenset) or answer is None:
        return answer
    if isinstance(answer, Sequence):
        return [plain(part) for part in answer]
    return dict(answer) if hasattr(answer, "items") else answer


def listed(answer: Any) -> Any:
    """A list of jobs; where the next one begins is by a number."""
    if not hasattr(answer, "jobs"):
        return answer
    return replace(answer, jobs=plain(answer.jobs), next_cursor=None if answer.next_cursor is None else 0)


async def leafed_through(store: Store, *, filter: Filter) -> Any:
    pages = [page := await store.find(filter, None, 2)]
    while page.next_cursor is not None:
        pages.append(page := await store.find(filter, page.next_cursor, 2))
    return pages


async def counts(store: Store) -> Any:
    counts = await store.counts()
    told = [{type: n for type, n in part.items() if n} for part in (counts.queued, counts.running, counts.ended)]
    # since when is not compared: SQLite looks at the heads of its lines only
    return [*told, counts.oldest_ready is None, {state: n for state, n in (await store.outbox.counts()).items() if n}]


async def expired(store: Store, *, now: datetime, boot: str) -> Any:
    return sorted(await store.expired(now, boot, 1000), key=lambda lease: lease.job_id)


async def known(store: Store, *, key: str, now: datetime) -> Any:
    return await store.known(key, now)


async def twin(store: Store, *, work: str) -> Any:
    return await store.live_twin(work)


async def cached(store: Store, *, key: str, now: datetime) -> Any:
    return await store.cache.get(key, now)


async def due(store: Store, *, now: datetime) -> Any:
    due = (await store.outbox.due(now, 1000))[0]
    ordered = [row.next_at for row in due]
    assert ordered == sorted(ordered, key=lambda at: at or now)
    return [sorted((row.notice.job_id, row.attempts) for row in due), await store.outbox.next_due()]
