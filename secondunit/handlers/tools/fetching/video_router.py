"""Video router: what is served as a file comes by plain HTTP, the rest through yt-dlp."""

from secondunit.handlers.tools.fetching.http_download import PageInstead, Transfer, TransferWish
from secondunit.handlers.tools.fetching.ports import Captions, FetchedVideo
from secondunit.handlers.tools.fetching.video_urls import check_video_url
from secondunit.handlers.tools.fetching.ytdlp.client import VideoWish, YtDlp
from secondunit.handlers.tools.network.addresses import AddressRule, check_url
from secondunit.queue.handler import JobContext

ENOUGH_LINES = 720


class WebVideos:
    """The port `Videos` over the network; of a video that comes in sizes, no larger one than is of use for looking."""

    def __init__(self, rule: AddressRule, transfer: Transfer, ytdlp: YtDlp) -> None:
        self._rule = rule
        self._transfer = transfer
        self._ytdlp = ytdlp

    def check(self, field: str, url: str) -> None:
        check_url(field, url, self._rule)
        check_video_url(field, url)

    async def fetch(self, url: str, ctx: JobContext, *, max_bytes: int, language: str | None = None) -> FetchedVideo:
        try:
            file = await self._transfer.fetch(TransferWish(url, max_bytes, media=True), ctx)
        except PageInstead:
            wish = VideoWish(url, max_bytes, height=ENOUGH_LINES, subtitles=True, language=language)
            return await self._ytdlp.fetch(wish, ctx)
        return FetchedVideo(file.path, file.size, None, file.url)


class WebSubtitles:
    """The port `Subtitled` over the network."""

    def __init__(self, rule: AddressRule, ytdlp: YtDlp) -> None:
        self._rule = rule
        self._ytdlp = ytdlp

    def check(self, field: str, url: str) -> None:
        check_url(field, url, self._rule)
        check_video_url(field, url)

    async def captions(self, url: str, ctx: JobContext, *, language: str | None) -> Captions:
        return await self._ytdlp.captions(url, ctx, language=language)
