"""What is measured through the sockets: submits, pickup, event readers."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import uvloop
from daemons import KEY, Server, asked, bare, daemon, metric
from load import Listener, load, post
from rows import FAR

Figures = dict[str, float]
JOB = {"type": "noop", "payload": {"n": 1}}
WAITING = JOB | {"runAt": FAR.isoformat()}
BATCH = {"jobs": [WAITING] * 100}
READERS = 1000
TURNS = 10


def submit(folder: Path, connections: int, seconds: float, synchronous: str) -> Figures:
    """Submits of jobs that wait, so that the submit alone is measured."""
    with daemon(folder, synchronous) as server:
        return _loaded(server, post("/api/jobs", WAITING, key=KEY), connections, seconds)


def submit_limited(folder: Path, connections: int, seconds: float) -> Figures:
    """Submits with every limit, by a tenant whose key has types and a rate, in turns with such as have none.

    Each has a daemon of its own; what the machine does beside meets both, turn by turn.
    """
    wanted = {"name": "tenant", "scopes": ["submit"], "types": ["noop"], "rate": "1000000/second"}
    far = dict.fromkeys(("MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS", "MAX_STREAMS_PER_KEY"), "1000000")
    for name in ("on", "off"):
        folder.joinpath(name).mkdir()
    with (
        daemon(folder / "on", RATE_LIMIT="1000000/second") as limited,
        daemon(folder / "off", RATE_LIMIT="off", **far) as unlimited,
    ):
        keys = asked(limited.port, "/api/keys", wanted)["key"], KEY
        sides = [
            (server, post("/api/jobs", WAITING, key=key))
            for server, key in zip((limited, unlimited), keys, strict=True)
        ]
        turns = [_turn(sides, connections, seconds / TURNS, turn % 2 == 1) for turn in range(TURNS + 1)][1:]
    return {name: median(turn[name] for turn in turns) for name in turns[0]}


def submit_bare(folder: Path, connections: int, seconds: float) -> Figures:
    """The same requests to aiohttp alone."""
    with bare(folder) as server:
        return _loaded(server, post("/api/jobs", WAITING, key=KEY), connections, seconds)


def batches(folder: Path, seconds: float, synchronous: str) -> Figures:
    """Batches of 100 by 4 connections, counted in jobs."""
    with daemon(folder, synchronous) as server:
        figures = _loaded(server, post("/api/jobs/batch", BATCH, key=KEY), 4, seconds)
    return {"jobs/s": figures["requests/s"] * 100, "server CPU us a job": figures["server CPU us"] / 100}


def end_to_end(folder: Path, seconds: float, synchronous: str) -> Figures:
    """No-op jobs submitted by 64 connections and run, until the last has ended."""
    with daemon(folder, synchronous) as server:
        cpu, began = server.cpu(), time.perf_counter()
        uvloop.run(load(server.port, post("/api/jobs", JOB, key=KEY), 64, seconds))
        # Each look at the metrics costs the daemon 10 ms: two a second take 2 % of its time.
        while metric(server.port, 'secondunit_jobs_queued{type="noop"}'):
            time.sleep(0.5)
        took = time.perf_counter() - began
        done = metric(server.port, 'secondunit_jobs_total{status="completed",type="noop"}')
        return {"jobs/s": done / took, "server CPU us a job": (server.cpu() - cpu) / done * 1e6}


def pickup(folder: Path, n: int) -> Figures:
    """From the first byte of a submit to the job's `started` event at a reader of all events."""
    with daemon(folder) as server:
        times = uvloop.run(_picked_up(server.port, n))
    times.sort()
    return {"p50 ms": times[n // 2], "p99 ms": times[n * 99 // 100]}


def readers(folder: Path, seconds: float) -> Figures:
    """1,000 readers of all events at 10 events a second (submits of waiting jobs)."""
    with daemon(folder) as server:
        return uvloop.run(_read_by_many(server, seconds))


def _loaded(server: Server, request: bytes, connections: int, seconds: float) -> Figures:
    uvloop.run(load(server.port, request, connections, 0.5))
    cpu = server.cpu()
    found = uvloop.run(load(server.port, request, connections, seconds))
    if found.refused:
        raise RuntimeError(f"{found.refused} requests were refused")
    used = (server.cpu() - cpu) / (found.per_second * seconds) * 1e6
    return {"requests/s": found.per_second, "server CPU us": used, "p50 ms": found.p50, "p99 ms": found.p99}


def _turn(sides: Sequence[tuple[Server, bytes]], connections: int, seconds: float, turned: bool) -> Figures:
    """What the first side does of what the second does, one after the other, or the other way round."""
    done = dict[int, tuple[float, float]]()
    for side in (1, 0) if turned else (0, 1):
        server, request = sides[side]
        cpu = server.cpu()
        found = uvloop.run(load(server.port, request, connections, seconds))
        if found.refused:
            raise RuntimeError(f"{found.refused} requests were refused")
        done[side] = found.per_second, (server.cpu() - cpu) / found.per_second
    (requests, cpu), (requests_off, cpu_off) = done[0], done[1]
    return {"requests/s": requests, "of unlimited": requests / requests_off, "CPU of unlimited": cpu / cpu_off}


async def _picked_up(port: int, n: int) -> list[float]:
    times: list[float] = []
    started: dict[str, float] = {}
    news = asyncio.Event()

    def hear(event: dict[str, str], at: float) -> None:
        if event.get("type") == "job:started":
            started[event["jobId"]] = at
            news.set()

    reading = asyncio.create_task(_read(port, hear))
    await asyncio.sleep(0.3)
    request = post("/api/jobs", JOB, key=KEY)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(n):
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        job_id = json.loads(await reader.readexactly(length))["jobId"]
        while job_id not in started:
            news.clear()
            await news.wait()
        times.append((started[job_id] - began) * 1000)
    writer.close()
    reading.cancel()
    return times


async def _read_by_many(server: Server, seconds: float) -> Figures:
    sent: list[float] = []
    delays: list[float] = []

    def listener() -> Listener:
        turn = itertools.count()

        def hear(data: bytes) -> None:
            at = time.perf_counter()
            delays.extend((at - sent[next(turn)]) * 1000 for _ in range(data.count(b'"job:queued"')))

        return Listener(f"/api/events?token={KEY}", hear)

    loop = asyncio.get_running_loop()
    for _ in range(READERS):
        await loop.create_connection(listener, "127.0.0.1", server.port)
    await asyncio.sleep(2)
    cpu, count, began = server.cpu(), int(seconds * 10), time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(count):
        sent.append(time.perf_counter())
        writer.write(post("/api/jobs", WAITING, key=KEY))
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        reader._buffer.clear()  # type: ignore[attr-defined]  # noqa: SLF001  the answer's body, of no interest here
    took = time.perf_counter() - began
    await asyncio.sleep(1)
    used = (server.cpu() - cpu) / took
    writer.close()
    delays.sort()
    delivered = len(delays) / (READERS * count) * 100
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    return {"delivered %": delivered, "p50 ms": p50, "p99 ms": p99, "of a core %": used * 100}


async def _read(port: int, hear: Callable[[dict[str, str], float], None]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /api/events?token={KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        while line := await reader.readline():
            if line.startswith(b"data: "):
                with contextlib.suppress(ValueError):
                    hear(json.loads(line[6:]), time.perf_counter())
    finally:
        writer.close()
