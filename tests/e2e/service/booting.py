"""Container of systemd-nspawn: a bare Debian with systemd as PID 1, booted for one script and gone with it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.debian import CERTIFICATES, MADE_WITHIN, debootstrapped

PACKAGES = "systemd systemd-sysv dbus procps python3 python3-pip git make ca-certificates".split()
FURNITURE = ("ffmpeg", "restic", "rsync", "lintian", "man-db", "bash-completion")
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit")
NEEDED = ("debootstrap", "systemd-nspawn", "git")
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"  # nspawn's own list has them since 253
BOOTED_WITHIN = 1500
DRIVER = """
[Unit]
Description=what is to be tested
After=multi-user.target dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/usr/bin/python3 -P /shared/inside.py > /shared/booted.log 2>&1; echo $? > /shared/exit'
ExecStopPost=/bin/systemctl poweroff --force --no-block
TimeoutStartSec=infinity
"""


@dataclass(frozen=True, slots=True)
class Booted:
    """What came of it: the script's exit code (None: it did not end), its output, and the console's."""

    exit: int | None
    log: str
    console: str


def lacking() -> str | None:
    """Why nothing can be booted here."""
    if os.geteuid() != 0:
        return "it needs root"
    absent = [program for program in NEEDED if shutil.which(program) is None]
    return f"there is no {' and no '.join(absent)}" if absent else None


def bare_debian(folder: Path, release: str = "bookworm") -> Path:
    """A Debian that was never booted; made once, over the network, and kept."""
    if not (folder / "usr/bin/make").exists():
        debootstrapped(folder, release, PACKAGES)
    return folder


def furnished_debian(folder: Path, bare: Path) -> Path:
    """A bare one with what a package needs and what runbooks use; made once, over the network, and kept."""
    if not all((folder / "usr/bin" / program).exists() for program in ("restic", "rsync")):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "-a", str(bare), str(folder)], check=True, timeout=MADE_WITHIN)
        trusted = (f"--bind-ro={CERTIFICATES}", "--bind-ro=/etc/resolv.conf", "--setenv=DEBIAN_FRONTEND=noninteractive")
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *FURNITURE]):
            argv = [*NSPAWN, f"--directory={folder}", *trusted, "apt-get", *command]
            subprocess.run(argv, check=True, timeout=MADE_WITHIN, stdout=sys.stderr)
        # dpkg waits for the disk with each file otherwise: minutes, beside other tests.
        (folder / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    return folder


@contextmanager
def disk_over(root: Path, folder: Path) -> Iterator[Path]:
    """A disk that begins as `root` and keeps what is written, for as long as this lasts."""
    places = {name: folder / name for name in ("upper", "work", "merged")}
    for place in places.values():
        place.mkdir(parents=True)
    options = f"lowerdir={root},upperdir={places['upper']},workdir={places['work']}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(places["merged"])], check=True)
    try:
        yield places["merged"]
    finally:
        subprocess.run(["umount", "--lazy", str(places["merged"])], check=True)


def run_in(root: Path, binds: Sequence[str], *argv: str) -> None:
    """Run a command in it with the machine's network; what it changes outside of the binds vanishes."""
    trusted = (f"--bind-ro={CERTIFICATES}", "--bind-ro=/etc/resolv.conf", f"--setenv=SSL_CERT_FILE={CERTIFICATES}")
    command = [*_nspawn(root, False, binds), *trusted, f"--setenv=PIP_CERT={CERTIFICATES}", *argv]
    subprocess.run(command, check=True, timeout=MADE_WITHIN, stdout=sys.stderr)


def boot(root: Path, binds: Sequence[str], shared: Path, *, keeps: bool = False) -> Booted:
    """Boot it without a network and run SHARED/inside.py as root once it is up; then it is powered off.

    What it changed is gone, unless it `keeps` that.
    """
    for left in ("exit", "booted.log"):
        (shared / left).unlink(missing_ok=True)
    unit = shared / "driver.service"
    unit.write_text(DRIVER)
    kernel = ["systemd.unit=multi-user.target", "systemd.wants=driver.service", "systemd.mask=console-getty.service"]
    argv = [
        *_nspawn(
            root, keeps, [*binds, f"--bind={shared}:/shared", f"--bind-ro={unit}:/etc/systemd/system/driver.service"]
        ),
        "--private-network",
        f"--system-call-filter={LANDLOCK}",
        "--boot",
        "--",
        *kernel,
    ]
    console = shared / "console.log"
    with console.open("wb") as stream:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            process.wait(BOOTED_WITHIN)
        except subprocess.TimeoutExpired:
            process.terminate()  # systemd-nspawn powers the container off
            process.wait(60)
        finally:
            if process.poll() is None:
                process.kill()  # its processes die with it
                process.wait()
    exit = shared / "exit"
    log = shared / "booted.log"
    return Booted(
        int(exit.read_text()) if exit.exists() else None,
        log.read_text(errors="replace") if log.exists() else "",
        console.read_text(errors="replace"),
    )


def _nspawn(root: Path, keeps: bool, binds: Sequence[str]) -> list[str]:
    fleeting = [] if keeps else ["--volatile=overlay"]
    return [*NSPAWN, f"--directory={root}", *fleeting, f"--machine=secondunit-{os.getpid()}", *binds]
