"""Leases of remote workers: what one costs over HTTP beyond bare HTTP, and what workers cost that wait for a job.

The daemon's own claim of one job stands beside them, `CLAIMS` of `inprocess.py`.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from asking import call
from daemons import KEY, Server, bare, daemon
from load import post

WORKERS = 8
AT_ONCE = 512  # leases that are out; a type has 1,000 at most
WAIT = 20  # seconds, as the clients and the example ask for
TYPE = "far"
CONFIG = f"""
[remote_types.{TYPE}]
concurrency = 1000
schema = {{ type = "object", properties = {{ n = {{ type = "integer" }} }} }}
"""
MANY = {"MAX_CONNECTIONS": "1000", "MAX_CONNECTIONS_PER_ADDRESS": "1000"}
LEASE = "lease, less bare HTTP, CPU us"
Figures = dict[str, float]
Ask = Callable[[bytes], Awaitable[dict[str, Any]]]


def leased(folder: Path, n: int) -> Figures:
    """What the server does for a job that one of 8 workers leases, then completes, beyond as many bare requests."""
    leases = ends = wall = 0.0
    with _daemon(folder) as server:
        for some in [AT_ONCE] * (n // AT_ONCE):
            _submit(server, some)
            cpu, tokens, took = _measured(server, _take, range(some))
            more_cpu, _, more = _measured(server, _complete, tokens)
            leases, ends, wall = leases + cpu / n, ends + more_cpu / n, wall + took + more
    with bare(folder) as alone:
        request = post("/api/jobs", {"type": TYPE, "payload": {"n": 1}}, key=KEY)
        http = _measured(alone, _asked, [request] * n)[0] / n
    return {
        "jobs/s": n / wall,
        "bare request, CPU us": http,
        LEASE: leases - http, "complete, less bare HTTP, CPU us": ends - http,
    }  # fmt: skip


def waiting(folder: Path, workers: int, seconds: float) -> Figures:
    """What so many workers cost whose long polls find nothing, and who then ask again; in % of a core."""
    with _daemon(folder) as server:
        return uvloop.run(_waited(server, workers, seconds))


@contextmanager
def _daemon(folder: Path) -> Iterator[Server]:
    (config := folder / "config.toml").write_text(CONFIG)
    with daemon(folder, SECONDUNIT_CONFIG=str(config), **MANY) as server:
        yield server


def _submit(server: Server, n: int) -> None:
    for first in range(0, n, 100):
        jobs = [{"type": TYPE, "payload": {"n": i}} for i in range(first, min(first + 100, n))]
        call(server.port, "POST", "/api/jobs/batch", {"jobs": jobs})


Each = Callable[[Ask, Any], Awaitable[Any]]


def _measured(server: Server, each: Each, work: Sequence[Any]) -> tuple[float, list[Any], float]:
    """Microseconds of the server's CPU for calls that all workers share, what they gave, and the seconds they took."""
    cpu, began = server.cpu(), time.perf_counter()
    got = uvloop.run(_shared(server.port, each, work))
    return (server.cpu() - cpu) * 1e6, got, time.perf_counter() - began


async def _shared(port: int, each: Each, work: Sequence[Any]) -> list[Any]:
    async def worker(number: int) -> list[Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return [await each(lambda request: _answer(reader, writer, request), one) for one in work[number::WORKERS]]
        finally:
            writer.close()

    return [one for some in await asyncio.gather(*map(worker, range(WORKERS))) for one in some]


async def _take(ask: Ask, number: int) -> str:
    lease = {"types": [TYPE], "waitSeconds": WAIT, "worker": f"w{number % WORKERS}"}
    [got] = (await ask(post("/api/leases", lease, key=KEY)))["leases"]
    return str(got["token"])


async def _complete(ask: Ask, token: str) -> None:
    ended = await ask(post(f"/api/leases/{token}/complete", {"result": {"n": 1}}, key=KEY))
    if ended["status"] != "completed":
        raise RuntimeError(f"a job that was completed is {ended['status']}")


async def _asked(ask: Ask, request: bytes) -> None:
    await ask(request)


async def _waited(server: Server, workers: int, seconds: float) -> Figures:
    answered = 0

    async def worker(number: int) -> None:
        nonlocal answered
        await asyncio.sleep(WAIT * number / workers)  # they don't all ask at the same moment
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while True:
            lease = {"types": [TYPE], "waitSeconds": WAIT, "worker": f"w{number}"}
            await _answer(reader, writer, post("/api/leases", lease, key=KEY))
            answered += 1

    async with asyncio.TaskGroup() as tasks:
        polls = [tasks.create_task(worker(number)) for number in range(workers)]
        await asyncio.sleep(WAIT + 2)
        cpu, began, answered = server.cpu(), time.perf_counter(), 0
        await asyncio.sleep(seconds)
        used = (server.cpu() - cpu) / (time.perf_counter() - began)
        for poll in polls:
            poll.cancel()
    return {"of a core %": used * 100, "polls/s": answered / seconds}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> dict[str, Any]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    body = await reader.readexactly(int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
    if head[9:12] not in (b"200", b"201"):
        raise RuntimeError(f"a worker was answered {body.decode()}")
    answer: dict[str, Any] = json.loads(body)
    return answer
