"""Other ways in Python at the same work, one measurement a process, told as JSON: a bare SQLite loop, and huey.

python benchmarks/peers/in_python.py sqlite|huey N full|normal FOLDER
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WORKERS = 10
PATIENCE = 60.0
Figures = Mapping[str, float]
CLAIM = """
update jobs set state = 'running'
where id = (select id from jobs where state = 'queued' order by id limit 1)
returning id"""


def bare_sqlite(n: int, synchronous: str, folder: Path) -> Figures:
    """A table, a loop, a commit a statement: what the disk allows to one who waits for each."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("pragma journal_mode = wal")
    connection.execute(f"pragma synchronous = {synchronous}")
    connection.execute("create table jobs (id integer primary key, state text not null, payload text not null)")
    connection.execute("create index ready on jobs (id) where state = 'queued'")
    began = time.perf_counter()
    for i in range(n):
        connection.execute("insert into jobs (state, payload) values ('queued', ?)", (json.dumps({"n": i}),))
    enqueued = time.perf_counter()
    for _ in range(n):
        [(id,)] = connection.execute(CLAIM).fetchall()
        connection.execute("update jobs set state = 'completed' where id = ?", (id,))
    drained = time.perf_counter()
    return _speeds(n, enqueued - began, drained - enqueued, drained - began)


def huey(n: int, synchronous: str, folder: Path) -> Figures:
    """SqliteHuey with 10 worker threads, as its own consumer runs them.

    End to end it is given its best case: all is enqueued before the workers start, so that nobody fights over the file.
    """
    from huey import SqliteHuey
    from huey.signals import SIGNAL_COMPLETE

    queue = SqliteHuey(
        filename=str(folder / "huey.db"), fsync=synchronous == "full", journal_mode="wal", immediate=False
    )
    ended = 0

    @queue.task()  # type: ignore[untyped-decorator, unused-ignore]
    def noop(n: int) -> dict[str, int]:
        return {"n": n}

    @queue.signal(SIGNAL_COMPLETE)  # type: ignore[untyped-decorator, unused-ignore]
    def count(*_: Any) -> None:
        nonlocal ended
        ended += 1

    began = time.perf_counter()
    for i in range(n):
        noop(i)
    enqueued = time.perf_counter()
    consumer = queue.create_consumer(workers=WORKERS, worker_type="thread", initial_delay=0.001, max_delay=0.01)
    consumer.start()
    while ended < n:
        if time.perf_counter() > enqueued + PATIENCE:
            raise TimeoutError(f"huey ran {ended} of {n} jobs in {PATIENCE:g} s")
        time.sleep(0.001)
    drained = time.perf_counter()
    consumer.stop()
    return _speeds(n, enqueued - began, drained - enqueued, drained - began)


def _speeds(n: int, enqueue: float, drain: float, both: float) -> Figures:
    return {"enqueue/s": n / enqueue, "drain/s": n / drain, "end to end/s": n / both}


PEERS: Mapping[str, Callable[[int, str, Path], Figures]] = {"sqlite": bare_sqlite, "huey": huey}


def main() -> None:
    """Measure one of them."""
    name, n, synchronous, folder = sys.argv[1:]
    print(json.dumps(PEERS[name](int(n), synchronous, Path(folder))))


if __name__ == "__main__":
    main()
