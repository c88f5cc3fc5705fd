"""What the real yt-dlp goes on with after it was killed: the same version of a file or stream, and no other."""

import asyncio
import sys

import pytest

from secondunit.handlers.tools.fetching.ytdlp.client import VideoWish, YtDlp
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.ytdlp.versions import CUT, NEW, OLD, RESTREAMED, SIZE, STREAMED, offer, stream

pytestmark = pytest.mark.slow
MOST = 20 << 20


@pytest.fixture
def ytdlp(egress: Egress, clock: ManualClock) -> YtDlp:
    return YtDlp(
        ProcessRunner(sys.executable, sandbox=available()), egress, clock, MediaMissing("no ffmpeg"), sys.executable
    )


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
