"""A look at a database from outside: bounded, read-only, and clear about what is wrong."""

from asyncio import to_thread
from pathlib import Path

import pytest

from secondunit.queue.errors import StoreBroken
from secondunit.queue.ports.access import AuditEntry
from secondunit.queue.stores.sqlite.connection import newest_schema
from secondunit.queue.stores.sqlite.inspection import inspect
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import NOW, submit


async def test_a_database_in_use_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db")
    await submit(store, "a")
    for n in range(2):
        await store.audit.add(AuditEntry(NOW, None, "cli", "backup", f"/srv/copy{n}.db"))
    await store.audit.add(AuditEntry(NOW, None, "cli", "cancel", "job_a"))
    look = await to_thread(inspect, tmp_path / "queue.db", lambda: False)
    newest = await to_thread(newest_schema)
    assert (look.whole, look.schema, look.keys, look.last_backup) == (True, newest, 0, Path("/srv/copy1.db"))
    await submit(store, "b")
    await store.close()


async def test_a_look_whose_time_is_up_has_not_seen_all_of_it(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "queue.db")
    for n in range(400):
        await submit(store, f"job{n}", payload={"text": "x" * 2000})
    await store.close()
    look = await to_thread(inspect, tmp_path / "queue.db", lambda: True)
    assert not look.whole and look.size > 400 * 2000


def test_what_is_no_database_of_ours_is_told(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_bytes(b"no database at all")
    with pytest.raises(StoreBroken, match="not a database"):
        inspect(tmp_path / "queue.db", lambda: False)
    (tmp_path / "queue.db").unlink()
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "queue.db", lambda: False)
    (tmp_path / "queue.db.exists").touch()
    with pytest.raises(StoreBroken, match="gone, though there was one"):
        inspect(tmp_path / "queue.db", lambda: False)
