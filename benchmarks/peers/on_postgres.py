"""Other queues on PostgreSQL at the same work, as one box of several: PgQueuer and Procrastinate.

python benchmarks/peers/on_postgres.py pgqueuer|procrastinate make|work URL N CALLERS WORKERS
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import uvloop

Submit = Callable[[int], Awaitable[object]]


async def pgqueuer(stack: AsyncExitStack, url: str, callers: int, workers: int, *, make: bool) -> Submit | None:
    """PgQueuer over a pool of asyncpg, which its documentation puts first."""
    import asyncpg
    from pgqueuer import PgQueuer
    from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
    from pgqueuer.adapters.persistence.queries import Queries

    pool = await stack.enter_async_context(asyncpg.create_pool(url, min_size=2, max_size=callers + 4))
    driver = AsyncpgPoolDriver(pool)
    queries = Queries(driver)
    if make:
        await queries.install()
        return None
    queue = PgQueuer(driver)

    @queue.entrypoint("noop")  # type: ignore[untyped-decorator, unused-ignore]
    async def noop(job: Any) -> None:
        pass

    running = asyncio.create_task(queue.run(batch_size=workers, max_concurrent_tasks=2 * workers))
    stack.push_async_callback(_ended, running)
    return lambda n: queries.enqueue("noop", b'{"n": %d}' % n)


async def procrastinate(stack: AsyncExitStack, url: str, callers: int, workers: int, *, make: bool) -> Submit | None:
    """Procrastinate over its pool of psycopg."""
    from procrastinate import App, PsycopgConnector

    app = App(connector=PsycopgConnector(conninfo=url, min_size=2, max_size=callers + workers + 4))

    @app.task(name="noop")
    async def noop(n: int) -> dict[str, int]:
        return {"n": n}

    await stack.enter_async_context(app.open_async())
    if make:
        await app.schema_manager.apply_schema_async()
        return None
    running = asyncio.create_task(app.run_worker_async(concurrency=workers, install_signal_handlers=False))
    stack.push_async_callback(_ended, running)
    return lambda n: noop.defer_async(n=n)


PEERS: dict[str, Any] = {"pgqueuer": pgqueuer, "procrastinate": procrastinate}


async def work(submit: Submit, n: int, callers: int) -> None:
    """Submit a share of the jobs at a word, while they run; say at another what CPU that took."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await asyncio.sleep(0.5)  # the worker listens
    print("ready", flush=True)
    await lines.readline()
    began = time.process_time()
    shares = [range(caller, n, callers) for caller in range(callers)]

    async def calls(share: range) -> None:
        for i in share:
            await submit(i)

    await asyncio.gather(*map(calls, shares))
    await lines.readline()
    print(time.process_time() - began, flush=True)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(BaseException):
        await asyncio.wait([task], timeout=5)


async def main() -> None:
    """Make the tables, or be a box."""
    name, what, url, n, callers, workers = sys.argv[1:]
    async with AsyncExitStack() as stack:
        submit = await PEERS[name](stack, url, int(callers), int(workers), make=what == "make")
        if submit:
            await work(submit, int(n), int(callers))


if __name__ == "__main__":
    uvloop.run(main())
