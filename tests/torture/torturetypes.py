"""The job types of the torture: each writes down what it does, in a log that outlives a killed daemon.

A line is one O_APPEND write: whatever kills the process, it is there whole or not at all, in the order of the writes.
This file is installed as a distribution of its own and must not import its neighbours.
"""

import asyncio
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.outcome import Deterministic, Partial, Transient
from secondunit.queue.retry import RetryPolicy

CHILD = Path(__file__).with_name("torturechild.py")
TYPES = ("steps", "tree", "file", "flaky", "piecemeal", "crash")
BLOCKS, BLOCK = 16, 16 * 1024


class Payload(BaseModel):
    """`seed` decides what the job does; `log` is where it says so."""

    seed: int
    log: str
    output: str = ""


class Diary:
    """What one run writes down."""

    def __init__(self, ctx: JobContext, payload: Payload) -> None:
        self._file = payload.log
        self._who = {"job": ctx.job_id, "epoch": ctx.epoch, "attempt": ctx.attempt}

    def note(self, what: str, **more: Any) -> None:
        """Append one line; in the loop on purpose: it must not come later than the run that wrote it."""
        line = json.dumps({"what": what, "at": time.time(), **self._who, **more}) + "\n"
        log = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, line.encode())
        finally:
            os.close(log)


def steps(tools: Any) -> HandlerSpec:
    """Three steps, one of them paid; the result is what each step answered."""

    async def run(ctx: JobContext, payload: Payload) -> Any:
        diary, chance = Diary(ctx, payload), random.Random(payload.seed)
        diary.note("run")
        answers = {}
        for name in ("fetch", "ask", "place"):
            pause = chance.uniform(0.02, 0.4)

            async def work(name: str = name, pause: float = pause) -> str:
                diary.note("begin", step=name)
                await asyncio.sleep(pause)
                answer = f"{name}-{ctx.epoch}-{os.urandom(4).hex()}"
                diary.note("done", step=name, answer=answer)
                return answer

            answers[name] = await ctx.step(name, work, paid="repeat" if name == "ask" else None)
            diary.note("stored", step=name, answer=answers[name])
            await ctx.progress(len(answers) / 3, f"{name} is done")
        return answers

    return HandlerSpec("steps", Payload, run, concurrency=6)


def tree(tools: Any) -> HandlerSpec:
    """A program with a child that ignores SIGTERM and one in a session of its own."""

    async def run(ctx: JobContext, payload: Payload) -> Any:
        diary = Diary(ctx, payload)
        diary.note("run")
        seconds = random.Random(payload.seed).uniform(0.1, 1.0)
        argv = [tools.python, "-I", "-S", str(CHILD), str(seconds)]
        done = await tools.programs.run(argv, cwd=ctx.workspace.run)
        return {"code": done.returncode}

    return HandlerSpec("tree", Payload, run, concurrency=2)


def file(tools: Any) -> HandlerSpec:
    """An output file, written block by block, that says itself whether it is whole."""

    def check(payload: Payload) -> None:
        tools.files.check("output", payload.output)

    async def run(ctx: JobContext, payload: Payload) -> Any:
        Diary(ctx, payload).note("run")
        chance = random.Random(payload.seed)
        async with tools.files.target(payload.output, ctx) as staged:
            digest = hashlib.sha256()
            with staged.path.open("wb") as output:  # small, and torn apart by the pauses
                for _ in range(BLOCKS):
                    block = chance.randbytes(BLOCK)
                    digest.update(block)
                    output.write(block)
                    output.flush()
                    await asyncio.sleep(0.02)
                output.write(digest.digest())
            size = await staged.publish()
        return {"size": size, "sha256": digest.hexdigest()}

    return HandlerSpec("file", Payload, run, concurrency=3, check=check)


def flaky(tools: Any) -> HandlerSpec:
    """Fails as often as not: for now, for good, or by a mistake of its own."""

    async def run(ctx: JobContext, payload: Payload) -> Any:
        Diary(ctx, payload).note("run")
        chance = random.Random(payload.seed * 31 + ctx.attempt)
        await asyncio.sleep(chance.uniform(0, 0.2))
        fate = chance.random()
        if fate < 0.4:
            raise Transient("not now")
        if fate < 0.5:
            raise ZeroDivisionError("a mistake")
        if fate < 0.55:
            raise Deterministic("never")
        return {"fate": fate}

    policy = RetryPolicy(max_retries=3)
    return HandlerSpec("flaky", Payload, run, concurrency=3, retry=policy)


def piecemeal(tools: Any) -> HandlerSpec:
    """Does all of it, or a part and says what is missing."""

    async def run(ctx: JobContext, payload: Payload) -> Any:
        Diary(ctx, payload).note("run")
        chance = random.Random(payload.seed * 31 + ctx.epoch)
        await ctx.partial({"half": True})
        await asyncio.sleep(chance.uniform(0, 0.2))
        return Partial({"half": True}, ["the rest"]) if chance.random() < 0.5 else {"whole": True}

    return HandlerSpec("piecemeal", Payload, run, concurrency=3)


def crash(tools: Any) -> HandlerSpec:
    """Takes the daemon down with it, each time; its neighbours must not pay for that."""

    async def run(ctx: JobContext, payload: Payload) -> Any:
        Diary(ctx, payload).note("run")
        await asyncio.sleep(random.Random(payload.seed).uniform(0, 0.3))
        os.kill(os.getpid(), signal.SIGKILL)

    return HandlerSpec("crash", Payload, run)


def installed(folder: Path) -> Path:
    """This file as a distribution in `folder`, laid out as an installer would."""
    info = folder / "torturetypes-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torturetypes\nVersion: 1.0\n")
    names = "\n".join(f"{name} = torturetypes:{name}" for name in TYPES)
    (info / "entry_points.txt").write_text(f"[secondunit.handlers]\n{names}\n")
    for name in ("torturetypes.py", "torturechild.py"):
        (folder / name).write_text(Path(__file__).with_name(name).read_text())
    return folder
