"""Port to child processes: what runs them, the limits they get, and how they ended."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol

from secondunit.queue.value import Value


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel allows a child: bytes of address space, seconds of CPU, bytes of one file, bytes of own memory.

    `processes` is how many processes and threads its account may have.

    `own_memory` is for programs that reserve much more address space than they use (V8 does, git maps its packs).
    """

    address_space: int | None = None
    cpu_seconds: int | None = None
    file_size: int | None = None
    own_memory: int | None = None
    processes: int | None = 8192


Kind = Literal["decoder", "python", "archive", "yt-dlp", "git", "browser", "build"]


class Profile(Value, frozen=True):
    """What a program of a `kind` (`sandbox/orders.py`) may touch, beside the system's libraries and its descriptors.

    It reads `reads`, starts `runs` beside the system's programs, and writes `writes` and its working folder, if it
    `works_here`. `reach`: nothing, the egress proxy on this port of the machine, or the internet. `account`: become
    this uid, gid and groups.
    """

    kind: Kind = "decoder"
    reads: Sequence[Path] = ()
    runs: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    works_here: bool = True
    reach: int | Literal["nothing", "internet"] = "nothing"
    account: tuple[int, int, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended: `returncode` below 0 is minus the signal's number; `stderr` its last 64 KB."""

    returncode: int
    stderr: str


def unwatched() -> None:
    """Nobody asks whether it is alive."""


class Programs(Protocol):
    """Runs other programs: own process group, killed with us, never a shell."""

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
        """Run `argv` to its end; `on_line` gets each line of stdout as it comes, `on_error` of stderr.

        `profile` is what it may touch, where there is a sandbox. `env` is the whole environment (a minimal one when
        None). `beat` is called when it gives a sign of life: output that `on_line` does not get, CPU time, bytes from
        or to the disk. Longer than `timeout`: TimeoutError. In every way out, cancellation included, the program and
        all that it started are gone first. A program that can't be started: Deterministic("program_missing").
        """
        ...
