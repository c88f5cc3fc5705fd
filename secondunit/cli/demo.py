"""`secondunit demo`: the whole way once, by the public API of a daemon of its own."""

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
from secondunit.cli.client import ENDED, Client, NoDaemon, Refused, at, fail
from secondunit.cli.demo_stage import Broken, Stage, daemon, examples, free_port, ready, show_log, stop

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
    stage = Stage(data_dir.absolute() if data_dir else Path(tempfile.mkdtemp(prefix="secondunit-demo-")))
    try:
        stage.claim()
        shutil.rmtree(stage.data, ignore_errors=True)
        if failover:
            from secondunit.cli.demo_failover import take_over

            take_over(stage)
        else:
            _media(stage)
    except (Broken, Refused, NoDaemon, TimeoutError) as error:
        show_log(stage)
        fail(f"the demo failed: {str(error) or 'it took too long'}; all of the log: {stage.log}")


def _media(stage: Stage) -> None:
    samples = examples(*(f"media/{name}" for name in SAMPLES)) / "media"
    for name in SAMPLES:
        shutil.copyfile(samples / name, stage.media / name)
    shutil.rmtree(stage.media / "out", ignore_errors=True)
    (stage.media / "out").mkdir()
    port = free_port()
    with daemon(stage, port, {}) as process:
        click.echo(f"a daemon is starting on {stage.folder} (process {process.pid})")
        asyncio.run(_film(stage, process, f"http://127.0.0.1:{port}"))
        stop(process)
    _tell(stage)


def _jobs(stage: Stage) -> Sequence[Mapping[str, Any]]:
    """What is submitted, and where the results will lie."""
    clip, still, out = stage.media / "clip.mp4", stage.media / "still.jpg", stage.media / "out"
    return (
        {"type": "thumbnail", "payload": {"videoPath": str(clip), "outputPath": str(out / "thumb.jpg")}},
        {"type": "webp", "payload": {"inputPath": str(still), "outputPath": str(out / "still.webp")}},
        {"type": "hls", "payload": {"inputPath": str(clip), "outputDir": str(out / "film")}},
    )


def _results(stage: Stage) -> Mapping[str, Path]:
    """What must be there in the end."""
    out = stage.media / "out"
    return {"film": out / "film" / "master.m3u8", "thumbnail": out / "thumb.jpg", "image": out / "still.webp"}


async def _film(stage: Stage, process: subprocess.Popen[bytes], url: str) -> None:
    await ready(process, url)
    wanted = _jobs(stage)
    click.echo(f"it serves {url}; submitting {', '.join(job['type'] for job in wanted)}")
    async with asyncio.timeout(JOBS_WITHIN), at(url) as client:
        with output.bars() if output.interactive() else contextlib.nullcontext(output.sentence) as show:
            jobs = await _submit_and_follow(client, wanted, show)
    for job in jobs:
        if job["status"] != "completed":
            raise Broken(f"{job['type']} {job['jobId']} is {job['status']}: {(job['error'] or {}).get('message')}")
    for path in _results(stage).values():
        if not path.is_file():
            raise Broken(f"{path} is missing, though its job completed")


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


def _tell(stage: Stage) -> None:
    for name, path in _results(stage).items():
        click.echo(f"{name + ':':11} {path}")
    film = _results(stage)["film"]
    click.echo(f"play it:    ffplay {film}")
    click.echo(f"or:         python3 -m http.server -d {film.parent} 8081, and open http://localhost:8081/master.m3u8")
