"""Browser driver: one page in a headless Chromium, in a program of its own: a wish as JSON on stdin, JSON lines out.

The wish: {url, origin, proxy, chromium, sandbox, environment, user_agent, referer, headers, cookies, own, most_bytes,
into, opens, waits, silence} (the last three in seconds). Lines: {step}, {progress: {bytes}}, then one of {lead: {url,
stream, headers}} (where the file is, to be fetched by others), {caught: {name, url}} (the browser's own download, in
the folder `into`) and {fault: {...}}.
Nothing is tidied up at the end: the launcher kills the browser, and the run's folder goes with its run.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Download, Error, Page, Request, Response, async_playwright  # noqa: TID253
from playwright.async_api import TimeoutError as SlowPage  # noqa: TID253 - this program is the place where it is loaded

Answer = Mapping[str, Any]
LOOK_EVERY = 0.25
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
PLAYLIST = re.compile(r"mpegurl|dash\+xml|vnd\.ms-sstr\+xml", re.IGNORECASE)
# Until a script has run, such an answer may be a doorman's who lets browsers pass.
MAY_PASS = (403, 429, 503)
# No name is looked up here, no datagram is sent, nothing is asked for but what the page asks for.
ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-domain-reliability",
    "--disable-quic",
    "--disable-sync",
    "--dns-prefetch-disable",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--no-pings",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
)
PLAY = """() => {
  const videos = [...document.querySelectorAll('video, audio')];
  for (const video of videos) { video.muted = true; video.play().catch(() => {}); }
  return videos.map(video => video.currentSrc || video.src).filter(url => /^https?:/.test(url));
}"""


class Watch:
    """What the browser's pages did so far: the download, the media, and how the page itself was answered."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.download: asyncio.Future[Download] = asyncio.get_running_loop().create_future()
        self.streams: list[Request] = []
        self.media: list[Request] = []
        self.answer: Response | None = None
        self.navigations: dict[str, Request] = {}
        self.attend(page)

    def attend(self, page: Page) -> None:
        """Follow this page and those that it opens."""
        page.on("download", self._downloads)
        page.on("crash", lambda _: self._fails(Error("the page crashed")))

    def hear(self, request: Request) -> None:
        """A request goes out."""
        if request.is_navigation_request():
            self.navigations[request.url] = request

    def see(self, response: Response) -> None:
        """An answer's head came."""
        request, kind = response.request, response.headers.get("content-type", "")
        with suppress(Error):  # the window that asked is gone
            if request.is_navigation_request() and request.frame == self.page.main_frame:
                self.answer = response
        if not response.ok:
            return
        if PLAYLIST.search(kind):
            self.streams.append(request)
        elif kind.startswith(("video/", "audio/")) and (request.resource_type in ("media", "document")):
            self.media.append(request)

    def _downloads(self, download: Download) -> None:
        if not self.download.done():
            self.download.set_result(download)

    def _fails(self, error: Error) -> None:
        if not self.download.done():
            self.download.set_exception(error)


async def main() -> None:
    """One wish, one answer."""
    wish = json.load(sys.stdin)
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(**settings(wish))
            context = await browser.new_context(**manners(wish))
            say(**await look(wish, context))
    except Error as error:
        say(fault={"type": "browser", "message": error.message})


def settings(wish: Mapping[str, Any]) -> dict[str, Any]:
    """How Chromium is started: without a past, without add-ons, without a way out but the proxy."""
    proxy = urlsplit(wish["proxy"])
    return {
        "downloads_path": wish["into"],
        "executable_path": wish["chromium"],
        "chromium_sandbox": wish["sandbox"],
        "proxy": {
            "server": f"http://{proxy.hostname}:{proxy.port}",
            "username": proxy.username,
            "password": proxy.password,
            "bypass": "<-loopback>",
        },
        "args": list(ARGUMENTS),
        "env": wish["environment"],
        "headless": True,
    }


def manners(wish: Mapping[str, Any]) -> dict[str, Any]:
    """How it appears to pages: as anybody, anywhere."""
    return {
        "accept_downloads": True,
        "service_workers": "block",
        "locale": "en-US",
        "timezone_id": "UTC",
        **({"user_agent": wish["user_agent"]} if wish["user_agent"] else {}),
    }


async def look(wish: Mapping[str, Any], context: BrowserContext) -> Answer:
    """Open the page and wait for what it downloads or plays; the answer."""
    page = await context.new_page()
    agent = await page.evaluate("navigator.userAgent")
    watch = Watch(page)
    context.on("page", watch.attend)
    context.on("request", watch.hear)
    context.on("response", watch.see)
    try:
        await context.add_cookies(cookies(wish["origin"], wish["cookies"]))
    except Error:
        return {"fault": {"type": "cookies", "message": ""}}
    if wish["headers"]:
        await add_headers(context, page, wish)
    say(step="opening the page")
    going = asyncio.create_task(go(wish, page))
    first: list[asyncio.Future[Any]] = [going, watch.download]
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not watch.download.done() and (error := going.result()):
        # An attachment ends the navigation before it is announced.
        await asyncio.wait([watch.download], timeout=5 if "Download is starting" in error or "ABORTED" in error else 0)
        if not watch.download.done():
            return {"fault": {"type": "navigation", "message": error}}
    if not watch.download.done():
        if fault := refused(watch.answer, MAY_PASS):
            return fault
        say(step="the page is open; waiting for what it downloads")
        await wait(wish, context, watch)
    if watch.download.done():
        download = await watch.download
        request = watch.navigations.get(download.url)
        if wish["own"] or not download.url.startswith("http") or (request and request.method != "GET"):
            return await receive(wish, download)
        return await lead(context, download.url, request, agent)
    if played := await choose(wish, context, watch):
        return await lead(context, played.url, played, agent, stream=played in watch.streams)
    return refused(watch.answer, ()) or {"fault": {"type": "nothing", "message": ""}}


async def go(wish: Mapping[str, Any], page: Page) -> str | None:
    """Open the page; what kept it from opening. One that shows but never ends loading is open."""
    try:
        await page.goto(wish["url"], referer=wish["referer"], wait_until="load", timeout=wish["opens"] * 1000)
    except SlowPage as error:
        return None if page.url.startswith("http") else error.message
    except Error as error:
        return error.message
    return None


async def wait(wish: Mapping[str, Any], context: BrowserContext, watch: Watch) -> None:
    """Wait for a download; pages that play are set going meanwhile."""
    deadline = asyncio.get_running_loop().time() + wish["waits"]
    while not watch.download.done() and (left := deadline - asyncio.get_running_loop().time()) > 0:
        await sources(context, left)
        await asyncio.wait([watch.download], timeout=LOOK_EVERY)


async def sources(context: BrowserContext, within: float) -> list[str]:
    """What the players of all pages have as their source, found in so many seconds; they are told to play."""
    found: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            for frame in [frame for page in context.pages for frame in page.frames]:
                with suppress(Error, TimeoutError):  # it is going away, or busy
                    found += await asyncio.wait_for(frame.evaluate(PLAY), LOOK_EVERY * 4)
    return found


async def choose(wish: Mapping[str, Any], context: BrowserContext, watch: Watch) -> Request | None:
    """The request for what the page plays: a player's own source, else a stream's playlist, else any media."""
    shown = await sources(context, wish["waits"])
    played = [*watch.streams, *watch.media]
    return next((request for request in played if request.url in shown), None) or next(iter(played), None)


async def receive(wish: Mapping[str, Any], download: Download) -> Answer:
    """The browser's own download, counted while it comes."""
    folder = Path(wish["into"])
    downloaded = asyncio.create_task(download.path())
    have, moved = -1, asyncio.get_running_loop().time()
    while not downloaded.done():
        await asyncio.wait([downloaded], timeout=LOOK_EVERY)
        size, now = total(folder), asyncio.get_running_loop().time()
        if size > wish["most_bytes"]:
            return {"fault": {"type": "too_large", "message": ""}}
        if size != have:
            have, moved = size, now
            say(progress={"bytes": size})
        elif now - moved > wish["silence"]:
            return {"fault": {"type": "stalled", "message": f"no byte came for {wish['silence']} s"}}
    suffix = Path(download.suggested_filename).suffix
    name = f"download{suffix if SUFFIX.fullmatch(suffix) else ''}"
    (await downloaded).rename(folder / name)
    url = download.url if download.url.startswith("http") else wish["url"]
    return {"caught": {"name": name, "url": url}}


async def lead(context: BrowserContext, url: str, request: Request | None, agent: str, stream: bool = False) -> Answer:
    """What another program needs to fetch this as the browser would."""
    headers = {"User-Agent": agent}
    if request and (referer := request.headers.get("referer")):
        headers["Referer"] = referer
    if held := await context.cookies(url):
        headers["Cookie"] = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in held)
    return {"lead": {"url": url, "stream": stream, "headers": headers}}


async def add_headers(context: BrowserContext, page: Page, wish: Mapping[str, Any]) -> None:
    """Send the payload's headers to its own origin only: each hop of a redirect is a request of its own here."""
    session = await context.new_cdp_session(page)

    async def release(paused: Mapping[str, Any]) -> None:
        sent = {name.lower(): (name, value) for name, value in paused["request"]["headers"].items()}
        sent |= {name.lower(): (name, value) for name, value in wish["headers"].items()}
        headers = [{"name": name, "value": value} for name, value in sent.values()]
        with suppress(Error):  # the request is over, or its page
            await session.send("Fetch.continueRequest", {"requestId": paused["requestId"], "headers": headers})

    releasing: set[asyncio.Task[None]] = set()

    def pause(paused: Mapping[str, Any]) -> None:
        task = asyncio.create_task(release(paused))
        releasing.add(task)
        task.add_done_callback(releasing.discard)

    session.on("Fetch.requestPaused", pause)
    await session.send("Fetch.enable", {"patterns": [{"urlPattern": f"{wish['origin']}/*"}]})


def cookies(origin: str, header: str | None) -> list[Any]:
    """A Cookie header's cookies, for all paths of this host and no other."""
    pairs = (part.strip().partition("=") for part in (header or "").split(";"))
    return [{"name": name, "value": value, "url": f"{origin}/"} for name, equals, value in pairs if name and equals]


def refused(answer: Response | None, may_pass: tuple[int, ...]) -> Answer | None:
    """The fault of a page that its server did not give; one with scripts and such a status may yet let us in."""
    if answer is None or answer.status < 400:
        return None
    scripts, asked = "html" in answer.headers.get("content-type", "html"), answer.headers.get("retry-after")
    passes = scripts and answer.status in may_pass
    return None if passes else {"fault": {"type": "status", "message": str(answer.status), "retry_after": asked}}


def total(folder: Path) -> int:
    """The bytes of all files in it."""
    size = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # renamed meanwhile
            size += file.stat().st_size
    return size


def say(**line: Any) -> None:
    """Print one line for the daemon; the last ends this program."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    if "step" not in line and "progress" not in line:
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
