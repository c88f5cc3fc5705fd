"""Subtitles by the real yt-dlp from a local site: the right ones are chosen and read, or refused as videos are."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from secondunit.handlers.tools.fetching.ports import Captions
from secondunit.handlers.tools.fetching.video_router import WebSubtitles
from secondunit.handlers.tools.fetching.ytdlp.client import VideoWish, YtDlp
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.queue.errors import BadPayload
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site, serving
from secondunit.testing.handler_kit import FakeContext

pytestmark = [pytest.mark.slow, pytest.mark.media]
MOST = 20 << 20
ENGLISH = "WEBVTT\n\n00:01.000 --> 00:02.000\nChop the <i>leeks</i>.\n\n00:02.000 --> 00:03.000\nFry them.\n"
GERMAN = "1\n00:00:01,000 --> 00:00:02,000\nDen Lauch schneiden.\n"
SAID = [Cue(1.0, 2.0, "Chop the leeks."), Cue(2.0, 3.0, "Fry them.")]


@pytest.fixture
def hasty(egress: Egress, media: Media, clock: ManualClock) -> YtDlp:
    """Does not wait long for subtitles that come with a film."""
    programs, extra = ProcessRunner(sys.executable, sandbox=available()), timedelta(seconds=2)
    return YtDlp(programs, egress, clock, media, sys.executable, extra=extra)


def page(site: Site, *tracks: str, film: bytes = b"") -> str:
    """A page that shows a film with these tracks; its address."""
    site.file("/clip.mp4", film)
    site.says("/en.vtt", text=ENGLISH, kind="text/vtt")
    site.says("/de", text=GERMAN)
    head = '<title>Leek soup</title><meta property="og:description" content="A soup of leeks.">'
    video = f'<video src="/clip.mp4">{"".join(f"<track {track}>" for track in tracks)}</video>'
    site.says("/page", text=f"<html><head>{head}</head><body>{video}</body></html>", kind="text/html")
    return site.url("/page")


async def failing(ytdlp: YtDlp, ctx: FakeContext, url: str) -> Deterministic | Transient:
    with pytest.raises((Deterministic, Transient)) as caught:
        await ytdlp.captions(url, ctx, language=None)
    assert isinstance(caught.value, Deterministic | Transient)
    return caught.value


async def test_what_is_said_is_read_without_fetching_the_video(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    url = page(site, 'kind="subtitles" srclang="en" src="/en.vtt"')
    got = await ytdlp.captions(url, ctx, language="en-GB")
    assert got == Captions("Leek soup (1)", None, "A soup of leeks.", "en", "manual", SAID)  # yt-dlp counts
    assert {request.path for request in site.requests} == {"/page", "/en.vtt"}


@pytest.mark.parametrize(("language", "first"), [("de", "Den Lauch schneiden."), ("fr", "Chop the leeks.")])
async def test_the_asked_language_comes_before_english(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, language: str, first: str
) -> None:
    url = page(site, 'srclang="de" src="/de"', 'srclang="en" src="/en.vtt"')
    got = await ytdlp.captions(url, ctx, language=language)
    assert got.cues[0].text == first


@pytest.mark.long
async def test_a_track_without_a_language_is_better_than_none(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    got = await ytdlp.captions(page(site, 'src="/en.vtt"'), ctx, language="zh-TW")
    assert (got.language, got.cues) == ("und", SAID)


async def test_the_subtitles_of_a_stream_are_put_together_from_their_segments(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, clip: Path
) -> None:
    for file in clip.parent.iterdir():
        site.file(f"/{file.name}", file.read_bytes(), kind="application/octet-stream")
    stream(site, ["00:00.500 --> 00:01.200\nChop", "00:00.500 --> 00:01.200\nChop\n\n00:01.500 --> 00:02.000\nand fry"])
    got = await ytdlp.captions(site.url("/master.m3u8"), ctx, language="de")
    assert (got.language, got.kind) == ("en", "manual")
    assert got.cues == [Cue(0.5, 1.2, "Chop"), Cue(1.5, 2.0, "and fry")]
    assert not [request for request in site.requests if request.path.endswith(".ts")]


def stream(site: Site, segments: Sequence[str]) -> None:
    """A master playlist with the clip's stream, and subtitles of such segments."""
    kind = "application/vnd.apple.mpegurl"
    media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en",URI="subs.m3u8"\n'
    variant = '#EXT-X-STREAM-INF:BANDWIDTH=100000,SUBTITLES="subs"\nclip.m3u8\n'
    site.says("/master.m3u8", text=f"#EXTM3U\n{media}{variant}", kind=kind)
    listed = "".join(f"#EXTINF:1,\nsub{number}.vtt\n" for number in range(len(segments)))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n{listed}#EXT-X-ENDLIST\n"
    site.says("/subs.m3u8", text=text, kind=kind)
    mapping = "X-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000"
    for number, segment in enumerate(segments):
        site.says(f"/sub{number}.vtt", text=f"WEBVTT\n{mapping}\n\n{segment}\n", kind="text/vtt")


@pytest.mark.long
async def test_without_subtitles_it_says_so(site: Site, ytdlp: YtDlp, ctx: FakeContext, film: bytes) -> None:
    for url in (page(site, film=film), site.url("/clip.mp4")):
        error = await failing(ytdlp, ctx, url)
        assert isinstance(error, Deterministic) and error.type == "no_subtitles"
        assert str(error) == f"{url}: this video has no subtitles, so what is said in it can't be read"
    assert [request.path for request in site.requests] == ["/page", "/clip.mp4"]  # the latter to see what it is


@pytest.mark.long
async def test_subtitles_without_words_are_none(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    url = page(site, 'srclang="en" src="/en.vtt"')
    site.says("/en.vtt", text="WEBVTT\n\n", kind="text/vtt")
    assert (await failing(ytdlp, ctx, url)).type == "no_subtitles"


async def test_subtitles_that_break_the_rules_are_refused_by_the_line(
    site: Site, ytdlp: YtDlp, ctx: FakeContext
) -> None:
    url = page(site, 'srclang="en" src="/en.vtt"')
    site.says("/en.vtt", text="WEBVTT\n\n00:01.000 --> soon\nwords\n", kind="text/vtt")
    error = await failing(ytdlp, ctx, url)
    assert (error.type, "line 3" in str(error)) == ("bad_subtitles", True)
    stream(site, ["no times --> at all"])
    assert (await failing(ytdlp, await ctx.rerun(), site.url("/master.m3u8"))).type == "bad_subtitles"


async def test_a_refusal_by_the_site_is_judged_like_that_of_a_video(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    url = page(site, 'srclang="en" src="/gone.vtt"')
    gone = await failing(ytdlp, ctx, url)
    assert (gone.type, str(gone)) == ("not_found", f"the subtitles of {url}: there is nothing there (HTTP 404)")
    nothing = await failing(ytdlp, ctx, site.url("/nothing"))
    assert nothing.type == "not_found" and str(nothing).startswith(site.url("/nothing"))
    site.says("/gone.vtt", 429, Retry_After="60")
    assert isinstance(await failing(ytdlp, ctx, url), Transient)
    with pytest.raises(Postponed):
        await ytdlp.captions(url, ctx, language=None)


async def test_subtitles_at_an_address_that_is_not_allowed_are_not_fetched(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, film: bytes
) -> None:
    async with serving("127.0.0.2") as canary:
        url = page(site, f'srclang="en" src="{canary.base}/en.vtt"', film=film)
        assert (await failing(ytdlp, ctx, url)).type == "egress_denied"
        with pytest.raises(Deterministic) as caught:
            await ytdlp.fetch(VideoWish(url, MOST, subtitles=True), ctx)
    assert caught.value.type == "egress_denied"
    assert canary.requests == []


@pytest.mark.long
async def test_endless_subtitles_are_cut_off(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/vtt"})
        await response.prepare(request)
        while True:
            await response.write(b"WEBVTT\n" * 9000)

    url = page(site, 'srclang="en" src="/en.vtt"')
    site.routes["/en.vtt"] = endless
    assert (await failing(ytdlp, ctx, url)).type == "too_large"
    assert sum(file.stat().st_size for file in ctx.workspace.run.iterdir()) < 12 << 20


async def test_a_video_brings_its_subtitles_along(site: Site, ytdlp: YtDlp, ctx: FakeContext, film: bytes) -> None:
    url = page(site, 'srclang="de" src="/de"', 'srclang="en" src="/en.vtt"', film=film)
    got = await ytdlp.fetch(VideoWish(url, MOST, subtitles=True, language="en"), ctx)
    assert (got.path.read_bytes(), got.cues) == (film, SAID)
    assert ctx.reports[-1].fraction == 1.0
    without = await ytdlp.fetch(VideoWish(url, MOST), await ctx.rerun())
    assert without.cues == ()


@pytest.mark.parametrize("trouble", ["gone", "nonsense", "late"])
async def test_subtitles_never_cost_the_video(
    site: Site, hasty: YtDlp, ctx: FakeContext, film: bytes, trouble: str
) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/vtt"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    url = page(site, 'srclang="en" src="/x.vtt"', film=film)
    if trouble == "nonsense":
        site.says("/x.vtt", text="<html>please log in</html>")
    if trouble == "late":
        site.routes["/x.vtt"] = never
    got = await hasty.fetch(VideoWish(url, MOST, subtitles=True), ctx)
    assert (got.path.read_bytes(), got.cues) == (film, ())
    assert "the film's subtitles" in ctx.workspace.log.read_text()


def test_an_address_is_judged_before_a_job_is_queued(ytdlp: YtDlp) -> None:
    subtitles = WebSubtitles(AddressRule(), ytdlp)
    subtitles.check("videoUrl", "https://8.8.8.8/film")
    for url, says in (("file:///etc/passwd", "http://"), ("http://10.0.0.1/film", "ALLOW_PRIVATE_ADDRESSES")):
        with pytest.raises(BadPayload) as refused:
            subtitles.check("videoUrl", url)
        [fault] = refused.value.errors
        assert fault.field == "videoUrl" and says in fault.message
