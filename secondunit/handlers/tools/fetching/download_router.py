"""Download router: plain HTTP; yt-dlp where that finds a page or a stream; a browser if asked."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from yarl import URL

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.browser.client import Browser, Caught, ChromiumMissing, PageLead, PageWish
from secondunit.handlers.tools.fetching.http_download import PageInstead, Transfer, Transferred, TransferWish
from secondunit.handlers.tools.fetching.sniffing import ENOUGH, not_media
from secondunit.handlers.tools.fetching.video_urls import check_video_url
from secondunit.handlers.tools.fetching.ytdlp.client import VideoWish, YtDlp
from secondunit.handlers.tools.network.addresses import AddressRule, check_url, url_fault
from secondunit.handlers.tools.network.session import HARMLESS
from secondunit.queue.errors import TypeUnavailable
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic

PIECE = 1 << 20
Way = Literal["auto", "http", "ytdlp", "browser"]
MEDIA = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .mpg .mpeg .flv .wmv .3gp .ogv .mp3 .m4a .aac .ac3 .flac .wav .ogg .opus"
    " .jpg .jpeg .png .gif .webp .avif .bmp .tif .tiff .heic".split()
)
# What a server that gave a file to the browser answers to others who come for it, or a second time.
BROWSER_ONLY = frozenset({"forbidden", "not_found", "http_error", "not_media"})


@dataclass(frozen=True, slots=True)
class DownloadWish:
    """What to fetch; `suffix` is that of the name it is going to have, which says whether media are expected."""

    url: str
    most_bytes: int
    suffix: str = ""
    way: Way = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: str | None = None


class Downloads:
    """The ways to fetch, and the choice between them."""

    def __init__(self, rule: AddressRule, transfer: Transfer, ytdlp: YtDlp, browser: Browser | ChromiumMissing) -> None:
        self._rule = rule
        self._transfer = transfer
        self._ytdlp = ytdlp
        self._browser = browser

    def describe_browser(self) -> Mapping[str, object]:
        """What /health shows."""
        return self._browser.describe()

    def check(self, field: str, url: str, way: Way) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone, and a way that is not there.

        Never blocks; raises TypeUnavailable where a browser is asked for and there is none.
        """
        check_url(field, url, self._rule)
        check_video_url(field, url)
        if way == "browser" and isinstance(self._browser, ChromiumMissing):
            raise TypeUnavailable("download", _lacking(self._browser))

    async def get(self, wish: DownloadWish, ctx: JobContext) -> Transferred:
        """The file, whole, in `ctx.workspace.kept`."""
        if wish.way == "browser":
            return await self._by_browser(wish, ctx)
        if wish.way == "ytdlp":
            return await self._by_ytdlp(wish, ctx)
        headers = {**wish.headers, **({"Cookie": wish.cookies} if wish.cookies else {})}
        try:
            return await self._transfer.fetch(TransferWish(wish.url, wish.most_bytes, headers, _media(wish)), ctx)
        except PageInstead:
            if wish.way == "http":
                raise
        return await self._by_ytdlp(wish, ctx)

    async def _by_ytdlp(self, wish: DownloadWish, ctx: JobContext) -> Transferred:
        # It asks many hosts, and sends every header to each of them: nothing that may be a credential goes along.
        harmless = {name: value for name, value in wish.headers.items() if name.lower() in HARMLESS}
        video = await self._ytdlp.fetch(
            VideoWish(wish.url, wish.most_bytes, wish.suffix, headers=harmless, cookies=wish.cookies), ctx
        )
        kind, _ = mimetypes.guess_type(video.path.name)
        return Transferred(
            video.path, video.size, kind, await in_thread(_sha256, video.path, ctx), video.url, resumed=False
        )

    async def _by_browser(self, wish: DownloadWish, ctx: JobContext) -> Transferred:
        """By plain HTTP what the browser finds, which can go on after a crash; by itself what only it is given."""
        browser = self._browser
        if isinstance(browser, ChromiumMissing):
            raise Deterministic(_lacking(browser), type="capability_missing")
        page = PageWish(wish.url, wish.most_bytes, wish.headers, wish.cookies)
        found = await browser.look(page, ctx)
        if isinstance(found, PageLead):
            try:
                return await self._follow(found, wish, ctx)
            except Deterministic as error:
                if found.stream or error.type not in BROWSER_ONLY:
                    raise
                refusal = error
            found = await browser.look(replace(page, own=True), ctx)
            if isinstance(found, PageLead):
                raise refusal
        return await in_thread(_taken, found, wish, ctx)

    async def _follow(self, lead: PageLead, wish: DownloadWish, ctx: JobContext) -> Transferred:
        """The payload's own headers go along to its own origin only, as they did in the browser."""
        if fault := url_fault(lead.url, self._rule):
            raise Deterministic(f"{wish.url} leads to a URL that is refused: {fault}", type="bad_redirect")
        headers = dict(lead.headers)
        if URL(lead.url).origin() == URL(wish.url).origin():
            mine = {name.lower() for name in wish.headers} - {"cookie"}
            headers = {name: value for name, value in headers.items() if name.lower() not in mine}
            headers |= {name: value for name, value in wish.headers.items() if name.lower() in mine}
        if lead.stream:
            cookies = headers.pop("Cookie", None)
            stream = replace(wish, url=lead.url, headers=headers, cookies=cookies)
            return await self._by_ytdlp(stream, ctx)
        return await self._transfer.fetch(TransferWish(lead.url, wish.most_bytes, headers, _media(wish)), ctx)


def _lacking(browser: ChromiumMissing) -> str:
    return f"usePuppeteer and mode browser need a browser; {browser.remedy}"


def _media(wish: DownloadWish) -> bool:
    return wish.suffix.lower() in MEDIA


def _taken(caught: Caught, wish: DownloadWish, ctx: JobContext) -> Transferred:
    """What the browser downloaded, if it is what is wanted. Blocking."""
    with caught.path.open("rb") as file:
        instead = not_media(file.read(ENOUGH))
    if instead and _media(wish):
        raise Deterministic(f"{wish.url}: what the browser was given is {instead}, not media", type="not_media")
    kind, _ = mimetypes.guess_type(caught.path.name)
    size = caught.path.stat().st_size
    return Transferred(caught.path, size, kind, _sha256(caught.path, ctx), caught.url, resumed=False)


def _sha256(path: Path, ctx: JobContext) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            ctx.beat()
    return digest.hexdigest()
