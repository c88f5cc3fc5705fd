"""Container engine of this machine, docker or podman, with images and containers of its own, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.debian import CERTIFICATES, MADE_WITHIN, debootstrapped

BASE = "debian:13-slim"
INSIDE = "/opt/certificates.crt"  # whoever checks certificates inside trusts what is trusted outside


class NoEngine(Exception):
    """Nothing can be built or run here; says why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`run` is the command line that everything is asked by; `build` and `start` what these take beside it."""

    run: list[str]
    build: list[str]
    start: list[str]
    environ: Mapping[str, str] | None = None

    def __call__(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Have it do something; what it said."""
        command = [*self.run, *argv]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=MADE_WITHIN, check=False
        )
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done


@contextmanager
def engine(folder: Path, cache: Path) -> Iterator[Engine]:
    """The engine of this machine, with the image that ours begins with; NoEngine where there is none."""
    if shutil.which("docker") and _works(["docker", "info"]):
        yield with_base(Engine(["docker"], [], []), cache)
    elif os.geteuid() == 0 and shutil.which("podman") and shutil.which("buildah"):
        # podman takes no path of over 50 characters for what runs
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as run:
            yield from _own(["--root", str(folder / "images"), "--runroot", run], cache)
    else:
        raise NoEngine("no engine: neither a docker that answers, nor, for root, podman and buildah")


def _own(stored: Sequence[str], cache: Path) -> Iterator[Engine]:
    runtime = ["--runtime", "runc"] if shutil.which("runc") else []
    podman = ["podman", *stored, *runtime, "--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    ours = ["--isolation", "chroot", "--format", "docker", "--volume", "/etc/resolv.conf:/etc/resolv.conf:ro"]
    ready = Engine(podman, ours, ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"])
    try:
        yield with_base(ready, cache)
    finally:
        for everything in (["rm", "--all", "--force"], ["rmi", "--all", "--force"], ["volume", "prune", "--force"]):
            ready(*everything, check=False)


def with_base(engine: Engine, cache: Path) -> Engine:
    """The same once it has Debian's image: pulled, or made by debootstrap where no registry can be reached."""
    if engine("pull", BASE, check=False).returncode:
        if not shutil.which("debootstrap") or os.geteuid() != 0:
            raise NoEngine(f"{BASE} can't be pulled, and it takes root and debootstrap to make it")
        trusted = ["--change", f"ENV SSL_CERT_FILE={INSIDE}", "--change", f"ENV PIP_CERT={INSIDE}"]
        engine("import", *trusted, str(_debian(cache)), f"docker.io/library/{BASE}")
    return engine


def _debian(cache: Path) -> Path:
    """A Debian 13 with what Debian's own slim image has, as an archive; made once and kept."""
    archive, root = cache / "debian-13-slim.tar", cache / "debian-13-slim"
    if not archive.exists():
        debootstrapped(root, "trixie")
        shutil.copy(CERTIFICATES, f"{root}{INSIDE}")
        shutil.rmtree(root / "var/cache/apt/archives")
        whole = archive.with_suffix(".part")
        subprocess.run(["tar", "-C", root, "-cf", whole, "."], check=True, timeout=MADE_WITHIN)
        whole.rename(archive)
        shutil.rmtree(root)
    return archive


def _works(argv: list[str]) -> bool:
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0
