"""Child process under its launcher, from start to reaped: never a zombie, never a process left behind."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.programs.pipes import Pipe
from secondunit.handlers.tools.programs.ports import Limits
from secondunit.queue.ports.usage import Usage
from secondunit.queue.value import Value

LAUNCHER = Path(__file__).parent / "launching" / "launcher.py"
KILLED_WITHIN = timedelta(seconds=2)
NOTHING = Usage()


class Command(Value, frozen=True):
    """What to run, and with what: `env` is the whole environment, `stdin` the whole input (nothing when None).

    `orders` say how to confine it (`sandbox/orders.py`); not at all when None.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    limits: Limits
    stdin: bytes | None
    pass_fds: Sequence[int]
    orders: bytes | None = None


class Ended(Value, frozen=True):
    """How it went: `errno` and `what` ("program", "cwd" or "sandbox") say why the program could not be started.

    `used` is nothing where the launcher was killed and told nothing.
    """

    returncode: int
    errno: int | None = None
    what: str = ""
    used: Usage = NOTHING


class Child:
    """A running launcher, `pid`. Its exit is seen through a pidfd, so no child watcher of any event loop takes part."""

    def __init__(self, pid: int, pidfd: int, lifeline: socket.socket, stdout: Pipe, stderr: Pipe) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.pid = pid
        self._lifeline = lifeline
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        self._pidfd = pidfd
        self._loop.add_reader(self._pidfd, self._reap)

    async def ended(self) -> Ended:
        """Wait until the program and all that it started are gone."""
        return await asyncio.shield(self._ended)

    @property
    def used(self) -> Usage:
        """What the program and all that it started took; nothing before they are gone."""
        return self._ended.result().used if self._ended.done() else NOTHING

    async def stop(self, grace: timedelta) -> None:
        """End it if it still runs: TERM to its group, after `grace` KILL to everything; then let go of its pipes."""
        if not self._ended.done():
            self.stdout.discard()
            self._signal(signal.SIGTERM)
            if not await self._gone(grace):
                self._lifeline.shutdown(socket.SHUT_WR)
                if not await self._gone(KILLED_WITHIN):
                    self._signal(signal.SIGKILL)
                    await self._gone(KILLED_WITHIN)
        self.stdout.close()
        self.stderr.over()

    async def _gone(self, within: timedelta) -> bool:
        done, _ = await asyncio.wait([self._ended], timeout=within.total_seconds())
        return bool(done)

    def _signal(self, number: int) -> None:
        """Signal the group; its id can't be anybody else's, because we have not reaped its leader."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        report = self._report()
        if not any(word == "exit" for word, *_ in report):
            self._signal(signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self._lifeline.close()
        self.stdout.over()
        self.stderr.over()
        self._ended.set_result(_ended(report, os.waitstatus_to_exitcode(status)))

    def _report(self) -> list[list[str]]:
        try:
            return [line.split() for line in self._lifeline.recv(4096).decode().splitlines()]
        except OSError:
            return []


def _ended(report: Sequence[Sequence[str]], launchers: int) -> Ended:
    """What the launcher reported; a launcher that was killed itself takes its program along."""
    returncode, errno, what, used = launchers, None, "", NOTHING
    for word, *rest in report:
        if word == "exit" and rest[0] != "None":
            returncode = int(rest[0])
        if word == "error":
            errno, what = int(rest[0]), rest[1]
        if word == "used":
            used = Usage(float(rest[0]), *map(int, rest[1:]))
    return Ended(returncode, errno, what, used)


def spawn(python: str, command: Command) -> Child:
    """Start a program; takes well under a millisecond, so it is done on the loop."""
    with ExitStack() as ours, ExitStack() as theirs:
        lifeline, far = socket.socketpair()
        ours.enter_context(lifeline)
        theirs.enter_context(far)
        lifeline.setblocking(False)
        stdout, far_stdout = _pipe(ours, theirs)
        stderr, far_stderr = _pipe(ours, theirs)
        stdin = _input(command.stdin)
        theirs.callback(os.close, stdin)
        told = -1
        if command.orders is not None:
            told = _input(command.orders)
            theirs.callback(os.close, told)
        handed = [far.fileno(), *command.pass_fds, *([told] if told >= 0 else [])]
        places = {0: stdin, 1: far_stdout, 2: far_stderr} | {fd: fd for fd in handed}
        pid = os.posix_spawn(
            python,
            [python, "-I", "-S", str(LAUNCHER), *_arguments(far.fileno(), told, command)],
            dict(command.env),
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, place) for place, fd in places.items()],
            setsid=True,
            setsigmask=(),
        )
        pidfd = _watched(pid)
        ours.pop_all()
    return Child(pid, pidfd, lifeline, Pipe(stdout), Pipe(stderr))


def _watched(pid: int) -> int:
    """A descriptor that tells of the launcher's end; without one (EMFILE) the launcher must go at once."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    reading, writing = os.pipe()
    ours.callback(os.close, reading)
    theirs.callback(os.close, writing)
    return reading, writing


def _input(data: bytes | None) -> int:
    """A descriptor that gives `data` and then ends: a file in memory needs nobody to feed it."""
    if data is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin")
    os.pwrite(fd, data, 0)
    return fd


def _arguments(lifeline: int, orders: int, command: Command) -> Sequence[str]:
    limits = command.limits
    allowed = (limits.address_space, limits.cpu_seconds, limits.file_size, limits.own_memory, limits.processes)
    return (
        str(lifeline),
        ",".join(map(str, command.pass_fds)),
        ",".join("-" if value is None else str(value) for value in allowed),
        str(orders),
        str(command.cwd),
        *command.argv,
    )
