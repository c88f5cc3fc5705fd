"""Confinement of the process that is about to become a program: account, files, other processes, network; for good.

What to do is computed by the daemon (`sandbox/orders.py`); here it is only carried out, or the program does not start.
"""

import _ctypes
import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from secondunit.handlers.tools.programs.launching.libc import call, ints, must
else:
    from libc import call, ints, must

PR_SET_SECCOMP, SECCOMP_FILTER, SECCOMP_SET, NEW_LISTENER = 22, 2, 1, 8
SECCOMP = {"x86_64": 317, "aarch64": 277}
PIDFD_GETFD, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 438, 444, 445, 446  # on every architecture
PATH_BENEATH, NET_PORT = 1, 2
RECEIVE, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_...
CAPABILITIES_V3, DAC_OVERRIDE_AND_SEARCH = 0x20080522, 0b110
OWN_PID = (0x5EC0D0A7).to_bytes(4, "little")  # stands in the filter for what is known only here
F_GETFL, WAYS, KIND, REGULAR, FOLDER = 3, 3, 0o170000, 0o100000, 0o040000
CONNECT = (42, 203)  # on x86-64, on arm64; neither number is a signal's call on the other
EPERM, LOOK_AGAIN = 1, 0.005


def step_down(account: "tuple[int, int, list[int]] | None") -> None:
    """Become another account if there is one to become; of the superuser's powers keep only those to open files."""
    if account:
        uid, gid, groups = account
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    head = CAPABILITIES_V3.to_bytes(4, "little") + bytes(4)
    have = ints(6)()  # two of `struct __user_cap_data_struct`: effective, permitted, inheritable
    call("capget", head, have)
    kept = (have[1] & DAC_OVERRIDE_AND_SEARCH).to_bytes(4, "little")
    if any(have):
        must(call("capset", head, kept + kept + bytes(16)))


def confine(orders: "Mapping[str, Any]", keep: "Iterable[int]", program: str, listening: int) -> None:
    """Let go of files, other processes and the network, for good; `listening` is told who answers for the network."""
    if orders["attributes"]:
        ruleset = must(call("syscall", LANDLOCK_CREATE, orders["attributes"], len(orders["attributes"]), 0))
        for path, rights in (*orders["rules"], *((path, orders["program"]) for path in places(program))):
            try:
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            allow(ruleset, fd, rights, orders["of_files"])
            os.close(fd)
        for fd in keep:
            writes = call("fcntl", fd, F_GETFL) & WAYS != os.O_RDONLY
            kind = os.fstat(fd).st_mode & KIND
            rights = {FOLDER: orders["folder"], REGULAR: orders["write_file" if writes else "read_file"]}.get(kind, 0)
            allow(ruleset, fd, rights, orders["of_files"])
        if orders["port"]:
            must(call("syscall", LANDLOCK_ADD, ruleset, NET_PORT, orders["port"], 0))
        must(call("syscall", LANDLOCK_RESTRICT, ruleset, 0))
        os.close(ruleset)
    if orders["filter"]:
        obey(
            orders["filter"].replace(OWN_PID, os.getpid().to_bytes(4, "little")), listening if orders["proxy"] else None
        )


def allow(ruleset: int, fd: int, rights: int, of_files: int) -> None:
    """Allow what lies beneath a descriptor; the kernel takes no rule for pipes and the like, nor one without rights."""
    if os.fstat(fd).st_mode & KIND != FOLDER:
        rights &= of_files
    call("syscall", LANDLOCK_ADD, ruleset, PATH_BENEATH, rights.to_bytes(8, "little") + fd.to_bytes(4, "little"), 0)


def candidates(program: str) -> "Sequence[str]":
    """The paths at which the program may lie."""
    if "/" in program:
        return [program]
    return [f"{folder}/{program}" for folder in os.environ.get("PATH", "").split(":")]


def places(program: str) -> "Iterator[str]":
    """Where the program may lie, and the libraries that come with it."""
    for path in candidates(program):
        yield path
        home = os.path.dirname(os.path.realpath(path))
        if home.endswith("/bin"):
            yield f"{home[:-3]}lib"


def obey(rules: bytes, listening: int | None) -> None:
    """Put this process under a filter of system calls; `listening` takes over what the filter asks about."""
    room = ints(len(rules) // 4).from_buffer_copy(rules)
    program = (len(rules) // 8).to_bytes(8, "little") + _ctypes.addressof(room).to_bytes(8, "little")
    if listening is None:
        must(call("prctl", PR_SET_SECCOMP, SECCOMP_FILTER, program, 0, 0))
        return
    asks = must(call("syscall", SECCOMP[os.uname().machine], SECCOMP_SET, NEW_LISTENER, program))
    os.write(listening, asks.to_bytes(4, "little"))
    if not os.read(listening, 1):
        raise OSError(EPERM, "nobody answers what the filter asks about")


def attend(program: int, end: int, proxy: bytes) -> None:
    """Take over what the program's filter asks about, and let the program go on; else it ends."""
    asks = int.from_bytes(os.read(end, 4), "little")
    listener = call("syscall", PIDFD_GETFD, program, asks, 0) if asks else -1
    if listener >= 0:
        _thread.start_new_thread(lend, (listener, proxy))
        os.write(end, b".")
    os.close(end)


def lend(listener: int, proxy: bytes) -> None:
    """Answer what the filter asks about, for as long as there is a program.

    What wants to be connected is connected to the proxy, whatever address it named; signals go to the launcher's tree.
    Nothing of the asking program's memory is looked at, so there is nothing that it could change meanwhile.
    """
    while True:
        asked = ints(20)()  # `struct seccomp_notif`: u64 id, u32 pid, u32 flags, int call, u32, u64, six u64 arguments
        if call("ioctl", listener, RECEIVE, asked) < 0:
            time.sleep(LOOK_AGAIN)
            continue
        if asked[4] in CONNECT:
            failed, go_on = min(connected(asked[2], asked[8], proxy), 0), 0
        else:
            failed, go_on = (0, 1) if ours(asked[8]) else (-EPERM, 0)
        answer = bytes(asked)[:8] + bytes(8) + failed.to_bytes(4, "little", signed=True) + go_on.to_bytes(4, "little")
        call("ioctl", listener, SEND, answer)


def connected(thread: int, number: int, proxy: bytes) -> int:
    """Connect a socket of another process; minus the errno if that fails."""
    try:
        process = os.pidfd_open(int(status(thread)["Tgid"]))
    except OSError as error:
        return -(error.errno or 1)
    own = call("syscall", PIDFD_GETFD, process, number, 0)
    os.close(process)
    if own < 0:
        return own
    result = call("connect", own, proxy, len(proxy))
    os.close(own)
    return result


def ours(target: int) -> bool:
    """Whether a signal to this process, or with a minus to this group, reaches only what the launcher started."""
    if target == 0:  # its own group
        return True
    process = abs(target)
    try:
        while process > 1:
            process = int(status(process)["PPid"])
            if process == os.getpid():
                return True
    except OSError:
        pass
    return False


def status(process: int) -> "Mapping[str, str]":
    """What the kernel tells of a process or thread."""
    with open(f"/proc/{process}/status") as lines:
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
