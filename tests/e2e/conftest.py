"""Daemons as processes of their own, each reaped by its id whatever a test does."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseServer
from typing import Any, TypeVar

import pytest

from tests.e2e.secrets_scan import found, kept, secrets_of
from tests.ports import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
READY_WITHIN = 90.0  # two seconds, but for a machine with much else to do
T = TypeVar("T")
PLUGIN = """
import asyncio
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel
from secondunit.queue.handler import HandlerSpec


class Payload(BaseModel):
    seconds: float = 0.0
    until: str = ""
    marks: str = ""
    source: str = ""


def inputs(payload):
    return [payload["source"]] if payload.get("source") else []


def build(tools):
    async def run(ctx, payload):
        if payload.marks:
            Path(payload.marks, f"{ctx.attempt}-{ctx.epoch}").touch()
        await ctx.progress(0.1, "sleeping")
        await asyncio.sleep(payload.seconds)
        while payload.until and not Path(payload.until).exists():
            await asyncio.sleep(0.02)
        return {"slept": payload.seconds}

    return HandlerSpec(type="sleep", payload=Payload, run=run, inputs=inputs, concurrency=50, stall=timedelta(hours=1))
"""


@contextmanager
def served(server: BaseServer) -> Iterator[None]:
    """Serves in a thread of its own; nothing of it is left at the end."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def beside(opened: Callable[[AsyncExitStack], Awaitable[T]]) -> Iterator[T]:
    """What this opens, served by an event loop in a thread of its own for as long as this is open."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(_awaited(opened(stack)), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _awaited(opening: Awaitable[T]) -> T:
    return await opening


@dataclass(frozen=True)
class Answer:
    """A status and its JSON."""

    status: int
    body: Any


class Daemon:
    """One `secondunit run`."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, data: Path, log: Path, secrets: Sequence[bytes] = ()
    ) -> None:
        self.process = process
        self.port = port
        self.data = data
        self.secrets = secrets
        self._log = log
        self._began = False

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text()

    def call(self, method: str, path: str, body: Any = None, within: float = 30, **headers: str) -> Answer:
        """One request; every status is an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=within) as response:  # noqa: S310  our own daemon's address
                return Answer(response.status, _content(response.read()))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _content(error.read()))

    def ready(self) -> "Daemon":
        """Itself, once it answers."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log
            try:
                self.call("GET", "/health")
            except OSError:
                time.sleep(0.02)
            else:
                self._began = True
                return self
        raise AssertionError(f"it was not ready in time:\n{self.log}")

    def submit(self, **payload: Any) -> str:
        """A job of the type that sleeps; its id."""
        answer = self.call("POST", "/api/jobs", {"type": "sleep", "payload": payload})
        assert answer.status == 201, answer
        return str(answer.body["jobId"])

    def job(self, job_id: str) -> Any:
        """The job as the API shows it."""
        return self.call("GET", f"/api/jobs/{job_id}").body

    def until(self, job_id: str, *statuses: str, within: float = 45.0) -> Any:
        """The job, once it has one of these statuses."""
        deadline = time.monotonic() + within
        while (job := self.job(job_id))["status"] not in statuses:
            assert time.monotonic() < deadline, (job, self.log)
            time.sleep(0.02)
        return job

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def leaks(self) -> Sequence[object]:
        """Where secrets of its settings lie in its folder, its log or, while it runs, its own files in /proc."""
        runs = self._began and self.process.poll() is None  # before that its environment is not blank yet
        pid = self.process.pid if runs else None
        return found(self.secrets, kept(pid, self.data, self._log)) if self.secrets else ()

    def ended(self, within: float = 45.0) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(within)


StartDaemon = Callable[..., Daemon]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons on one data folder, with a job type `sleep` of another distribution."""
    with starting(tmp_path) as start:
        yield start


@contextmanager
def starting(folder: Path) -> Iterator[StartDaemon]:
    """Start daemons that keep everything in this folder; all of them end with it.

    `stderr` is written to in place of the log, `under` a command that takes the daemon's as its arguments.
    """
    started: list[Daemon] = []
    plugins = installed_plugin(folder / "plugins", "sleeper", PLUGIN)

    def start(*, stderr: int | None = None, under: Sequence[str] = (), **environ: str) -> Daemon:
        port = free_port()
        log = folder / f"daemon-{len(started)}.log"
        environment = environment_of(folder / "data", plugins) | {"PORT": str(port)} | environ
        with log.open("wb") as stream:
            command = [*under, sys.executable, "-P", "-m", "secondunit", "run"]
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stderr=stream if stderr is None else stderr
            )
        started.append(Daemon(process, port, folder / "data", log, secrets_of(environ)))
        return started[-1]

    try:
        yield start
        assert [leak for daemon in started for leak in daemon.leaks()] == [], "a secret lies there"
    finally:
        for daemon in started:
            if daemon.process.poll() is None:
                daemon.process.kill()
            daemon.process.wait()


def installed_plugin(folder: Path, name: str, source: str) -> Path:
    """A distribution with one entry point, laid out as an installer would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[secondunit.handlers]\n{name} = {name}:build\n")
    (folder / f"{name}.py").write_text(source)
    return folder


def environment_of(data: Path, *path: Path) -> dict[str, str]:
    """The environment of a command that works on this data folder."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (*path, CHECKOUT))),
        "DATA_DIR": str(data),
        "SECONDUNIT_CONFIG": os.devnull,
        "LOG_FORMAT": "json",
    }


def _content(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()
