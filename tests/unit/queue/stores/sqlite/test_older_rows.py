"""Rows that an earlier version wrote: they are read with what that version knew."""

import sqlite3
from datetime import timedelta
from pathlib import Path

from secondunit.queue.retry import RetryPolicy
from secondunit.queue.stores.sqlite.store import open_store
from secondunit.testing.jobs import FLAKY, NOW, claim_one, later, settled, start


async def test_a_job_of_before_durations_were_measured_took_what_its_times_say(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    store = await open_store(path)
    lease = await start(store, "a", at=NOW, retry=RetryPolicy(5))
    await store.change("a", settled(FLAKY, later(4)), lease=lease)
    lease = await claim_one(store, "a", at=later(60))
    await store.change("a", settled(FLAKY, later(59)), lease=lease)
    await store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("update jobs set first_started_at = null, worked = null")
    connection.execute("update jobs set runs = json_remove(runs, '$[0][10]', '$[1][10]')")
    connection.execute("update jobs set runs = json_remove(runs, '$[0][9]', '$[1][9]', '$[0][8]', '$[1][8]')")
    connection.execute("update jobs set runs = json_remove(runs, '$[0][7]', '$[1][7]', '$[0][6]', '$[1][6]')")
    connection.close()
    store = await open_store(path)
    try:
        job = await store.get("a")
        assert [run.took for run in job.runs] == [timedelta(seconds=4), timedelta(0)]
        assert (job.first_started_at, job.worked) == (NOW, timedelta(seconds=4))
    finally:
        await store.close()
