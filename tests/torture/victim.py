"""The daemon under torture: one process after the other on one data folder, killed, stopped and drained."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp

from tests.torture.evidence import Span

READY_WITHIN = 30.0
NO_CHILD_AFTER = 0.5
# The machine may be busy: a child that is gone by then was killed, one that is not has been forgotten.
FORGOTTEN_AFTER = 3.0
DRAIN_SECONDS, LEASE_SECONDS = 3, 2
KINDS = ("kill", "kill", "kill", "kill", "kill", "early kill", "term", "term and kill", "term twice", "stop", "nap")


class Victim:
    """One daemon at a time; `spans` says when it was not itself, `exits` which of its ends were wrong."""

    def __init__(self, folder: Path, environment: Mapping[str, str], url: str) -> None:
        self.spans: list[Span] = []
        self.exits: list[tuple[str, int]] = []
        self.alive: list[str] = []
        self.starts = 0
        self.slowest_start = 0.0
        self.slowest_burial = 0.0
        self._folder = folder
        self._environment = environment
        self._url = url
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The one that runs now."""
        assert self._process is not None
        return self._process

    async def start(self, *, wait: bool = True) -> None:
        """Start it; return once it answers."""
        self.starts += 1
        with (self._folder / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "secondunit", "run", cwd=self._folder, env=self._environment, stderr=log
            )
        if wait:
            self.slowest_start = max(self.slowest_start, await self._ready())

    async def torment(self, kind: str, chance: Random) -> None:
        """Do one of KINDS to it, and have it run again."""
        begin = time.time()
        match kind:
            case "stop" | "nap":
                self.process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(LEASE_SECONDS + chance.uniform(0.5, 2) if kind == "stop" else chance.uniform(0, 1))
                self.process.send_signal(signal.SIGCONT)
            case "term":
                await self._ends("term", signal.SIGTERM)
            case "term twice":
                self.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(chance.uniform(0.05, 0.5))
                await self._ends("term twice", signal.SIGTERM)
            case "term and kill":
                self.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(chance.uniform(0, DRAIN_SECONDS))
                await self._killed()
            case "early kill":
                await self._killed()
                await self.start(wait=False)
                await asyncio.sleep(chance.uniform(0, 0.8))
                await self._killed()
            case _:
                await self._killed()
        if self.process.returncode is not None:
            await self.start()
        self.spans.append(Span("term" if kind in ("term", "term twice") else kind, begin, time.time()))

    async def end(self) -> None:
        """End it in peace; what outlives it is written down."""
        await self._ends("the last term", signal.SIGTERM)

    async def _ends(self, how: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            code = await asyncio.wait_for(self.process.wait(), DRAIN_SECONDS + 25)
        except TimeoutError:
            self.exits.append((f"{how} (killed after {DRAIN_SECONDS + 25} s)", -1))
            await self._killed()
            return
        if code != 0:
            self.exits.append((how, code))
        await self._bury(how)

    async def _killed(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._bury("kill")

    async def _bury(self, how: str) -> None:
        """See that nothing the daemon started is alive; what is after FORGOTTEN_AFTER is killed and written down."""
        begin = time.monotonic()
        while left := await asyncio.to_thread(living, self._folder):
            if time.monotonic() - begin > FORGOTTEN_AFTER:
                for pid, command in left.items():
                    self.alive.append(f"{command} ({how})")
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                break
            await asyncio.sleep(0.02)
        self.slowest_burial = max(self.slowest_burial, time.monotonic() - begin)

    async def _ready(self) -> float:
        begin = time.monotonic()
        async with aiohttp.ClientSession() as session:
            while time.monotonic() - begin < READY_WITHIN:
                if self.process.returncode is not None:
                    raise RuntimeError(f"the daemon ended at its start with {self.process.returncode}")
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._url}/health", timeout=aiohttp.ClientTimeout(total=2)):
                        return time.monotonic() - begin
                await asyncio.sleep(0.02)
        raise RuntimeError(f"the daemon did not answer within {READY_WITHIN:g} s")


def living(folder: Path) -> dict[int, str]:
    """Processes that work in this folder or name it in their command line, but for this one; zombies are not alive."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            here = str(folder) in command or (process / "cwd").readlink().is_relative_to(folder)
            if here and int(process.name) != os.getpid():
                found[int(process.name)] = command
    return found
