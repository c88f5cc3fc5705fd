"""A program that works on a queue and notes what it was promised: `diligent.py DATABASE NOTES SYNCHRONOUS`."""

import asyncio
import os
import sys
from pathlib import Path

from secondunit.queue import state
from secondunit.queue.durable_files import secure
from secondunit.queue.outcome import Completed
from secondunit.queue.stores.sqlite.store import SqliteStore, open_store
from secondunit.queue.stores.sqlite.writer import IDLE_BEFORE_CHECKPOINT
from secondunit.testing.jobs import CALLBACK, NOW, by, claim, held, settled, submit

ROUNDS, AT_ONCE = 24, 4
SIZE = 1500


async def main(database: Path, notes: int, synchronous: str) -> None:
    """Submit, run and end jobs, with pauses in which the store tidies up."""
    store = await open_store(database, synchronous=synchronous)
    os.write(notes, b"open\n")
    for n in range(ROUNDS):
        await asyncio.gather(*(_submit(store, f"job-{n}-{m}", notes) for m in range(AT_ONCE)))
        for job in await claim(store, 2):
            made = database.with_name(f"kept-{job.id}")
            file = os.open(made, os.O_WRONLY | os.O_CREAT)
            os.pwrite(file, os.urandom(SIZE), 0)
            os.close(file)
            files = secure([made])
            await store.steps.finish(held(job), "step", str(made), by(state.step_done, NOW), NOW, files=files)
            os.write(notes, f"step {job.id}\n".encode())
            await store.change(job.id, settled(Completed({"ok": True})), lease=job.lease)
            os.write(notes, f"completed {job.id}\n".encode())
        if n % 8 == 7:
            await asyncio.sleep(IDLE_BEFORE_CHECKPOINT * 1.2)
    os._exit(0)  # as at any other moment: a close would sync once more


async def _submit(store: SqliteStore, job_id: str, notes: int) -> None:
    await submit(store, job_id, target=CALLBACK)
    os.write(notes, f"queued {job_id}\n".encode())


if __name__ == "__main__":
    with Path(sys.argv[2]).open("ab", buffering=0) as file:
        asyncio.run(main(Path(sys.argv[1]), file.fileno(), sys.argv[3]))
