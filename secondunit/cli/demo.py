"""`secondunit demo`: the whole way once, by the public API of a daemon of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from secondunit.cli import screen
from secondunit.cli.client import ENDED, Client, NoDaemon, Refused, at, fail

READY_WITHIN = 30.0
JOBS_WITHIN = 300.0
STOPPED_WITHIN = 60.0
LOG_LINES = 30
KEPT = ("PATH", "HOME", "LANG", "FFMPEG_PATH", "FFPROBE_PATH")
SAMPLES = ("clip.mp4", "still.jpg")


class Broken(Exception):
    """The demo did not come to its end; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class Place:
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

    def jobs(self) -> Sequence[Mapping[str, Any]]:
        """What is submitted, and where the results will lie."""
        clip, still, out = self.media / "clip.mp4", self.media / "still.jpg", self.media / "out"
        return (
            {"type": "thumbnail", "payload": {"videoPath": str(clip), "outputPath": str(out / "thumb.jpg")}},
            {"type": "webp", "payload": {"inputPath": str(still), "outputPath": str(out / "still.webp")}},
            {"type": "hls", "payload": {"inputPath": str(clip), "outputDir": str(out / "film")}},
        )

    def results(self) -> Mapping[str, Path]:
        """What must be there in the end."""
        out = self.media / "out"
        return {"film": out / "film" / "master.m3u8", "thumbnail": out / "thumb.jpg", "image": out / "still.webp"}


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo's folder is made, and stays; default a fresh one in the system's temporary folder.",
)  # fmt: skip
def demo(data_dir: Path | None) -> None:
    """Start a daemon on a fresh folder, run three jobs on a small clip, and say where the film lies.

    The daemon is one of its own, on a free port and stopped at the end; yours is not touched.
    """
    place = Place(data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="secondunit-demo-")))
    try:
        _fill(place)
        port = _free_port()
        with _daemon(place, port) as process:
            click.echo(f"a daemon is starting on {place.folder} (process {process.pid})")
            asyncio.run(_film(place, process, f"http://127.0.0.1:{port}"))
            _stop(process)
    except (Broken, Refused, NoDaemon, TimeoutError) as error:
        _show_log(place)
        fail(f"the demo failed: {str(error) or 'it took too long'}; all of the log: {place.log}")
    _tell(place)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fill(place: Place) -> None:
    """Make the folders, with the samples in them; in a folder that was not made by a demo nothing is touched."""
    samples = _samples()
    place.folder.mkdir(parents=True, exist_ok=True)
    if not place.mark.exists() and any(place.folder.iterdir()):
        raise Broken(f"{place.folder} holds other things; name a folder that is empty or not there yet")
    place.mark.touch()
    place.media.mkdir(parents=True, exist_ok=True)
    for name in SAMPLES:
        shutil.copyfile(samples / name, place.media / name)
    for folder in (place.media / "out", place.data):
        shutil.rmtree(folder, ignore_errors=True)
    (place.media / "out").mkdir()


def _samples() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / "examples" / "media", package / "examples" / "media"):
        if all((folder / name).is_file() for name in SAMPLES):
            return folder
    raise Broken(f"the sample media {' and '.join(SAMPLES)} are not installed; run it in a checkout (`make demo`)")


@contextlib.contextmanager
def _daemon(place: Place, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon with settings of its own, whatever ours are; gone when this closes."""
    mine = {name: os.environ[name] for name in KEPT if name in os.environ}
    settings = {
        "DATA_DIR": str(place.data),
        "MEDIA_ROOTS": str(place.media),
        "PORT": str(port),
        "LOG_FORMAT": "console",
        "SECONDUNIT_CONFIG": os.devnull,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    with place.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "secondunit", "run"],
            env=mine | settings,
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def _film(place: Place, process: subprocess.Popen[bytes], url: str) -> None:
    await _ready(process, url)
    click.echo(f"it serves {url}; submitting {', '.join(job['type'] for job in place.jobs())}")
    async with asyncio.timeout(JOBS_WITHIN), at(url) as client:
        with screen.bars() if screen.interactive() else contextlib.nullcontext(screen.sentence) as show:
            jobs = await _submit_and_follow(client, place.jobs(), show)
    for job in jobs:
        if job["status"] != "completed":
            raise Broken(f"{job['type']} {job['jobId']} is {job['status']}: {(job['error'] or {}).get('message')}")
    for path in place.results().values():
        if not path.is_file():
            raise Broken(f"{path} is missing, though its job completed")


async def _submit_and_follow(client: Client, wanted: Sequence[Mapping[str, Any]], show: screen.Show) -> Sequence[Any]:
    async with client.events() as events:
        waiting = [(await client.call("POST", "/api/jobs", body=body))["jobId"] for body in wanted]
        ids = tuple(waiting)
        async for event in events:
            if event.get("jobId") in ids:
                show(event)
                if event["status"] in ENDED:
                    waiting.remove(event["jobId"])
            if not waiting:
                break
    return [await client.call("GET", f"/api/jobs/{job_id}") for job_id in ids]


async def _ready(process: subprocess.Popen[bytes], url: str) -> None:
    """Return once the daemon answers."""
    async with asyncio.timeout(READY_WITHIN):
        while process.poll() is None:
            with contextlib.suppress(NoDaemon):
                async with at(url) as client:
                    await client.call("GET", "/health")
                    return
            await asyncio.sleep(0.05)
    raise Broken(f"the daemon ended with exit code {process.returncode} before it was ready")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let the daemon drain, as systemd would."""
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        raise Broken(f"the daemon did not stop within {STOPPED_WITHIN:g} s") from None
    if code != 0:
        raise Broken(f"the daemon ended with exit code {code}")


def _show_log(place: Place) -> None:
    if place.log.is_file():
        for line in place.log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            click.echo(line, err=True)


def _tell(place: Place) -> None:
    for name, path in place.results().items():
        click.echo(f"{name + ':':11} {path}")
    film = place.results()["film"]
    click.echo(f"play it:    ffplay {film}")
    click.echo(f"or:         python3 -m http.server -d {film.parent} 8081, and open http://localhost:8081/master.m3u8")
