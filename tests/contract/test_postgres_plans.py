"""Statements that a session of PostgreSQL plans once: by index at any size, given up where the session is another's."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from secondunit.queue.model import Change
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.postgres.store import PostgresStore
from secondunit.queue.stores.postgres.transaction import PostgresTransaction
from secondunit.testing.jobs import NOW, claim, later, settled, submit
from tests.contract.conftest import Open
from tests.pooler import pooled
from tests.postgres_server import PostgresServer

NAMES = "select name, statement from pg_prepared_statements where statement !~* '^(begin|commit|rollback)'"
WHOLE = re.compile(r"Seq Scan on (jobs|events|leases|steps|writers)")


async def test_no_plan_that_is_kept_reads_a_whole_table(opened: Open) -> None:
    store = await opened()
    await _works(store, 4)
    plans = await _asked(store, _plans)
    assert len(plans) > 10
    assert any(sql.lstrip().startswith("with numbered") for sql in plans)  # the statement under the lock is among them
    assert not [plan for plan in plans.values() if WHOLE.search(plan)]


async def test_a_session_that_forgot_its_statements_is_told_them_anew(opened: Open) -> None:
    store = await opened()
    await _works(store, 4)
    await _asked(store, _forgotten)
    await _works(store, 4, first=4)
    counts = await store.counts()
    assert counts.completed == {"hls": 8}
    assert await _asked(store, lambda tx: tx.execute(NAMES)) == []


async def test_behind_a_pooler_nothing_is_prepared(opened: Open, url: str, server: PostgresServer) -> None:
    with pooled(server, sessions=1) as pooler:
        store = await opened(pooler.through(url))
        await _works(store, 4)
        assert await _asked(store, lambda tx: tx.execute(NAMES)) == []
        [[plans]] = await _asked(store, lambda tx: tx.execute("select current_setting('plan_cache_mode')"))
        assert plans == "auto"


async def _works(store: PostgresStore, n: int, first: int = 0) -> None:
    """Jobs come and go, one after the other."""
    for k in range(first, first + n):
        await submit(store, f"{k}")
        [job] = await claim(store, 1)
        assert job.lease and await store.extend([job.lease], later(60), later(1))
        await store.steps.finish(job.lease, "s", {"n": 1}, Change, NOW)
        await store.change(job.id, settled(Completed(1)), lease=job.lease)


async def _asked(store: PostgresStore, work: Callable[[PostgresTransaction], Any]) -> Any:
    asked: Awaitable[Any] = store._writer.run(work)
    return await asked


def _plans(tx: PostgresTransaction) -> dict[str, str]:
    found = {}
    for name, sql in tx.execute(NAMES):
        values = {int(number) for number in re.findall(r"\$(\d+)", sql)}
        told = f'explain execute "{name}"' + (f"({', '.join(['null'] * len(values))})" if values else "")
        found[sql] = "\n".join(line for (line,) in tx.execute(told))
    return found


def _forgotten(tx: PostgresTransaction) -> None:
    for name, _ in tx.execute(NAMES):
        tx.execute(f'deallocate "{name}"')
