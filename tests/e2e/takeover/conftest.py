"""The online service around the box: its backend and worker (Node), the videos, a gate, and a stand-in for Gemini."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.listening import listening
from secondunit.testing.fakes.website import Site, serving

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = CHECKOUT / "examples"
CLIP = EXAMPLES / "media" / "clip.mp4"
KEY = "the backend's key"
WITHIN = 60.0


async def until(holds: Callable[[], object]) -> None:
    """Return once this holds."""
    async with asyncio.timeout(WITHIN):
        while not holds():
            await asyncio.sleep(0.02)


def node(script: Path, *arguments: str, log: Path, **environ: str) -> subprocess.Popen[bytes]:
    """One of the examples, running."""
    program = shutil.which("node")
    assert program, "node is not on PATH; `make tests` puts it there"
    with log.open("ab") as stream:
        return subprocess.Popen(
            [program, str(script), *arguments],
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
        )  # fmt: skip


@dataclass
class Backend:
    """The example backend: one file, and a process that may die."""

    file: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    port: int = 0

    async def start(self) -> "Backend":
        """Itself, once it answers; on the same port each time."""
        before = self.log.read_text().count("backend on ") if self.log.exists() else 0
        environ = {"INTERNAL_API_KEY": KEY, "PORT": str(self.port), "DATA_FILE": str(self.file)}
        self.process = node(EXAMPLES / "backend" / "server.mjs", log=self.log, **environ)
        await until(lambda: self.log.exists() and self.log.read_text().count("backend on ") > before)
        self.url = self.log.read_text().split("backend on ")[-1].split()[0]
        self.port = int(self.url.rpartition(":")[2])
        return self

    def kill(self) -> None:
        """As a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait()

    @property
    def data(self) -> Any:
        """What it has on disk."""
        return json.loads(self.file.read_text())

    def analysis(self, id: str) -> Any:
        """One analysis, as it is on disk."""
        return self.data["analyses"][id]

    async def call(self, method: str, path: str, body: Any = None, *, key: str = KEY, **headers: str) -> Any:
        """(status, JSON) of a request."""
        named = {"X-API-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, json=body, headers=named) as answer,
        ):
            return answer.status, await answer.json()

    async def add(self, id: str, video: str, status: str = "failed") -> None:
        """An analysis that a user asked for."""
        assert (await self.call("POST", "/v1/analysis", {"jobId": id, "videoUrl": video, "status": status}))[0] == 201


@dataclass
class Gate:
    """Stands between the box and the backend: counts, refuses PUTs, or keeps their answers back.

    `grants` claims, which the backend does not offer: each "once", to one box, or to "everybody".
    """

    backend: Backend
    url: str = ""
    asked: list[str] = field(default_factory=list)
    puts: list[dict[str, str]] = field(default_factory=list)
    refusing: bool = False
    keeping: bool = False
    kept: asyncio.Event = field(default_factory=asyncio.Event)
    grants: str = ""
    owners: dict[str, str] = field(default_factory=dict)

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        body, put = await request.read(), request.method == "PUT"
        self.asked.append(f"{request.method} {request.path}")
        if self.grants and request.path.endswith("/claim"):
            box = request.headers["Secondunit-Box"]
            mine = self.grants == "everybody" or self.owners.setdefault(request.path, box) == box
            return web.Response(status=204 if mine else 409)
        if put:
            self.puts.append({name: request.headers[name] for name in ("Idempotency-Key", "Secondunit-Epoch")})
        if put and self.refusing:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        headers = {
            name: request.headers[name] for name in request.headers if name.lower() not in ("host", "connection")
        }
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, self.backend.url + request.path_qs, data=body, headers=headers) as answer,
        ):
            content = await answer.read()
            if put and self.keeping:
                self.kept.set()
                await asyncio.Event().wait()
            return web.Response(status=answer.status, body=content, content_type="application/json")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Gate"]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.pass_on)
        async with listening(app, handler_cancellation=True) as self.url:
            yield self


class World:
    """All of it; `box` is the daemon that runs at the moment."""

    def __init__(self, start: Callable[..., Any], folder: Path, backend: Backend, site: Site, gate: Gate) -> None:
        self.gemini = StandIn()
        self.backend = backend
        self.site = site
        self.gate = gate
        self.box: Any = None
        self.folder = folder
        self._start = start
        self._environ: dict[str, str] = {}

    async def start(self, **environ: str) -> Any:
        """Start the box, with the settings of its last life unless told otherwise; it, once it answers."""
        self._environ |= environ
        self.box = self._start(**self._environ)
        await asyncio.to_thread(self.box.ready)
        return self.box

    async def activate(self, gemini: str, **environ: str) -> Any:
        """Start the box in active mode."""
        return await self.start(
            PROCESSOR_MODE="active",
            BACKEND_API_URL=self.gate.url,
            INTERNAL_API_KEY=KEY,
            POLL_INTERVAL_MS="100",
            GEMINI_API_KEY="stand-in",
            GEMINI_BASE_URL=gemini,
            ALLOW_PRIVATE_ADDRESSES="127.0.0.0/8",
            **environ,
        )

    async def kill(self) -> None:
        """kill -9 the box."""
        self.box.signal(signal.SIGKILL)
        await asyncio.to_thread(self.box.ended)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of the box's answer."""
        return (await asyncio.to_thread(self.box.call, method, path, body)).body

    async def jobs(self) -> list[Any]:
        """All jobs of the box, newest first."""
        return list((await self.call("GET", "/api/jobs"))["jobs"])

    async def metric(self, name: str) -> float:
        """A metric without labels."""
        text = await self.call("GET", "/metrics")
        return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")))

    async def completed(self, *ids: str) -> None:
        """Return once the backend has these results."""
        await until(lambda: all(self.backend.analysis(id)["status"] == "completed" for id in ids))

    async def delivered(self) -> None:
        """Return once nothing is on its way to the backend any more."""
        async with asyncio.timeout(WITHIN):
            for job in await self.jobs():
                while any(
                    row["status"] == "pending"
                    for row in (await self.call("GET", f"/api/jobs/{job['jobId']}/deliveries"))["deliveries"]
                ):
                    await asyncio.sleep(0.02)


@pytest.fixture(name="until")
def until_fixture() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits for what another process does."""
    return until


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    """The example backend, running."""
    backend = Backend(tmp_path / "backend.json", tmp_path / "backend.log")
    try:
        yield await backend.start()
    finally:
        backend.kill()


@pytest.fixture
async def world(start: Callable[..., Any], tmp_path: Path, backend: Backend) -> AsyncIterator[World]:
    """The backend behind its gate, and a site with a clip; the box is not started yet."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(serving())
        site.file("/clip.mp4", await asyncio.to_thread(CLIP.read_bytes))
        gate = await stack.enter_async_context(Gate(backend).open())
        yield World(start, tmp_path, backend, site, gate)


@pytest.fixture
async def gemini(world: World) -> AsyncIterator[str]:
    """The stand-in for Gemini, answering; its base URL."""
    async with world.gemini.serving() as url:
        yield url


@pytest.fixture
def run_node(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Runs an example to its end: (exit code, what it said)."""
    started: list[subprocess.Popen[bytes]] = []

    async def run(script: str, *arguments: str, **environ: str) -> tuple[int, str]:
        log = tmp_path / f"node-{len(started)}.log"
        process = node(EXAMPLES / script, *arguments, log=log, **environ)
        started.append(process)
        code = await asyncio.to_thread(process.wait, WITHIN)
        return code, log.read_text()

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
