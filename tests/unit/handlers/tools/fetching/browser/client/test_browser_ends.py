"""However a look at a page ends, nothing of the browser is left."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from secondunit.handlers.tools.fetching.browser.client import Browser, PageWish
from secondunit.queue.outcome import Transient
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.client.scene import MOST, NEEDS_A_BROWSER

pytestmark = NEEDS_A_BROWSER


def of_the_run(folder: Path) -> list[tuple[int, str]]:
    """The id and command line of each process that works in the folder, or names it."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and process.name != str(os.getpid()):
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in line or (process / "cwd").resolve().is_relative_to(folder):
                    found.append((int(process.name), line))
    return found


async def gone(folder: Path, seconds: float) -> None:
    """Wait until no process has to do with the folder."""
    deadline = asyncio.get_running_loop().time() + seconds
    while left := of_the_run(folder):
        assert asyncio.get_running_loop().time() < deadline, left
        await asyncio.sleep(0.02)


def endless(site: Site) -> asyncio.Event:
    """A page that never comes; set when it is asked for."""
    begun = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        begun.set()
        await asyncio.sleep(30)
        return web.Response()

    site.routes["/endless"] = answer
    return begun


async def looking(site: Site, browser: Browser, ctx: FakeContext) -> asyncio.Task[object]:
    """A look at a page that never comes, under way."""
    begun = endless(site)
    task: asyncio.Task[object] = asyncio.create_task(browser.look(PageWish(site.url("/endless"), MOST), ctx))
    async with asyncio.timeout(30):
        await begun.wait()
    assert len(of_the_run(ctx.workspace.run)) > 4
    return task


async def test_a_killed_browser_is_tried_again_and_leaves_no_process(
    site: Site, browser: Browser, ctx: FakeContext
) -> None:
    task = await looking(site, browser, ctx)
    first = min(
        pid for pid, line in of_the_run(ctx.workspace.run) if "--user-data-dir" in line and "--type" not in line
    )
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    error = task.exception()
    assert isinstance(error, Transient) and error.type == "browser_failed", error
    assert of_the_run(ctx.workspace.run) == []


async def test_a_killed_launcher_leaves_no_process(site: Site, browser: Browser, ctx: FakeContext) -> None:
    task = await looking(site, browser, ctx)
    (launcher,) = (pid for pid, line in of_the_run(ctx.workspace.run) if "launcher.py" in line)
    os.kill(launcher, signal.SIGKILL)
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    assert isinstance(task.exception(), Transient)
    await gone(ctx.workspace.run, 15)  # nobody kills the browser: it ends as its pipe does
