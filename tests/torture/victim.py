"""The daemon under torture: one process after the other on one data folder, killed, stopped and drained."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

import aiohttp

from tests.torture.evidence import Span

READY_WITHIN = 120.0
NO_CHILD_AFTER = 0.5
# The machine may be busy: a child that is gone by then was killed, one that is not has been forgotten.
FORGOTTEN_AFTER = 3.0
DRAIN_SECONDS, LEASE_SECONDS = 3, 2
USUAL_IMPORT = 0.6
KINDS = ("kill", "kill", "kill", "kill", "kill", "early kill", "term", "term and kill", "term twice", "stop", "nap")
FILLER = "filler"
CLOCK_MOVES = 2.0
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Victim:
    """One daemon at a time; `spans` says when it was not itself, `exits` which of its ends were wrong."""

    def __init__(self, folder: Path, environment: Mapping[str, str], url: str, lease: int, *, own_clock: bool) -> None:
        self.spans: list[Span] = []
        self.exits: list[tuple[str, int]] = []
        self.alive: list[str] = []
        self.starts = 0
        self.clock_moves = 0.0
        self.slowest_start = 0.0
        self.slowest_burial = 0.0
        self._folder = folder
        self._environment = environment
        self._url = url
        self._lease = lease
        self._disk: Path | None = None
        self._looked_at = time.time()
        self._process: asyncio.subprocess.Process | None = None
        self.crashes = 0
        self.kinds: list[str] = list(KINDS)
        if FAKETIME and own_clock:
            self.kinds.append("clock")
            self.clock_moves = CLOCK_MOVES
            self._set_clock(0)
            self._environment = {
                **environment,
                "LD_PRELOAD": str(FAKETIME[0]),
                "FAKETIME_TIMESTAMP_FILE": str(folder / "faketime"),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The one that runs now."""
        assert self._process is not None
        return self._process

    async def start(self, *, wait: bool = True) -> None:
        """Start it; return once it answers."""
        self.starts += 1
        forget_clocks()
        with (self._folder / "daemon.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "secondunit", "run", cwd=self._folder, env=self._environment, stderr=log
            )
        if wait and (took := await self._ready()) is not None:
            self.slowest_start = max(self.slowest_start, took)
        elif wait:  # a job took it down before it answered
            await self.revive()

    async def revive(self) -> None:
        """Start it again if a job of type `crash` took it down; one that ended for any other reason is written down."""
        if (code := self.process.returncode) is not None:
            if code == -signal.SIGKILL:
                self.crashes += 1
            else:
                self.exits.append(("nothing that was done to it", code))
            self.spans.append(Span("crash", self._looked_at, time.time()))
            await self._bury("crash")
            await self.start()
        self._looked_at = time.time()

    def small_disk(self, folder: Path) -> bool:
        """Put the daemon's data on a file system of its own that can be filled; False where that can't be had."""
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=512m,mode=0700", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
            return False
        self._disk = folder
        self.kinds.append("full")
        return True

    async def give_up(self) -> None:
        """End it, however it stands."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def free_disk(self) -> None:
        """Give the small disk back, but for the database: it is evidence."""
        if self._disk:
            for file in self._disk.glob("queue.db*"):
                if not file.name.endswith(".ballast"):
                    shutil.copy(file, self._folder)
            subprocess.run(["umount", "--lazy", str(self._disk)], check=True)

    async def torment(self, kind: str, chance: Random) -> None:
        """Do one of KINDS to it, and have it run again."""
        begin = time.time()
        match kind:
            case "stop" | "nap":
                self._signal(signal.SIGSTOP)
                await asyncio.sleep(self._lease + chance.uniform(0.5, 2) if kind == "stop" else chance.uniform(0, 1))
                self._signal(signal.SIGCONT)
            case "clock":
                self._set_clock(chance.uniform(-CLOCK_MOVES, CLOCK_MOVES))
            case "full":
                assert self._disk is not None
                kind = await self._fill(self._disk / FILLER, chance)
            case "term":
                await self._ends("term", signal.SIGTERM)
            case "term twice":
                self._signal(signal.SIGTERM)
                await asyncio.sleep(chance.uniform(0.05, 0.5))
                await self._ends("term twice", signal.SIGTERM)
            case "term and kill":
                self._signal(signal.SIGTERM)
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
        self._signal(number)
        try:
            code = await asyncio.wait_for(self.process.wait(), DRAIN_SECONDS + 25)
        except TimeoutError:
            self.exits.append((f"{how} (killed after {DRAIN_SECONDS + 25} s)", -1))
            await self._killed()
            return
        if code not in (0, -signal.SIGKILL):  # a job of type `crash` may have been faster
            self.exits.append((how, code))
        await self._bury(how)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def _set_clock(self, seconds: float) -> None:
        draft = self._folder / "faketime.new"
        draft.write_text(f"{seconds:+.3f}")
        draft.rename(self._folder / "faketime")

    async def _fill(self, filler: Path, chance: Random) -> str:
        """Leave no room for a while; sometimes the daemon is killed and started meanwhile."""
        killed = chance.random() < 0.3
        try:
            await asyncio.to_thread(_take_all, filler)
            await asyncio.sleep(chance.uniform(0.2, 2))
            if killed:
                await self._killed()
                await self.start()
        finally:
            await asyncio.to_thread(filler.unlink, missing_ok=True)
        return "kill" if killed else "full"

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

    async def _ready(self) -> float | None:
        """The seconds until it answered; None when a job took it down before that."""
        begin = time.monotonic()
        async with aiohttp.ClientSession() as session:
            while time.monotonic() - begin < READY_WITHIN:
                if self.process.returncode == -signal.SIGKILL:
                    return None
                if self.process.returncode is not None:
                    raise RuntimeError(f"the daemon ended at its start with {self.process.returncode}")
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self._url}/health", timeout=aiohttp.ClientTimeout(total=2)):
                        return time.monotonic() - begin
                await asyncio.sleep(0.02)
        raise RuntimeError(f"the daemon did not answer within {READY_WITHIN:g} s; {whereabouts(self.process.pid)}")


def whereabouts(pid: int) -> str:
    """What the kernel says of a process that does not answer: its state, what each thread waits in, its CPU time."""
    home = Path("/proc", str(pid))
    try:
        waits = [f"{thread.name} {(thread / 'wchan').read_text()}" for thread in (home / "task").iterdir()]
        state, times = (home / "status").read_text(), (home / "stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        return f"nothing is known of it ({error})"
    told = [line.replace("\t", " ") for line in state.splitlines() if line.startswith(("State", "nonvol", "vol"))]
    return f"{', '.join(told)}; user and system ticks: {times[11]}, {times[12]}; threads wait in: {', '.join(waits)}"


def forget_clocks() -> None:
    """Remove what libfaketime keeps for killed processes: a later one of the same number would wait on it for ever."""
    for path in Path("/dev/shm").glob("*faketime_s*_*"):
        if not Path("/proc", path.name.rpartition("_")[2]).exists():
            path.unlink(missing_ok=True)


def slowness() -> float:
    """How many times slower than usual this machine is just now, 1 at least: bounds and leases are stretched by it."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", "import aiohttp"], check=True)
    return max(1.0, (time.monotonic() - begin) / USUAL_IMPORT)


def _take_all(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while file.write(b"x" * size):
                    pass


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
