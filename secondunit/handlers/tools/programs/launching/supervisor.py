"""Process supervisor of one program: `launcher.py LIFELINE KEEP LIMITS ORDERS CWD ARGV...`; it ends its whole tree.

Started by `python -I -S` as a program of its own, in a session that the daemon made for it. Imports as little as it
can, because it is started for each program: `ctypes` and `collections.abc` would cost as much as all the rest. It tells
the daemon through LIFELINE, a socket: `error N WHAT` if the program could not be started (an errno), and once nothing
of it is left `used CPU MEMORY READ WRITTEN` (the kernel's account of it: seconds and bytes) and `exit N`. The daemon
never writes to it: the moment its end is shut, as it is when the daemon is killed, everything here is killed. ORDERS is
a descriptor of how to confine the program (`sandbox/orders.py`), or -1.
"""

import os
import resource
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from secondunit.handlers.tools.programs.launching.confinement import attend, candidates, confine, step_down
    from secondunit.handlers.tools.programs.launching.libc import call, ints
else:
    from confinement import attend, candidates, confine, step_down
    from libc import call, ints

SIGHUP, SIGINT, SIGKILL, SIGTERM, SIG_DFL, SIG_IGN = 1, 2, 9, 15, 0, 1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
ENOENT, ENOTDIR = 2, 20
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
IOPRIO_LOWEST_BEST_EFFORT = 2 << 13 | 7
NICENESS, OOM_SCORE = 10, 500
REAP_EVERY_MS, LOOK_AGAIN, GIVE_UP = 1000, 0.005, 10.0
UNIX, STREAM_CLOSED_ON_EXEC = 1, 1 | 0o2000000


def main(
    lifeline: int,
    keep: "Sequence[int]",
    limits: "Sequence[int | None]",
    orders: "Mapping[str, Any]",
    cwd: str,
    argv: list[str],
) -> None:
    """Run `argv` to its end, or until the daemon lets go; returns when nothing that it started is alive."""
    for signal in (SIGHUP, SIGINT, SIGTERM):
        call("signal", signal, SIG_IGN)
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    close_others((lifeline, *keep))
    os.set_inheritable(lifeline, False)
    ends = ints(2)()
    call("socketpair", UNIX, STREAM_CLOSED_ON_EXEC, 0, ends)
    program = os.fork()
    if program == 0:
        os.close(ends[1])  # or it would wait for ever for a launcher that closed its own
        become(lifeline, ends[0], keep, limits, orders, cwd, argv)
    os.close(ends[0])
    pidfd = os.pidfd_open(program)
    if proxy := orders.get("proxy"):
        attend(pidfd, ends[1], proxy)
    code = watch(program, pidfd, lifeline)
    code = end_tree(program, code)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    tell(lifeline, f"used {cpu} {memory} {used.ru_inblock * 512} {used.ru_oublock * 512}")
    tell(lifeline, f"exit {code}")


def close_others(keep: "Iterable[int]") -> None:
    """Close every descriptor that leaked in from the daemon's libraries."""
    first = 3
    for fd in sorted(set(keep)):
        if first < fd:  # an empty range would close all
            os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def become(
    lifeline: int,
    listening: int,
    keep: "Sequence[int]",
    limits: "Sequence[int | None]",
    orders: "Mapping[str, Any]",
    cwd: str,
    argv: list[str],
) -> None:
    """Turn this process into the program; it dies with the launcher, and first of all when memory runs out."""
    what = "cwd"
    try:
        os.chdir(cwd)
        what = "program"
        yield_to_others()
        restrict(*limits)
        for signal in range(1, 32):
            call("signal", signal, SIG_DFL)
        what = "sandbox"
        if orders:
            step_down(orders["account"])
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call("prctl", PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        if orders:
            confine(orders, keep, argv[0], listening)
        what = "program"
        if os.getppid() == os.getsid(0):
            execute(argv)
    except OSError as error:
        tell(lifeline, f"error {error.errno} {what}")
    finally:
        os._exit(127)


def execute(argv: list[str]) -> None:
    """Run the first program of this name; not by `os.execvp`: it imports, and here may be nothing left to import."""
    fault = OSError(ENOENT, os.strerror(ENOENT))
    for path in candidates(argv[0]):
        try:
            os.execv(path, argv)
        except OSError as error:
            if error.errno not in (ENOENT, ENOTDIR) and fault.errno == ENOENT:
                fault = error
    raise fault


def yield_to_others() -> None:
    """Give way to the daemon and to everybody else; each of these is a courtesy that may be denied."""
    number = IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        call("syscall", number, 1, 0, IOPRIO_LOWEST_BEST_EFFORT)
    try:
        os.nice(NICENESS)
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write(str(OOM_SCORE))
    except OSError:
        pass


def restrict(*most: int | None) -> None:
    """Set the kernel's limits, in the order of `Limits`; a core dump is never wanted."""
    lower(resource.RLIMIT_CORE, 0)
    kinds = (
        resource.RLIMIT_AS,
        resource.RLIMIT_CPU,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_DATA,
        resource.RLIMIT_NPROC,
    )
    for kind, value in zip(kinds, most, strict=True):
        lower(kind, value)


def lower(kind: int, value: int | None) -> None:
    """Lower one limit, never above what the daemon itself has."""
    if value is None:
        return
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value if kind != resource.RLIMIT_CPU else hard))


def watch(program: int, pidfd: int, lifeline: int) -> int | None:
    """Wait for the program's end, whose code is returned, or for the daemon's; reaps orphans as they come."""
    ends = select.poll()
    ends.register(pidfd, select.POLLIN)
    ends.register(lifeline, select.POLLIN)
    while True:
        ready = [fd for fd, _ in ends.poll(REAP_EVERY_MS)]
        for pid, status in reap():
            if pid == program:
                return os.waitstatus_to_exitcode(status)
        if lifeline in ready:
            return None


def reap() -> "Iterator[tuple[int, int]]":
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


def children() -> "Iterator[int]":
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
