"""Network namespace of a process: loopback and nothing else, so that no job and no callback reaches out."""

import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
IFREQ = "16sh14x"
ELSEWHERE = ("192.0.2.1", 9)  # TEST-NET-1: nobody's


def fence() -> Sequence[str] | None:
    """The command that runs another in a network of its own, and what it starts ends with it; None without leave."""
    for leave in ([], ["--map-root-user"]):
        command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", *leave]
        if (
            shutil.which("unshare")
            and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
        ):
            return command
    return None


def raise_loopback() -> None:
    """Bring up the loopback of this network, as `ip link set lo up` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack(IFREQ, b"lo", 0)
        _, flags = struct.unpack(IFREQ, fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack(IFREQ, b"lo", flags | IFF_UP))


def reaches_out() -> bool:
    """Whether a packet could leave this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(ELSEWHERE) != errno.ENETUNREACH


def run_fenced(module: str, arguments: Sequence[str]) -> None:
    """Become this module in a network of its own; return once there."""
    if os.environ.get("FUZZ_FENCED"):
        raise_loopback()
        if reaches_out():
            sys.exit("this is no network of its own: nothing is fuzzed")
        return
    command = fence()
    if command is None:
        sys.exit("fuzzing needs a network of its own (`unshare --net`): run it as root, or allow user namespaces")
    argv = [*command, sys.executable, "-m", module, *arguments]
    os.execvpe(argv[0], argv, {**os.environ, "FUZZ_FENCED": "1"})  # noqa: S606  a fixed argv, no shell
