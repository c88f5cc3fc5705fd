"""Command `secondunit demo`: the whole way once, by the public API of a daemon of its own."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import ENDED, Client, DaemonRefused, NoDaemon, at, fail
from secondunit.cli.demos.environment import (
    DemoEnvironment,
    DemoFailed,
    daemon,
    examples,
    free_port,
    ready,
    show_log,
    stop,
)

JOBS_WITHIN = 300.0
SAMPLES = ("clip.mp4", "still.jpg")


@click.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo's folder is made, and stays; default a fresh one in the system's temporary folder.",
)  # fmt: skip
@click.option(
    "--failover", is_flag=True,
    help="Take over failed analyses of an example backend (needs node), with a stand-in for Gemini.",
)  # fmt: skip
def demo(data_dir: Path | None, failover: bool) -> None:
    """Start a daemon on a fresh folder, run three jobs on a small clip, and say where the film lies.

    The daemon is one of its own, on a free port and stopped at the end; yours is not touched.
    """
    environment = DemoEnvironment(
        data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="secondunit-demo-"))
    )
    try:
        environment.claim()
        shutil.rmtree(environment.data, ignore_errors=True)
        if failover:
            from secondunit.cli.demos.failover import take_over

            take_over(environment)
        else:
            _media(environment)
    except (DemoFailed, DaemonRefused, NoDaemon, TimeoutError) as error:
        show_log(environment)
        fail(f"the demo failed: {str(error) or 'it took too long'}; all of the log: {environment.log}")


def _media(environment: DemoEnvironment) -> None:
    samples = examples(*(f"media/{name}" for name in SAMPLES)) / "media"
    for name in SAMPLES:
        shutil.copyfile(samples / name, environment.media / name)
    shutil.rmtree(environment.media / "out", ignore_errors=True)
    (environment.media / "out").mkdir()
    port = free_port()
    with daemon(environment, port, {}) as process:
        click.echo(f"a daemon is starting on {environment.folder} (process {process.pid})")
        asyncio.run(_film(environment, process, f"http://127.0.0.1:{port}"))
        stop(process)
    _tell(environment)


def _jobs(environment: DemoEnvironment) -> Sequence[Mapping[str, Any]]:
    """What is submitted, and where the results will lie."""
    clip, still, out = environment.media / "clip.mp4", environment.media / "still.jpg", environment.media / "out"
    return (
        {"type": "thumbnail", "payload": {"videoPath": str(clip), "outputPath": str(out / "thumb.jpg")}},
        {"type": "webp", "payload": {"inputPath": str(still), "outputPath": str(out / "still.webp")}},
        {"type": "hls", "payload": {"inputPath": str(clip), "outputDir": str(out / "film")}},
    )


def _results(environment: DemoEnvironment) -> Mapping[str, Path]:
    """What must be there in the end."""
    out = environment.media / "out"
    return {"film": out / "film" / "master.m3u8", "thumbnail": out / "thumb.jpg", "image": out / "still.webp"}


async def _film(environment: DemoEnvironment, process: subprocess.Popen[bytes], url: str) -> None:
    await ready(process, url)
    wanted = _jobs(environment)
    click.echo(f"it serves {url}; submitting {', '.join(job['type'] for job in wanted)}")
    async with asyncio.timeout(JOBS_WITHIN), at(url) as client:
        with output.bars() if output.interactive() else contextlib.nullcontext(output.sentence) as show:
            jobs = await _submit_and_follow(client, wanted, show)
    for job in jobs:
        if job["status"] != "completed":
            raise DemoFailed(f"{job['type']} {job['jobId']} is {job['status']}: {(job['error'] or {}).get('message')}")
    for path in _results(environment).values():
        if not path.is_file():
            raise DemoFailed(f"{path} is missing, though its job completed")


async def _submit_and_follow(client: Client, wanted: Sequence[Mapping[str, Any]], show: output.Show) -> Sequence[Any]:
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


def _tell(environment: DemoEnvironment) -> None:
    for name, path in _results(environment).items():
        click.echo(f"{name + ':':11} {path}")
    film = _results(environment)["film"]
    click.echo(f"play it:    ffplay {film}")
    click.echo(f"or:         python3 -m http.server -d {film.parent} 8081, and open http://localhost:8081/master.m3u8")
