"""Demo environment: a folder of its own, a daemon on it with settings of its own, and the end of both."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from secondunit.cli import output
from secondunit.cli.client import NoDaemon, at

READY_WITHIN = 30.0
STOPPED_WITHIN = 60.0
LOG_LINES = 30
KEPT = ("PATH", "HOME", "LANG", "FFMPEG_PATH", "FFPROBE_PATH")


class DemoFailed(Exception):
    """The demo did not come to its end; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class DemoEnvironment:
    """The folders of one demo."""

    folder: Path

    @property
    def data(self) -> Path:
        """The daemon's DATA_DIR."""
        return self.folder / "data"

    @property
    def media(self) -> Path:
        """Its only media root: what goes in and what comes out."""
        return self.folder / "media"

    @property
    def mark(self) -> Path:
        """Says that the folder is a demo's, to be made anew by the next one."""
        return self.folder / ".secondunit-demo"

    @property
    def log(self) -> Path:
        """What the daemon said."""
        return self.folder / "daemon.log"

    def claim(self) -> None:
        """Make the folder; in one that was not made by a demo nothing is touched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.mark.exists() and any(self.folder.iterdir()):
            raise DemoFailed(f"{self.folder} holds other things; name a folder that is empty or not there yet")
        self.mark.touch()
        self.media.mkdir(parents=True, exist_ok=True)


def free_port() -> int:
    """A port of loopback that nothing uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def examples(*names: str) -> Path:
    """The folder `examples` that holds all these files."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package.parent / "examples", package / "examples"):
        if all((folder / name).is_file() for name in names):
            return folder
    raise DemoFailed(f"the examples {' and '.join(names)} are not installed; run it in a checkout (`make demo`)")


@contextlib.contextmanager
def daemon(environment: DemoEnvironment, port: int, more: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon with settings of its own, whatever ours are; gone when this closes."""
    mine = {name: os.environ[name] for name in KEPT if name in os.environ}
    settings = {
        "DATA_DIR": str(environment.data),
        "MEDIA_ROOTS": str(environment.media),
        "PORT": str(port),
        "LOG_FORMAT": "console",
        "SECONDUNIT_CONFIG": os.devnull,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    argv = [sys.executable, "-m", "secondunit", "run"]
    with program(argv, environment.folder, environment.log, {**mine, **settings, **more}) as process:
        yield process


@contextlib.contextmanager
def program(argv: list[str], folder: Path, log: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose words go into `log`; gone when this closes."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            argv, env=environ, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Return once the daemon answers."""
    if not await responds(process, url, "/health", READY_WITHIN):
        raise DemoFailed(f"the daemon ended with exit code {process.returncode} before it was ready")


async def responds(process: subprocess.Popen[bytes], url: str, path: str, within: float) -> bool:
    """Wait until the program answers at this path; False if it ended before it did."""
    async with asyncio.timeout(within):
        while process.poll() is None:
            with contextlib.suppress(NoDaemon):
                async with at(url) as client:
                    await client.call("GET", path)
                    return True
            await asyncio.sleep(0.05)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """Let the daemon drain, as systemd would."""
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        raise DemoFailed(f"the daemon did not stop within {STOPPED_WITHIN:g} s") from None
    if code != 0:
        raise DemoFailed(f"the daemon ended with exit code {code}")


def show_log(environment: DemoEnvironment) -> None:
    """Print how the daemon's log ends."""
    if environment.log.is_file():
        for line in environment.log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            output.say(line, err=True)
