"""Failover demo (`demo --failover`): analyses that failed online, taken over by a box in active mode, live."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import click

from secondunit.cli import output
from secondunit.cli.client import Client, NoDaemon, at
from secondunit.cli.demos.environment import (
    DemoEnvironment,
    DemoFailed,
    daemon,
    examples,
    free_port,
    program,
    ready,
    responds,
    stop,
)

ANALYSES = tuple(f"analysis-{number}" for number in (1, 2, 3))
FIRST_POINTS, COST = 1000, 10
STARTED_WITHIN = 15.0
TAKEN_OVER_WITHIN = 180.0
CLIP, BACKEND = "media/clip.mp4", "backend/server.mjs"


def take_over(environment: DemoEnvironment) -> None:
    """Show a takeover from the failed analyses to the recipes in the backend; Broken if it is not one."""
    asyncio.run(_take_over(environment, _node(), examples(CLIP, BACKEND)))


def _node() -> str:
    beside = str(Path(sys.executable).parent)
    node = shutil.which("node") or shutil.which("node", path=beside)
    if node is None:
        raise DemoFailed(
            "the example backend is a Node program, and no node is on PATH; install Node 18 or newer"
            " (Debian: apt install nodejs)"
        )
    return node


async def _take_over(environment: DemoEnvironment, node: str, folder: Path) -> None:
    from secondunit.testing.fakes.gemini import StandIn

    standin = StandIn()
    async with (
        standin.serving() as gemini,
        _videos(folder / CLIP) as videos,
        _backend(environment, node, folder / BACKEND) as backend,
    ):
        click.echo(f"Gemini:   {gemini} is a STAND-IN: it looks at no video, its recipes are made up, nothing is paid")
        click.echo(f"backend:  {backend} shows the analyses while this runs")
        async with at(backend) as client:
            await _box(environment, client, _settings(gemini, backend), videos)
            await _tell(client, standin.calls.total())


def _settings(gemini: str, backend: str) -> Mapping[str, str]:
    return {
        "PROCESSOR_MODE": "active",
        "BACKEND_API_URL": backend,
        "POLL_INTERVAL_MS": "500",
        "GEMINI_API_KEY": "stand-in",
        "GEMINI_BASE_URL": gemini,
        "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
    }


async def _box(environment: DemoEnvironment, backend: Client, settings: Mapping[str, str], videos: str) -> None:
    """Let a box take over what fails online, and say what it does until the backend has every recipe."""
    port = free_port()
    with daemon(environment, port, settings) as process:
        click.echo(f"the box is starting in active mode on {environment.folder} (process {process.pid})")
        await ready(process, f"http://127.0.0.1:{port}")
        async with asyncio.timeout(TAKEN_OVER_WITHIN), at(f"http://127.0.0.1:{port}") as box, box.events() as events:
            showing = asyncio.create_task(_show(events))
            try:
                await _fail_online(backend, videos)
                await _delivered(backend)
            finally:
                showing.cancel()
                with contextlib.suppress(asyncio.CancelledError, NoDaemon):
                    await showing
        await asyncio.to_thread(stop, process)
        click.echo("the box has drained")


async def _show(events: AsyncIterator[Mapping[str, Any]]) -> None:
    async for event in events:
        output.sentence(event)


async def _fail_online(backend: Client, videos: str) -> None:
    for id in ANALYSES:
        analysis = {"jobId": id, "videoUrl": f"{videos}/{id}.mp4", "status": "failed"}
        await backend.call("POST", "/v1/analysis", body=analysis)
        click.echo(f"backend    {id} has failed online: {analysis['videoUrl']}")


async def _delivered(backend: Client) -> None:
    waiting = set(ANALYSES)
    while waiting:
        for id in sorted(waiting):
            analysis = await backend.call("GET", f"/v1/analysis/{id}")
            if analysis["status"] == "completed":
                waiting.remove(id)
                click.echo(f"backend    {id} has its recipe: {analysis['recipe']['name']}")
        await asyncio.sleep(0.1)


async def _tell(backend: Client, calls: int) -> None:
    analyses = [await backend.call("GET", f"/v1/analysis/{id}") for id in ANALYSES]
    completions = [entry for analysis in analyses for entry in analysis["log"] if entry["status"] == "completed"]
    points = await backend.call("GET", "/v1/points")
    expected = FIRST_POINTS - COST * len(ANALYSES)
    click.echo(f"recipes:  {len(completions)} for {len(ANALYSES)} videos")
    click.echo(f"Gemini:   asked {calls} times (the stand-in)")
    left = ", ".join(f"{user} has {left}" for user, left in points.items())
    click.echo(f"points:   {left} of {FIRST_POINTS}; each recipe costs {COST}, once")
    if len(completions) != len(ANALYSES) or calls != len(ANALYSES) or set(points.values()) != {expected}:
        raise DemoFailed(f"each of these should have happened once a video, and {expected} points be left")


@asynccontextmanager
async def _videos(clip: Path) -> AsyncIterator[str]:
    """A site on loopback on which every path is this clip; its base URL."""
    from aiohttp import web

    from secondunit.testing.fakes.listening import listening

    async def serve(_: web.Request) -> web.FileResponse:
        return web.FileResponse(clip)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with listening(app) as url:
        yield url


@asynccontextmanager
async def _backend(environment: DemoEnvironment, node: str, script: Path) -> AsyncIterator[str]:
    """The example backend, without a key of its own; its base URL."""
    file, log, port = environment.folder / "backend.json", environment.folder / "backend.log", free_port()
    file.unlink(missing_ok=True)
    environ = {"PATH": os.environ.get("PATH", ""), "PORT": str(port), "DATA_FILE": str(file)}
    url = f"http://127.0.0.1:{port}"
    with program([node, str(script)], environment.folder, log, environ) as process:
        if not await responds(process, url, "/v1/points", STARTED_WITHIN):
            raise DemoFailed(f"the example backend ended: {log.read_text(errors='replace')[-500:]}")
        yield url
