"""Process supervisor of one program, which ends its whole tree with it: `launcher.py LIFELINE KEEP LIMITS CWD ARGV...`.

Started by `python -I -S` as a program of its own, in a session that the daemon made for it; imports as little as it
can, because it is started for each program. It tells the daemon through LIFELINE, a socket: `error N WHAT` if the
program could not be started (an errno), and `exit N` once nothing of the tree is left. The daemon never writes to it:
the moment its end is shut, as it is when the daemon is killed, everything here is killed.
"""

import ctypes
import os
import resource
import select
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

SIGHUP, SIGINT, SIGKILL, SIGTERM, SIG_DFL, SIG_IGN = 1, 2, 9, 15, 0, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
IOPRIO_LOWEST_BEST_EFFORT = 2 << 13 | 7
NICENESS, OOM_SCORE = 10, 500
REAP_EVERY_MS, LOOK_AGAIN, GIVE_UP = 1000, 0.005, 10.0

libc = ctypes.CDLL(None, use_errno=True)


def main(lifeline: int, keep: Sequence[int], limits: Sequence[int | None], cwd: str, argv: list[str]) -> None:
    """Run `argv` to its end, or until the daemon lets go; returns when nothing that it started is alive."""
    for signal in (SIGHUP, SIGINT, SIGTERM):
        libc.signal(signal, ctypes.c_void_p(SIG_IGN))
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    close_others((lifeline, *keep))
    os.set_inheritable(lifeline, False)
    launcher = os.getpid()
    program = os.fork()
    if program == 0:
        become(lifeline, launcher, limits, cwd, argv)
    code = watch(program, lifeline)
    code = end_tree(program, code)
    tell(lifeline, f"exit {code}")


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor that leaked in from the daemon's libraries."""
    first = 3
    for fd in sorted(set(keep)):
        if first < fd:  # an empty range would close all
            os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def become(lifeline: int, launcher: int, limits: Sequence[int | None], cwd: str, argv: list[str]) -> None:
    """Turn this process into the program; it dies with the launcher, and first of all when memory runs out."""
    what = "cwd"
    try:
        os.chdir(cwd)
        what = "program"
        yield_to_others()
        restrict(*limits)
        for signal in range(1, 32):
            libc.signal(signal, ctypes.c_void_p(SIG_DFL))
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if os.getppid() == launcher:
            os.execvp(argv[0], argv)
    except OSError as error:
        tell(lifeline, f"error {error.errno} {what}")
    finally:
        os._exit(127)


def yield_to_others() -> None:
    """Give way to the daemon and to everybody else; each of these is a courtesy that may be denied."""
    number = IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        libc.syscall(number, 1, 0, IOPRIO_LOWEST_BEST_EFFORT)
    try:
        os.nice(NICENESS)
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write(str(OOM_SCORE))
    except OSError:
        pass


def restrict(address_space: int | None, cpu_seconds: int | None, file_size: int | None, own_memory: int | None) -> None:
    """Set the kernel's limits; a core dump is never wanted."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_AS, address_space)
    lower(resource.RLIMIT_CPU, cpu_seconds)
    lower(resource.RLIMIT_FSIZE, file_size)
    lower(resource.RLIMIT_DATA, own_memory)


def lower(kind: int, value: int | None) -> None:
    """Lower one limit, never above what the daemon itself has."""
    if value is None:
        return
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value if kind != resource.RLIMIT_CPU else hard))


def watch(program: int, lifeline: int) -> int | None:
    """Wait for the program's end, whose code is returned, or for the daemon's; reaps orphans as they come."""
    ends = select.poll()
    pidfd = os.pidfd_open(program)
    ends.register(pidfd, select.POLLIN)
    ends.register(lifeline, select.POLLIN)
    while True:
        ready = [fd for fd, _ in ends.poll(REAP_EVERY_MS)]
        for pid, status in reap():
            if pid == program:
                return os.waitstatus_to_exitcode(status)
        if lifeline in ready:
            return None


def reap() -> Iterator[tuple[int, int]]:
    """Collect every child that has ended; ChildProcessError when none is left, dead or alive."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        yield pid, status


def end_tree(program: int, code: int | None) -> int | None:
    """Kill until there is nobody left to kill; the program's code, if it is known by then.

    Only direct children are killed: their ids can't be reused before we reap them, and their own children become ours
    as they die.
    """
    deadline = time.monotonic() + GIVE_UP
    try:
        while time.monotonic() < deadline:
            for pid, status in reap():
                if pid == program:
                    code = os.waitstatus_to_exitcode(status)
            for pid in children():
                kill(pid)
            time.sleep(LOOK_AGAIN)
    except ChildProcessError:
        pass
    return code


def children() -> Iterator[int]:
    """Our direct children, adopted ones included."""
    me = str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    parent = stat.read().rpartition(b")")[2].split()[1].decode()
            except OSError:
                continue
            if parent == me:
                yield int(name)


def kill(pid: int) -> None:
    """Kill one process, if it is there and ours."""
    try:
        os.kill(pid, SIGKILL)
    except OSError:
        pass


def tell(lifeline: int, message: str) -> None:
    """Send one line to the daemon, if it is still there."""
    try:
        os.write(lifeline, f"{message}\n".encode())
    except OSError:
        pass


def numbers(text: str) -> list[int | None]:
    """`4,-,6` as numbers, `-` as None."""
    return [None if part == "-" else int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main(int(sys.argv[1]), [fd for fd in numbers(sys.argv[2]) if fd], numbers(sys.argv[3]), sys.argv[4], sys.argv[5:])
    os._exit(0)
