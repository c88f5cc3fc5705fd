"""What the real yt-dlp goes on with after a run that ended in the middle: the same version of a file, and no other."""

import asyncio
import gc
import json
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from secondunit.handlers.tools.fetching.ytdlp.client import VideoWish, YtDlp
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Served, Site
from secondunit.testing.handler_kit import FakeContext

pytestmark = pytest.mark.slow
MOST = 20 << 20
OLD, NEW = bytes(range(256)) * 8192, bytes(reversed(range(256))) * 8192
CUT = len(OLD) * 6 // 10
PIECES = 5
SIZE = len(OLD) // PIECES
STREAMED, RESTREAMED = OLD[: SIZE * PIECES], NEW[: SIZE * PIECES]
CHUNK = 400_000


@pytest.fixture
def ytdlp(egress: Egress, clock: ManualClock) -> YtDlp:
    return YtDlp(
        ProcessRunner(sys.executable, sandbox=available()), egress, clock, MediaMissing("no ffmpeg"), sys.executable
    )


@dataclass
class Counted:
    """A file that remembers its answers: the status, and the range that was asked for."""

    served: Served
    seen: list[tuple[int, str | None]] = field(default_factory=list)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = await self.served(request)
        self.seen.append((response.status, request.headers.get("Range")))
        return response


def offer(site: Site, path: str, content: bytes, etag: str | None = '"v1"', **how: Any) -> Counted:
    """Put this file in the place of what was there."""
    counted = Counted(site.file(path, content, etag=etag, kind="video/mp4"))
    for name, value in how.items():
        setattr(counted.served, name, value)
    site.routes[path] = counted
    return counted


async def kill(ytdlp: YtDlp, ctx: FakeContext, url: str, hold: asyncio.Event, part: str) -> int:
    """End a run while the server holds the rest of this part back; how much of it is there."""

    def at_hand() -> int:
        return sum(file.stat().st_size for file in ctx.workspace.kept.glob(part))

    fetching = asyncio.create_task(ytdlp.fetch(VideoWish(url, MOST), ctx))
    async with asyncio.timeout(60):
        while not at_hand():
            assert not fetching.done(), fetching.result()
            await asyncio.sleep(0.02)
    fetching.cancel()
    await asyncio.wait([fetching])
    hold.set()
    return at_hand()


@pytest.mark.parametrize(
    ("before", "now", "content", "goes_on"),
    [
        pytest.param('"v1"', '"v1"', OLD, True, id="the_same"),
        pytest.param('"v1"', '"v2"', NEW, False, id="changed"),
        pytest.param(None, None, NEW, False, id="no_etag"),
        pytest.param('W/"v"', 'W/"v"', NEW, False, id="weak_etag"),
    ],
)
async def test_a_killed_download_goes_on_in_the_same_version_of_the_file_only(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, before: str | None, now: str | None, content: bytes, goes_on: bool
) -> None:
    site.says("/page", text='<html><video src="/film.mp4"></video></html>', kind="text/html")
    hold = asyncio.Event()
    offer(site, "/film.mp4", OLD, before, cut=CUT, hold=hold)
    have = await kill(ytdlp, ctx, site.url("/page"), hold, "*.part")
    film = offer(site, "/film.mp4", content, now)
    site.sent = 0
    got = await ytdlp.fetch(VideoWish(site.url("/page"), MOST), await ctx.rerun())
    assert got.path.read_bytes() == content
    assert site.sent == len(content) - (have if goes_on else 0)
    assert [status for status, _ in film.seen] == [206 if goes_on else 200]
    assert not list(ctx.workspace.kept.glob("*.version"))


def playlist(seconds: int = 2) -> str:
    pieces = "".join(f"#EXTINF:{seconds},\npiece{at}.ts?sig=1\n" for at in range(PIECES))
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{pieces}#EXT-X-ENDLIST\n"


MANIFEST = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S"><Period>
<AdaptationSet mimeType="video/mp4"><Representation id="v" bandwidth="9000" codecs="avc1.4d401e,mp4a.40.2">
<BaseURL>BASE/</BaseURL><SegmentList duration="2" timescale="1">PIECES</SegmentList>
</Representation></AdaptationSet></Period></MPD>"""


def stream(site: Site, kind: str, content: bytes, etag: str | None, seconds: int = 2) -> list[Counted]:
    """A stream, as HLS or as DASH, whose pieces have ETags of this beginning."""
    if kind == "hls":
        site.says("/stream.m3u8", text=playlist(seconds), kind="application/vnd.apple.mpegurl")
    else:
        pieces = "".join(f'<SegmentURL media="piece{at}.ts?s={seconds}"/>' for at in range(PIECES))
        text = MANIFEST.replace("BASE", site.base).replace("PIECES", pieces).replace('="2"', f'="{seconds}"')
        site.says("/stream.mpd", text=text, kind="application/dash+xml")
    tags = [None if etag is None else f'{etag}-{at}"' for at in range(PIECES)]
    return [offer(site, f"/piece{at}.ts", content[at * SIZE : (at + 1) * SIZE], tags[at]) for at in range(PIECES)]


@pytest.mark.parametrize(
    ("kind", "before", "now", "seconds"),
    [
        pytest.param("hls", '"a', '"a', 2, id="the_same"),
        pytest.param("hls", '"a', '"b', 2, id="by_the_same_list_but_other_pieces"),
        pytest.param("hls", '"a', '"a', 3, id="by_another_list", marks=pytest.mark.long),
        pytest.param("hls", None, None, 2, id="without_etags"),
        pytest.param("hls", 'W/"a', 'W/"a', 2, id="with_weak_etags", marks=pytest.mark.long),
        pytest.param("dash", '"a', '"a', 2, id="dash_the_same"),
        pytest.param("dash", '"a', '"b', 2, id="dash_by_the_same_list_but_other_pieces", marks=pytest.mark.long),
        pytest.param("dash", '"a', '"a', 3, id="dash_by_another_list"),
        pytest.param("dash", None, None, 2, id="dash_without_etags", marks=pytest.mark.long),
        pytest.param("dash", 'W/"a', 'W/"a', 2, id="dash_with_weak_etags", marks=pytest.mark.long),
    ],
)
async def test_a_killed_stream_goes_on_after_pieces_of_the_same_version_only(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, kind: str, before: str | None, now: str | None, seconds: int
) -> None:
    url, hold = site.url("/stream.m3u8" if kind == "hls" else "/stream.mpd"), asyncio.Event()
    fourth = stream(site, kind, STREAMED, before)[3].served
    fourth.cut, fourth.hold = SIZE // 2, hold
    await kill(ytdlp, ctx, url, hold, "*-Frag4.part")
    goes_on = (before, seconds) == (now, 2) and before == '"a'
    content = STREAMED if goes_on else RESTREAMED
    pieces = stream(site, kind, content, now, seconds)
    got = await ytdlp.fetch(VideoWish(url, MOST), await ctx.rerun())
    assert got.path.read_bytes() == content
    whole = [[status for status, _ in piece.seen].count(200) for piece in pieces]
    assert whole == ([0, 0, 0, 1, 1] if goes_on else [1, 1, 1, 1, 1])


async def download(path: Path, url: str, *, retries: int = 0, **how: int) -> bool:
    """Whether one download by yt-dlp itself, in a thread, succeeded; `how` is the site's wish for chunks."""

    def run() -> bool:
        from yt_dlp.utils import DownloadError

        from secondunit.handlers.tools.fetching.ytdlp.child import Downloader, Log

        quiet = {"quiet": True, "noprogress": True, "logger": Log(), "proxy": "", "skip_unavailable_fragments": False}
        with Downloader({**quiet, "retries": retries}, auto_init=True) as ydl:
            try:
                ydl.dl(str(path), {"url": url, "ext": "mp4", "http_headers": {}, "downloader_options": how})
            except DownloadError:
                return False
        return True

    return await asyncio.to_thread(run)


async def broken_off(path: Path, url: str, **how: int) -> int:
    """A download that fails in the middle; how much is there then."""
    assert not await download(path, url, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # yt-dlp leaves its file open if it fails between chunks
        gc.collect()
    part = path.with_name(f"{path.name}.part")
    return part.stat().st_size if part.exists() else 0


@pytest.mark.parametrize(
    ("second", "etag", "content", "goes_on"),
    [
        pytest.param("/film.mp4?sig=2", '"v1"', OLD, True, id="signed_anew"),
        pytest.param("/film.mp4?sig=2", '"v2"', NEW, False, id="signed_anew_and_changed"),
        pytest.param("/film.mp4?sig=2", '"v1"', NEW + b"more", False, id="of_another_length"),
        pytest.param("/other.mp4?sig=1", '"v1"', NEW, False, id="at_another_address"),
    ],
)
async def test_an_address_may_be_signed_anew_but_the_file_must_be_the_same(
    site: Site, tmp_path: Path, second: str, etag: str, content: bytes, goes_on: bool
) -> None:
    path = tmp_path / "video.mp4"
    offer(site, "/film.mp4", OLD, cut=CUT)
    have = await broken_off(path, site.url("/film.mp4?sig=1"))
    film = offer(site, second.partition("?")[0], content, etag)
    assert await download(path, site.url(second))
    assert path.read_bytes() == content
    status, asked = film.seen[-1]
    assert status == (206 if goes_on else 200)
    assert not goes_on or asked == f"bytes={have}-"


@pytest.mark.parametrize("less", [None, 50_000, 10], ids=["longer", "shorter", "hardly_shorter"])
async def test_a_server_that_does_not_know_conditions_is_not_believed(
    site: Site, tmp_path: Path, less: int | None
) -> None:
    path = tmp_path / "video.mp4"
    offer(site, "/film.mp4", OLD, cut=CUT)
    have = await broken_off(path, site.url("/film.mp4"))
    film = site.file("/film.mp4", NEW[: have - less] if less else NEW, etag='"v2"')

    async def careless(request: web.Request) -> web.StreamResponse:
        headers = request.headers.copy()
        headers.pop("If-Range", None)
        return await film(request.clone(headers=headers))

    site.routes["/film.mp4"] = careless
    assert await download(path, site.url("/film.mp4"))
    assert path.read_bytes() == film.content


async def test_a_file_that_breaks_off_without_an_etag_starts_over_in_the_same_run(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    film = offer(site, "/film.mp4", OLD, None, cut=CUT)
    assert await download(path, site.url("/film.mp4"), retries=1)
    assert path.read_bytes() == OLD
    assert film.seen[-1] == (200, None)


async def test_a_part_that_nobody_knows_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.with_name("video.mp4.part").write_bytes(NEW[:CUT])
    film = offer(site, "/film.mp4", OLD, None)
    assert await download(path, site.url("/film.mp4"), http_chunk_size=CHUNK)
    assert path.read_bytes() == OLD
    assert (film.seen[0][1] or "").startswith("bytes=0-") and {status for status, _ in film.seen} == {206}


async def test_chunks_of_a_file_that_changes_between_them_are_not_put_together(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    changed = offer(site, "/new.mp4", NEW + b"more", None)
    film = offer(site, "/film.mp4", OLD, None)

    async def changing(request: web.Request) -> web.StreamResponse:
        return await (film if len(film.seen) < 3 else changed)(request)

    site.routes["/film.mp4"] = changing
    assert await broken_off(path, site.url("/film.mp4"), http_chunk_size=CHUNK) == 0
    assert not path.exists()
    assert 200 not in [status for status, _ in changed.seen]


async def test_chunks_go_on_in_a_later_run(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    film = offer(site, "/film.mp4", OLD)

    async def failing(request: web.Request) -> web.StreamResponse:
        return await film(request) if len(film.seen) < 3 else web.Response(status=503)

    site.routes["/film.mp4"] = failing
    have = await broken_off(path, site.url("/film.mp4"), http_chunk_size=CHUNK)
    rest = offer(site, "/film.mp4", OLD)
    assert await download(path, site.url("/film.mp4"), http_chunk_size=CHUNK)
    assert path.read_bytes() == OLD
    assert have > 2 * CHUNK and (rest.seen[0][1] or "").startswith(f"bytes={have}-")


async def test_a_part_from_before_the_machine_restarted_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    path, note = tmp_path / "video.mp4", tmp_path / "video.mp4.version"
    offer(site, "/film.mp4", OLD, cut=CUT)
    await broken_off(path, site.url("/film.mp4"))
    note.write_text(json.dumps(json.loads(note.read_text()) | {"boot": "another"}))
    film = offer(site, "/film.mp4", OLD)
    assert await download(path, site.url("/film.mp4"))
    assert [status for status, _ in film.seen] == [200]


@pytest.mark.parametrize("left", ["video.mp4.part", "video.mp4.part-Frag4"])
async def test_a_piece_that_a_killed_run_was_putting_into_its_stream_is_fetched_anew(
    site: Site, tmp_path: Path, left: str
) -> None:
    path = tmp_path / "video.mp4"
    stream(site, "hls", STREAMED, '"a')[3].served.cut = SIZE // 2
    await broken_off(path, site.url("/stream.m3u8"))
    with path.with_name(left).open("ab") as file:
        file.write(RESTREAMED[:1000])
    stream(site, "hls", STREAMED, '"a')
    assert await download(path, site.url("/stream.m3u8"))
    assert path.read_bytes() == STREAMED


async def test_a_piece_that_breaks_off_is_fetched_whole(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    fourth = stream(site, "hls", STREAMED, '"a')[3]
    fourth.served.cut = SIZE // 2
    assert await download(path, site.url("/stream.m3u8"), retries=1)
    assert path.read_bytes() == STREAMED
    assert [status for status, _ in fourth.seen] == [200, 200]
