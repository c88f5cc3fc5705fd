"""Decides how a URL is fetched: as a file by plain HTTP, or, where a page or a stream is found instead, by yt-dlp."""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from secondunit.handlers.tools.addresses import AddressRule, check_url
from secondunit.handlers.tools.endings import in_thread
from secondunit.handlers.tools.http import HARMLESS
from secondunit.handlers.tools.transfer import PageInstead, Transfer, Transferred, TransferWish
from secondunit.handlers.tools.ytdlp import VideoWish, YtDlp
from secondunit.queue.handler import JobContext

Way = Literal["auto", "http", "ytdlp"]
MEDIA = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .ts .mts .mpg .mpeg .flv .wmv .3gp .ogv .mp3 .m4a .aac .ac3 .flac .wav .ogg .opus"
    " .jpg .jpeg .png .gif .webp .avif .bmp .tif .tiff .heic".split()
)


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
    """Both ways to fetch, and the choice between them."""

    def __init__(self, rule: AddressRule, transfer: Transfer, ytdlp: YtDlp) -> None:
        self._rule = rule
        self._transfer = transfer
        self._ytdlp = ytdlp

    def check(self, field: str, url: str) -> None:
        """Refuse (BadPayload naming `field`) a URL that can't be right by its text alone; never blocks."""
        check_url(field, url, self._rule)

    async def get(self, wish: DownloadWish, ctx: JobContext) -> Transferred:
        """The file, whole, in `ctx.workspace.kept`."""
        if wish.way == "ytdlp":
            return await self._by_ytdlp(wish, ctx)
        headers = {**wish.headers, **({"Cookie": wish.cookies} if wish.cookies else {})}
        media = wish.suffix.lower() in MEDIA
        try:
            return await self._transfer.fetch(TransferWish(wish.url, wish.most_bytes, headers, media), ctx)
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
        return Transferred(video.path, video.size, kind, await in_thread(_sha256, video.path), video.url, resumed=False)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
