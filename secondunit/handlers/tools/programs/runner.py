"""Process runner: other programs to their end, and nothing of them left behind in any way out."""

import asyncio
import errno
import os
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from secondunit.handlers.tools.cancellation import in_thread, to_the_end
from secondunit.handlers.tools.programs.child import Child, Command, Ended, spawn
from secondunit.handlers.tools.programs.exertion import ExertionMeter, exertion
from secondunit.handlers.tools.programs.pipes import Lines
from secondunit.handlers.tools.programs.ports import Finished, Limits, Profile, unwatched
from secondunit.handlers.tools.programs.sandbox.orders import UNCONFINED, Sandbox, orders
from secondunit.handlers.tools.programs.transcript import Transcript
from secondunit.queue.instrumentation import piece
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.ports.usage import Meter, Usage, meter

GRACE = timedelta(seconds=5)
ENDING = timedelta(minutes=1)  # more than it takes to end a program that is over its time
LOOK_EVERY = 0.5
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
NOT_RUNNABLE = (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP)
LONGEST_NOTE = 8 * 1024


class ProcessRunner:
    """Starts each program under a launcher of our own, run by the interpreter `python`, confined if given a `sandbox`.

    stdout goes to `on_line`, or else where stderr goes: its last 64 KB into `Finished.stderr`, all of it into the log,
    which stops at 4 MB. stdin is empty unless given. A program that prints faster than it is read waits.
    """

    def __init__(
        self,
        python: str,
        *,
        sandbox: Sandbox | None = None,
        search_path: str = SEARCH_PATH,
        grace: timedelta = GRACE,
    ) -> None:
        self._python = python
        self._sandbox = sandbox
        self._search_path = search_path
        self._grace = grace

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        limits: Limits = Limits(),
        profile: Profile = Profile(),
        on_line: Callable[[str], Awaitable[None]] | None = None,
        on_error: Callable[[str], None] | None = None,
        stdin: bytes | None = None,
        pass_fds: Sequence[int] = (),
        beat: Callable[[], None] = unwatched,
        timeout: timedelta | None = None,
    ) -> Finished:
        """As the port `Programs` promises."""
        transcript = Transcript(log, beat, on_error)
        await transcript.note(f"$ {shlex.join(argv)}"[:LONGEST_NOTE])
        environment = self._minimal(cwd) if env is None else env
        confined = orders(self._sandbox or UNCONFINED, profile, cwd) if self._sandbox or profile.account else None
        child = spawn(self._python, Command(argv, cwd, environment, limits, stdin, pass_fds, confined))
        listening, accounts = asyncio.create_task(transcript.follow(child.stderr)), meter()
        looking = asyncio.create_task(_look(child, beat, accounts))
        name = Path(argv[0]).name
        hear = transcript.add if on_line is None else _LineByLine(on_line).hear
        try:
            with piece("program", _title(argv), profile=profile.kind) as told:
                async with _limit(timeout, TimeoutError(f"{name} ran longer than {timeout}")):
                    ended = await _attend(child, hear)
                told["exit_code"] = ended.returncode
                await listening
                _refuse_unstarted(argv[0], cwd, ended)
                return Finished(ended.returncode, transcript.text)
        finally:
            await to_the_end(self._end(child, listening, looking))
            accounts.ended(child, child.used)

    async def _end(self, child: Child, listening: asyncio.Task[None], looking: asyncio.Task[None]) -> None:
        try:
            looking.cancel()
            await asyncio.wait([looking])
            await child.stop(self._grace)
            await listening
        finally:
            child.stderr.close()

    def _minimal(self, cwd: Path) -> Mapping[str, str]:
        return {"PATH": self._search_path, "HOME": str(cwd), "TMPDIR": str(cwd), "LANG": "C.UTF-8"}


class _LineByLine:
    """Hands what comes in to `on_line`, a line at a time."""

    def __init__(self, on_line: Callable[[str], Awaitable[None]]) -> None:
        self._on_line = on_line
        self._lines = Lines()

    async def hear(self, data: bytes) -> None:
        """No data is the end of the last line."""
        for line in self._lines.feed(data) if data else self._lines.end():
            await self._on_line(line)


async def _attend(child: Child, hear: Callable[[bytes], Awaitable[None]]) -> Ended:
    """Listen until the program has ended."""
    while data := await child.stdout.read():
        await hear(data)
    await hear(b"")
    return await child.ended()


async def _look(child: Child, beat: Callable[[], None], accounts: Meter) -> None:
    """Tell of the work of a program that prints nothing, and what it takes."""
    loop = asyncio.get_running_loop()
    work = ExertionMeter(loop.time())
    while True:
        await asyncio.sleep(LOOK_EVERY)
        so_far = await in_thread(exertion, child.pid)
        under_it = so_far.processes - 1  # the launcher is no program of the job's
        accounts.seen(child, Usage(so_far.cpu, so_far.memory, so_far.read, so_far.written, max(under_it, 0)))
        if work.works(loop.time(), so_far):
            beat()


def _title(argv: Sequence[str]) -> str:
    """What may be told of a command: the program, or the script of ours that Python runs; arguments hold secrets."""
    return Path(argv[2] if argv[1:2] == ["-I"] and len(argv) > 2 else argv[0]).name


@asynccontextmanager
async def _limit(span: timedelta | None, error: Exception) -> AsyncIterator[None]:
    """Raise `error` once `span` is over; a TimeoutError of somebody else's passes as it is."""
    limit = asyncio.timeout(span.total_seconds() if span else None)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise error from None
        raise


def _refuse_unstarted(program: str, cwd: Path, ended: Ended) -> None:
    """Raise why the program never ran."""
    if ended.errno is None:
        return
    if ended.what == "sandbox":
        why = f"{program} was not started, for it could not be confined: {os.strerror(ended.errno)}"
        raise Transient(why, type="spawn_failed")
    if ended.what == "cwd":
        raise OSError(ended.errno, f"can't work in {cwd}: {os.strerror(ended.errno)}")
    if ended.errno in NOT_RUNNABLE:
        raise Deterministic(f"can't run {program}: {os.strerror(ended.errno)}", type="program_missing")
    raise Transient(f"can't start {program}: {os.strerror(ended.errno)}", type="spawn_failed")
