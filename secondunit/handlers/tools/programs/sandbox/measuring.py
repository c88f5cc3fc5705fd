"""Sandbox self-test: which layers this machine has, found at start by trying them on a program of our own."""

import asyncio
import ctypes
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import secondunit
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.programs.ports import Kind, Limits, Profile, Programs
from secondunit.handlers.tools.programs.sandbox.orders import Sandbox
from secondunit.handlers.tools.programs.sandbox.syscalls import MACHINES
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.value import Value

PROBE = Path(__file__).parent / "probe_child.py"
LANDLOCK_CREATE_RULESET, VERSION_ASKED = 444, 1
ANSWERS_WITHIN = timedelta(seconds=30)
FOLDER = "sandbox-probe"
ANY_ADDRESS = "the proxy's port at any address"  # Landlock knows ports alone: not tried, as it can't be otherwise


class Measured(Value, frozen=True):
    """What came of it: the layers that work (None: not even one), and what a program could do all the same."""

    sandbox: Sandbox | None
    lacks: Collection[str]

    @property
    def whole(self) -> bool:
        """Whether every layer holds."""
        return not self.lacks

    def describe(self) -> Mapping[str, object]:
        """What /health shows."""
        layers = self.sandbox
        return {
            "landlock": (layers.landlock or None) if layers else None,
            "seccomp": bool(layers and layers.machine),
            "proxyOnly": bool(layers and _lent(layers)),
            "lacks": sorted(self.lacks),
        }


OFF = Measured(None, ("off",))


async def measured(programs: Callable[[Sandbox], Programs], python: str, home: Path) -> Measured:
    """The strongest sandbox that works here; `home` is a folder in which a small one is made for a while."""
    wanted = await in_thread(available)
    try:
        folder = await in_thread(_fresh, home / FOLDER)
    except OSError as error:  # a full disk keeps no daemon from starting, and no program from being confined
        return Measured(wanted, [*_missing(wanted), f"not tried: {error.strerror}"])
    try:
        with _stage(folder) as stage:
            return await _strongest(programs, wanted, python, stage)
    finally:
        await in_thread(shutil.rmtree, folder, ignore_errors=True)


async def _strongest(
    programs: Callable[[Sandbox], Programs], wanted: Sandbox, python: str, stage: "_Stage"
) -> Measured:
    for sandbox in _weaker(wanted):
        async with asyncio.TaskGroup() as group:
            alone = group.create_task(_tried(programs(sandbox), python, stage, "python", 0))
            fetching = group.create_task(_lending(programs, sandbox, python, stage))
        found, (held, lending) = alone.result(), fetching.result()
        if found is not None:
            return Measured(held, [*_missing(held), *sorted(f"open: {word}" for word in {*found, *lending})])
    return Measured(None, ["no Landlock", "no seccomp"])


async def _lending(
    programs: Callable[[Sandbox], Programs], sandbox: Sandbox, python: str, stage: "_Stage"
) -> tuple[Sandbox, Collection[str]]:
    """The same, with sockets that are lent if that works; and what a program that may use the proxy could do more."""
    for attempt in (sandbox, replace(sandbox, lends=False)):
        found = await _tried(programs(attempt), python, stage, "yt-dlp", stage.port)
        if found is not None and "no proxy" not in found:
            open_to_it = found if _lent(attempt) or "network" in found else {*found, ANY_ADDRESS}
            return attempt, [f"{word}, to fetching programs" for word in open_to_it]
    return replace(sandbox, lends=False), ["the network, to fetching programs"]


class _Stage(Value, frozen=True):
    """A folder with what a program must not get at, and a folder in it for the program; two ports that listen."""

    inner: Path
    port: int
    other: int


@contextmanager
def _stage(folder: Path) -> Iterator[_Stage]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, handle)
        local.bind(f"/proc/self/fd/{handle}/socket")  # its own name may be too long for a socket's
        local.listen()
        yield _Stage(folder / "inner", *(server.getsockname()[1] for server in servers))


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inner").mkdir(parents=True)
    (folder / "canary").write_bytes(b"canary")
    return folder


async def _tried(programs: Programs, python: str, stage: _Stage, kind: Kind, port: int) -> Collection[str] | None:
    """What the probe could do; None if it could not even be started."""
    lines: list[str] = []

    async def keep(line: str) -> None:
        lines.append(line)

    try:
        finished = await programs.run(
            [python, "-I", str(PROBE), str(port), str(stage.other), str(os.getpid())],
            cwd=stage.inner,
            limits=Limits(cpu_seconds=60),
            profile=Profile(kind, reach=port or "nothing"),
            on_line=keep,
            timeout=ANSWERS_WITHIN,
        )
    except (Transient, Deterministic, TimeoutError):
        return None
    return set(json.loads(lines[-1])) if finished.returncode == 0 and lines else None


def _lent(sandbox: Sandbox) -> bool:
    """Whether a fetching program is given its connections, in place of being let connect."""
    return bool(sandbox.machine and sandbox.lends)


def _missing(sandbox: Sandbox) -> Iterator[str]:
    if not sandbox.landlock:
        yield "no Landlock"
    if not sandbox.machine:
        yield "no seccomp"


def _weaker(wanted: Sandbox) -> Iterator[Sandbox]:
    """From the strongest to the weakest."""
    for landlock, machine in ((True, True), (True, False), (False, True)):
        if (wanted.landlock or not landlock) and (wanted.machine or not machine):
            kept = wanted if landlock else replace(wanted, landlock=0)
            yield kept if machine else replace(kept, machine=None)


def available() -> Sandbox:
    """The layers that this kernel says it has, and where our own programs' code lies."""
    package = Path(secondunit.__file__).parent
    code = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, str(package)}
    machine = os.uname().machine
    return Sandbox(
        landlock=max(ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, VERSION_ASKED), 0),
        machine=machine if machine in MACHINES else None,
        lends=machine in MACHINES,
        python=tuple(sorted(code - {"/"})),
        listed=(str(package.parent),),
    )
