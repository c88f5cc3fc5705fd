"""Confinement orders: what a program's profile means on this machine, as the launcher carries it out.

A program is its own file and the system's libraries, reads what it is given, and writes in its working folder; nothing
else is there for it. The widest is the browser: it makes a sandbox of its own for pages, of namespaces.
"""

import marshal
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from secondunit.handlers.tools.programs.ports import Kind, Profile
from secondunit.handlers.tools.programs.sandbox import landlock, seccomp
from secondunit.handlers.tools.programs.sandbox.seccomp import Network, Refusals
from secondunit.queue.value import Value

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store", "/run/current-system")
LOADER = ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/alternatives", "/etc/localtime", "/proc/self")
MACHINE = ("/sys/devices/system/cpu", "/sys/devices/system/node", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")
MEMORY = ("/proc/sys/vm", "/proc/version", "/proc/filesystems", "/sys/kernel/mm")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NETWORK = (
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/pki/ca-trust",
    "/etc/crypto-policies", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/services", "/etc/protocols", "/etc/passwd", "/etc/group", "/etc/mime.types", "/usr/share/ca-certificates",
)  # fmt: skip
SSH = ("/etc/ssh/ssh_config", "/etc/ssh/ssh_config.d", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
DESKTOP = (
    "/etc/fonts", "/etc/chromium", "/etc/chromium.d", "/etc/chromium-browser", "/etc/opt/chrome", "/opt/google",
    "/var/cache/fontconfig", "/etc/machine-id", "/sys",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The layers in force: Landlock of version `landlock` (0: none), a filter for `machine`, sockets that are lent.

    `python` is where the interpreter and this package lie, `listed` what may be looked through for them.
    """

    landlock: int
    machine: str | None
    lends: bool
    python: Sequence[str] = ()
    listed: Sequence[str] = ()


UNCONFINED = Sandbox(0, None, lends=False)


class Needs(Value, frozen=True):
    """What programs of a kind need, and so are not refused."""

    refusals: Refusals = Refusals()
    seen: Sequence[str] = ()
    written: Sequence[str] = ()
    python: bool = False
    least_landlock: int = 1
    files: bool = True


KINDS: Mapping[Kind, Needs] = {
    "decoder": Needs(),
    "python": Needs(python=True),
    "archive": Needs(Refusals(modes=False), python=True),
    "yt-dlp": Needs(
        Refusals(modes=False, signals="any", shared_memory=False), (*NETWORK, "/proc", "/sys/fs/cgroup"), python=True
    ),
    "git": Needs(Refusals(names=False, modes=False), (*NETWORK, *SSH), least_landlock=2),
    "browser": Needs(
        Refusals(modes=False, signals="any", namespaces=False, shared_memory=False, names=False, servers=False),
        (*NETWORK, *DESKTOP),
        written=("/proc", "/dev/shm", "/dev/tty"),  # noqa: S108  where Chromium shares memory
        python=True,
        least_landlock=2,
    ),
    "build": Needs(Refusals(names=False, modes=False, signals="any", shared_memory=False), files=False),
}


def orders(sandbox: Sandbox, profile: Profile, cwd: Path) -> bytes:
    """What the launcher is told."""
    needs = KINDS[profile.kind]
    python = sandbox.python if needs.python else ()
    listed = sandbox.listed if needs.python else ()
    reaches = profile.reach
    port = reaches if isinstance(reaches, int) else None
    network = _network(sandbox, profile)
    rules = landlock.rule_set(
        sandbox.landlock if sandbox.landlock >= needs.least_landlock else 0,
        seen=[*LOADER, *MACHINE, *MEMORY, *needs.seen, *map(str, profile.reads)],
        used=[*SYSTEM, *python, *map(str, profile.runs)],
        listed=listed,
        written=[*needs.written, *map(str, profile.writes), *([str(cwd)] if profile.works_here else [])],
        devices=DEVICES,
        port=port,
        ports=network in ("none", "proxy", "lent"),
        confined=needs.files,
    )
    refusals = needs.refusals
    if refusals.signals == "any" and network == "lent" and sandbox.landlock < landlock.KEEPS_SIGNALS:
        refusals = replace(refusals, signals="tree")
    told = {
        "account": profile.account,
        "attributes": rules.attributes,
        "rules": rules.rules,
        "program": rules.program,
        "folder": rules.folder,
        "read_file": rules.read_file,
        "write_file": rules.write_file,
        "of_files": rules.of_files,
        "port": rules.port,
        "filter": seccomp.assembled(refusals, network, sandbox.machine) if sandbox.machine else b"",
        "proxy": _address(port) if network == "lent" and port else b"",
    }
    return marshal.dumps(told)


def _network(sandbox: Sandbox, profile: Profile) -> Network:
    if profile.kind == "build":
        return "any"
    if isinstance(profile.reach, int):
        return "lent" if sandbox.lends and sandbox.machine else "proxy"
    return "internet" if profile.reach == "internet" else "none"


def _address(port: int) -> bytes:
    """A `struct sockaddr_in` of this machine."""
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1"))
