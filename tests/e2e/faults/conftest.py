"""What the tests of faults share: a film, job types that write down what they do, and a look at living processes."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import installed_plugin
from tests.e2e.faults.mischief_plugin import PLUGIN as MISCHIEF
from tests.ffmpeg import made

NOTING = """
import asyncio
import json
import os

from pydantic import BaseModel
from secondunit.handlers.tools.programs.ports import Profile
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Transient

CHILD = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); "


class Payload(BaseModel):
    notes: str
    fails: bool = False


def build(tools):
    async def run(ctx, payload):
        def note(what):
            notes = os.open(payload.notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(notes, (json.dumps([ctx.epoch, what]) + "\\n").encode())
            os.close(notes)

        async def heard(line):
            note(int(line))

        async def late():
            note("late")

        note("begun")
        if payload.fails:
            raise Transient("not now")
        try:
            await tools.programs.run([tools.python, "-c", CHILD + "time.sleep(600)"], cwd=ctx.workspace.run,
                                     profile=Profile("python"), on_line=heard)
        finally:
            try:
                await ctx.step("late", late)
            except Exception as error:
                note(type(error).__name__)
                raise

    return HandlerSpec("noting", Payload, run, concurrency=10)
"""


@pytest.fixture
def noting(tmp_path: Path) -> Path:
    """Another job type, whose program ignores SIGTERM; the file in which its runs write `[epoch, what]`."""
    installed_plugin(tmp_path / "plugins", "noting", NOTING)
    return tmp_path / "notes.jsonl"


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of moving pictures, which take a while to transcode."""
    source = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=24:d=8", "-c:v", "libx264", "-preset", "ultrafast"]
    return made(tmp_path_factory.mktemp("film") / "film.mp4", *source)


@pytest.fixture
def programs(tmp_path: Path) -> Callable[[], dict[int, str]]:
    """Looks which programs are alive that work for a daemon of this test: their commands."""

    def look() -> dict[int, str]:
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink().is_relative_to(tmp_path / "data"):
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        return found

    return look


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture
def mischief(tmp_path: Path) -> Callable[[Any, str], str]:
    """A job type that does to its daemon what its payload names; submits such a job, its id."""
    installed_plugin(tmp_path / "plugins", "mischief", MISCHIEF)

    def submit(daemon: Any, how: str) -> str:
        go = tmp_path / f"go-{time.monotonic_ns()}"
        body = {"type": "mischief", "payload": {"how": how, "go": str(go)}, "retryPolicy": {"maxRetries": 0}}
        answer = daemon.call("POST", "/api/jobs", body)
        assert answer.status == 201, answer
        go.touch()
        return str(answer.body["jobId"])

    return submit
