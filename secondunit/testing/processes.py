"""Test support for real programs: what is alive, and waiting for what another process does."""

import asyncio
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

PRELUDE = "import os, signal, sys, time\ndef mark(name): open(name, 'w').write(str(os.getpid()))\n"

# Programs that don't behave; each works in the folder it is started in.
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); mark('stubborn'); time.sleep(60)"
ESCAPED = "os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); mark('escaped'); time.sleep(60)"
FLOOD = "while True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"


def python(code: str) -> Sequence[str]:
    """An argv that runs `code`, in which `mark(name)` makes a file that holds the process id."""
    return (sys.executable, "-S", "-c", PRELUDE + textwrap.dedent(code))


async def living(cwd: Path) -> Sequence[str]:
    """The command lines of all processes that work in this folder."""
    return await asyncio.to_thread(_living, cwd)


async def children_of(parent: int) -> Sequence[int]:
    """Direct children, zombies included."""
    return await asyncio.to_thread(_children_of, parent)


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait for what another process is about to do."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - nothing tells us: it happens elsewhere
            await asyncio.sleep(0.01)


async def marked(file: Path) -> int:
    """Wait until a program has called `mark`; its process id."""
    await until(lambda: file.exists() and file.read_text())
    return int(await asyncio.to_thread(file.read_text))


async def count(cwd: Path, number: int) -> None:
    """Wait until so many processes work in this folder."""
    await until(lambda: len(_living(cwd)) == number)


async def gone(cwd: Path, seconds: float = 10) -> None:
    """Wait until no process works in this folder any more."""
    await until(lambda: not _living(cwd), seconds)


async def parent_of(pid: int) -> int:
    """The process that a living process or a zombie is a child of."""
    return await asyncio.to_thread(_parent_of, pid)


def is_there(pid: int) -> bool:
    """Whether there is such a process; a zombie is one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _living(cwd: Path) -> Sequence[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == cwd:
                found.append((process / "cmdline").read_text())
    return found


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _children_of(parent: int) -> Sequence[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _parent_of(int(process.name)) == parent:
                found.append(int(process.name))
    return found
