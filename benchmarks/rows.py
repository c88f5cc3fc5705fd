"""Rows by the hundred thousand, written as the store would have left them."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from secondunit.queue import state
from secondunit.queue.model import Job, Submission
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.rows import fixed_values, moving_values
from secondunit.queue.stores.sqlite.transaction import COUNT, INSERT_JOBS

START = datetime(2026, 1, 1, tzinfo=UTC)
AT_ONCE = 6400
FAR = datetime(2099, 1, 1, tzinfo=UTC)


class _NoChance:
    def random(self) -> float:
        return 0.0

    def randbytes(self, n: int, /) -> bytes:
        return bytes(n)


def fill(path: Path, *, ended: int, delayed: int) -> None:
    """Add jobs that ended, and jobs that wait for a time far off; ids in the order of time, as ours are."""
    if not ended + delayed:
        return
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma synchronous = off")
    connection.execute("begin")
    for number, job in ((ended, _ended()), (delayed, _delayed())):
        [last] = connection.execute("select coalesce(max(seq), 0) from jobs").fetchone()
        _, *values = (*fixed_values(job), *moving_values(job), job.priority)
        seqs = range(last + 1, last + number + 1)
        for first in seqs[::AT_ONCE]:
            some = range(first, min(first + AT_ONCE, seqs.stop))
            INSERT_JOBS(connection.execute, ((seq, f"job_{seq:026}", *values) for seq in some))
        connection.execute(COUNT, (job.type, job.status.value, number))  # it was empty
    connection.execute("commit")
    connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    connection.close()


def _delayed() -> Job:
    return state.submit(Submission("noop", {"n": 1}, run_at=FAR), "", START).job


def _ended() -> Job:
    queued = state.submit(Submission("noop", {"n": 1}), "", START).job
    running = state.start(queued, "earlier", timedelta(seconds=30), START).job
    return state.settle(running, Completed({"n": 1}), _NoChance(), START).job
