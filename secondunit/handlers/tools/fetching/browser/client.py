"""Headless browser: the system's Chromium, one page at a time, to find what a page downloads or plays."""

import asyncio
import importlib.util
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from yarl import URL

from secondunit.handlers.tools.byte_progress import ByteProgress
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.browser.faults import BrowserFault, judge
from secondunit.handlers.tools.network.proxy import Egress, Permit
from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Limits, Profile, Programs
from secondunit.handlers.tools.programs.runner import SEARCH_PATH
from secondunit.handlers.tools.waiting import waiting
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic
from secondunit.queue.value import Value

CHILD = Path(__file__).parent / "child.py"
LIBRARY = "playwright"
NAMES = ("chromium", "chromium-browser", "google-chrome")
EXTRA = "install the extra browser (in the checkout: make browser)"
PACKAGE = "install Chromium (Debian: apt install chromium libatomic1)"
# The program that drives Chromium comes with Playwright and brings no libraries along; a bare Debian lacks one.
NO_LIBRARY = re.compile(r"error while loading shared libraries: ([\w.+-]+)")
CPU_SECONDS, OWN_MEMORY = 3600, 4 << 30  # of each of its processes
SPARE = 256 << 20  # what pages bring along, and a browser's own files
# How a page ends that needed an address it was refused; any other end has a cause of its own.
AS_IF_NOTHING = frozenset({"nothing_to_download", "forbidden", "connection_failed"})
# It makes a socket there, whose path may have 107 letters: the folder it is started in, by a short name.
SHORT_NAME = "/proc/self/cwd"


class Chromium(Value, frozen=True):
    """The browser found at start."""

    program: str
    library: str


class ChromiumMissing(Value, frozen=True):
    """No browser can be used; `remedy` says what to do."""

    remedy: str

    def describe(self) -> Mapping[str, object]:
        """What /health shows."""
        return {"missing": self.remedy}


def find_chromium(path: str) -> Chromium | ChromiumMissing:
    """The system's Chromium and the library that drives it; nothing is loaded or run."""
    program = next(filter(None, (shutil.which(name, path=path) for name in NAMES)), None)
    installed = importlib.util.find_spec(LIBRARY) is not None
    if program and installed:
        return Chromium(program, version(LIBRARY))
    return ChromiumMissing(" and ".join([*([] if installed else [EXTRA]), *([] if program else [PACKAGE])]))


@dataclass(frozen=True, slots=True)
class BrowserTimeouts:
    """How many seconds a page may take to open, is waited for to start a download, and a download to bring a byte."""

    opens: float = 60
    waits: float = 15
    silence: float = 60


@dataclass(frozen=True, slots=True)
class PageWish:
    """Which page to look at; `own` asks for the browser's own download even of what others could fetch."""

    url: str
    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: str | None = None
    own: bool = False


class PageLead(Value, frozen=True):
    """Where the page's file is, or the playlist of its `stream`, and the headers that the browser would send."""

    url: str
    stream: bool
    headers: Mapping[str, str]


class Caught(Value, frozen=True):
    """What the browser itself downloaded, in the job's `kept` folder; `url` is the page's if the file has none."""

    path: Path
    url: str


class Browser:
    """Chromium, driven by a child program under the interpreter `python`, which can only go out by the proxy."""

    def __init__(
        self,
        programs: Programs,
        egress: Egress,
        clock: Clock,
        chromium: Chromium,
        python: str,
        timeouts: BrowserTimeouts = BrowserTimeouts(),
    ) -> None:
        self._programs = programs
        self._egress = egress
        self._clock = clock
        self._chromium = chromium
        self._python = python
        self._timeouts = timeouts
        self._one = asyncio.Lock()

    def describe(self) -> Mapping[str, object]:
        """What /health shows."""
        return {"chromium": self._chromium.program, "playwright": self._chromium.library}

    async def look(self, wish: PageWish, ctx: JobContext) -> PageLead | Caught:
        """What the page leads to; Deterministic("nothing_to_download") if that is nothing."""
        folder = Path(await in_thread(tempfile.mkdtemp, prefix="browser-", dir=ctx.workspace.run))
        await in_thread((folder / "downloads").mkdir)
        async with self._turn(ctx):
            with self._egress.permit(wish.most_bytes + wish.most_bytes // 4 + SPARE) as permit:
                answer = await self._run(wish, permit, folder, ctx)
        match answer:
            case {"lead": lead}:
                return PageLead(**lead)
            case {"caught": caught}:
                return await in_thread(_kept, folder / "downloads" / caught["name"], caught["url"], wish, ctx)
        error = judge(BrowserFault(**answer["fault"]), wish.url, self._clock.now(), spent=permit.spent)
        if permit.denied and error.type in AS_IF_NOTHING:
            message = f"{wish.url} leads to an address that may not be reached: {permit.denied}"
            raise Deterministic(message, type="egress_denied")
        raise error

    @asynccontextmanager
    async def _turn(self, ctx: JobContext) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            async with waiting(ctx, self._clock, "waiting for the browser, which another job has"):
                await stack.enter_async_context(self._one)
            yield

    async def _run(self, wish: PageWish, permit: Permit, folder: Path, ctx: JobContext) -> Mapping[str, Any]:
        answers: list[Mapping[str, Any]] = []
        progress = ByteProgress(ctx, self._clock)

        async def on_line(line: str) -> None:
            said = json.loads(line)
            ctx.beat()
            if "progress" in said:
                await progress.tell(said["progress"]["bytes"], None)
            elif "step" in said:
                await ctx.progress(0.0, said["step"])
            else:
                answers.append(said)

        finished = await self._programs.run(
            [self._python, "-I", str(CHILD)],
            cwd=folder,
            log=ctx.workspace.log,
            env=_environment(str(folder)),
            limits=Limits(file_size=wish.most_bytes + SPARE, cpu_seconds=CPU_SECONDS, own_memory=OWN_MEMORY),
            profile=Profile("browser", reach=self._egress.port),
            on_line=on_line,
            stdin=json.dumps(self._told(wish, permit, folder)).encode(),
            beat=ctx.beat,
        )
        if not answers:
            if lacking := NO_LIBRARY.search(finished.stderr):
                message = f"what drives the browser lacks {lacking[1]}: {PACKAGE}"
                raise Deterministic(message, type="capability_missing")
            raise failure("the browser", finished, ctx.attempt)
        return answers[-1]

    def _told(self, wish: PageWish, permit: Permit, folder: Path) -> Mapping[str, Any]:
        headers = {name.lower(): value for name, value in wish.headers.items()}
        return {
            "url": wish.url,
            "origin": str(URL(wish.url).origin()),  # as browsers write it
            "proxy": permit.url,
            "chromium": self._chromium.program,
            "sandbox": os.geteuid() != 0,  # as root Chromium does not start with it
            "environment": _environment(SHORT_NAME),
            "user_agent": headers.pop("user-agent", None),
            "referer": headers.pop("referer", None),
            "cookies": headers.pop("cookie", None) or wish.cookies,
            "headers": headers,
            "own": wish.own,
            "most_bytes": wish.most_bytes,
            "into": str(folder / "downloads"),
            "opens": self._timeouts.opens,
            "waits": self._timeouts.waits,
            "silence": self._timeouts.silence,
        }


def find_browser(programs: Programs, egress: Egress, clock: Clock, python: str, path: str) -> Browser | ChromiumMissing:
    """The browser, if `path` and this Python have what it takes."""
    found = find_chromium(path)
    return found if isinstance(found, ChromiumMissing) else Browser(programs, egress, clock, found, python)


def _environment(home: str) -> Mapping[str, str]:
    return {"PATH": SEARCH_PATH, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "TZ": "UTC"}


def _kept(found: Path, url: str, wish: PageWish, ctx: JobContext) -> Caught:
    size = found.stat().st_size
    if size > wish.most_bytes:
        raise Deterministic(f"{wish.url}: more bytes came than are allowed", type="too_large")
    return Caught(found.replace(ctx.workspace.kept / found.name), url)
