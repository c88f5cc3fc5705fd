"""The real yt-dlp against a local site: what it may fetch comes, what it may not is refused, and it can't get round."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from secondunit.handlers.tools.fetching.ytdlp import faults as ytdlp_faults
from secondunit.handlers.tools.fetching.ytdlp.client import CHILD, VideoWish, YtDlp
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site, serving
from secondunit.testing.handler_kit import FakeContext

pytestmark = [pytest.mark.slow, pytest.mark.media]
MOST = 20 << 20


def streams(media: Media, path: Path) -> list[str]:
    wanted = ["-show_entries", "stream=codec_name:format=format_name", "-of", "json"]
    told = json.loads(
        subprocess.run([media.ffprobe, "-v", "error", *wanted, path], check=True, capture_output=True).stdout
    )
    return [told["format"]["format_name"].partition(",")[0], *sorted(s["codec_name"] for s in told["streams"])]


async def failing(ytdlp: YtDlp, ctx: FakeContext, url: str, **wish: int) -> Deterministic | Transient:
    with pytest.raises((Deterministic, Transient)) as caught:
        await ytdlp.fetch(VideoWish(url, wish.get("most", MOST)), ctx)
    assert isinstance(caught.value, Deterministic | Transient)
    return caught.value


async def test_a_page_with_a_video_gives_the_video(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, film: bytes, media: Media
) -> None:
    site.file("/clip.mp4", film)
    page = '<html><title>Soup</title><video src="/clip.mp4"></video></html>'
    site.says("/page", text=page, kind="text/html")
    got = await ytdlp.fetch(VideoWish(site.url("/page"), MOST, ".mp4", cookies="a=b; c=d"), ctx)
    assert got.path.parent == ctx.workspace.kept and got.size == got.path.stat().st_size
    assert "Soup" in (got.title or "")
    assert streams(media, got.path) == ["mov", "aac", "h264"]
    assert ctx.reports[-1].fraction == 1.0
    assert site.requests[0].headers["Cookie"] == "a=b; c=d"


async def test_a_stream_becomes_one_file(site: Site, ytdlp: YtDlp, ctx: FakeContext, clip: Path, media: Media) -> None:
    for file in clip.parent.iterdir():
        site.file(f"/{file.name}", file.read_bytes(), kind="application/octet-stream")
    got = await ytdlp.fetch(VideoWish(site.url("/clip.m3u8"), MOST, ".mp4"), ctx)
    assert streams(media, got.path) == ["mov", "aac", "h264"]


@pytest.fixture
def beside(request: pytest.FixtureRequest, media: Media, egress: Egress, clock: ManualClock) -> YtDlp:
    """yt-dlp beside an ffmpeg that has these decoders."""
    media = replace(media, decoders=frozenset(request.param))
    return YtDlp(ProcessRunner(sys.executable, sandbox=available()), egress, clock, media, sys.executable)


@pytest.mark.parametrize(("beside", "taken"), [(["libdav1d"], "modern"), (["av1"], "clip")], indirect=["beside"])
async def test_of_equal_pictures_the_codec_is_taken_that_can_be_decoded_here(
    site: Site, beside: YtDlp, ctx: FakeContext, clip: Path, taken: str
) -> None:
    line = '#EXT-X-STREAM-INF:BANDWIDTH=9{0},RESOLUTION=160x90,CODECS="{1},mp4a.40.2"\n{2}.m3u8\n'
    offered = line.format(1, "av01.0.04M.08", "modern") + line.format(2, "avc1.42c00b", "clip")
    site.says("/all.m3u8", text=f"#EXTM3U\n{offered}", kind="application/x-mpegurl")
    for file in clip.parent.iterdir():
        site.file(f"/{file.name}", file.read_bytes(), kind="application/octet-stream")
    site.file("/modern.m3u8", (clip.parent / "clip.m3u8").read_bytes(), kind="application/octet-stream")
    await beside.fetch(VideoWish(site.url("/all.m3u8"), MOST, ".mp4"), ctx)
    # The first one offered is asked how long it lasts; what is downloaded is asked for last.
    assert [request.path for request in site.requests if request.path.endswith(".m3u8")][-1] == f"/{taken}.m3u8"


async def test_headers_of_a_stranger_and_what_it_keeps_on_disk_stay_out(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, film: bytes
) -> None:
    site.file("/clip.mp4", film)
    await ytdlp.fetch(VideoWish(site.url("/clip.mp4"), MOST, headers={"Referer": "http://r/"}, cookies="key=sss"), ctx)
    assert site.requests[0].headers["Referer"] == "http://r/"
    written = [file for file in ctx.workspace.kept.parent.rglob("*") if file.is_file()]
    assert not [file for file in written if b"sss" in file.read_bytes()]


@pytest.mark.parametrize(("status", "type"), [(403, "forbidden"), (404, "not_found")])
async def test_a_refusal_by_the_server_is_final(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, status: int, type: str
) -> None:
    site.says("/x", status)
    error = await failing(ytdlp, ctx, site.url("/x"))
    assert isinstance(error, Deterministic) and error.type == type


async def test_a_host_that_wants_rest_gets_it_from_every_job(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, clock: ManualClock
) -> None:
    site.says("/x", 429)
    error = await failing(ytdlp, ctx, site.url("/x"))
    assert isinstance(error, Transient) and error.delay == ytdlp_faults.RATE_WAIT
    asked = len(site.requests)
    with pytest.raises(Postponed):
        await ytdlp.fetch(VideoWish(site.url("/y"), MOST), ctx)
    assert len(site.requests) == asked


async def test_an_endless_body_and_a_file_over_the_limit_are_cut_off(
    site: Site, ytdlp: YtDlp, ctx: FakeContext
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        while True:
            await response.write(b"\0" * 65536)

    site.routes["/endless.mp4"] = endless
    assert (await failing(ytdlp, ctx, site.url("/endless.mp4"), most=1 << 20)).type == "too_large"
    site.file("/large.mp4", b"\0" * (3 << 20))
    assert (await failing(ytdlp, await ctx.rerun(), site.url("/large.mp4"), most=1 << 20)).type == "too_large"
    assert sum(file.stat().st_size for file in ctx.workspace.kept.iterdir()) < 40 << 20


async def test_a_page_without_a_video_says_so(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    site.says("/page", text="<html><p>only words</p></html>", kind="text/html")
    error = await failing(ytdlp, ctx, site.url("/page"))
    assert isinstance(error, Deterministic) and error.type == "unsupported_url"
    assert "no video was found" in str(error)


@pytest.mark.parametrize(
    ("formats", "end", "says"), [(1, "", "a live stream"), (3001, "#EXT-X-ENDLIST\n", "in 3001 formats")]
)
async def test_a_stream_that_would_not_end_is_refused_at_once(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, formats: int, end: str, says: str
) -> None:
    kind = "application/vnd.apple.mpegurl"
    site.says("/list.m3u8", text="#EXTM3U\n" + "#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n" * formats, kind=kind)
    site.says("/x.m3u8", text="#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nx.ts\n" + end, kind=kind)
    error = await failing(ytdlp, ctx, site.url("/list.m3u8"))
    assert isinstance(error, Deterministic) and error.type == "unsupported_url" and says in str(error)
    assert not [request for request in site.requests if request.path == "/x.ts"]


@pytest.mark.parametrize("inner", ["file:///etc/hostname", "http://CANARY/secret.ts", "http://169.254.169.254/x.ts"])
async def test_a_playlist_that_leads_to_a_local_file_or_address_is_refused(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, inner: str
) -> None:
    async with serving("127.0.0.2") as canary:
        segment = inner.replace("http://CANARY", canary.base)
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{segment}\n#EXT-X-ENDLIST\n"
        site.says("/list.m3u8", text=text, kind="application/vnd.apple.mpegurl")
        error = await failing(ytdlp, ctx, site.url("/list.m3u8"))
    assert isinstance(error, Deterministic) and error.type == "egress_denied"
    assert canary.requests == []


async def test_a_playlist_in_the_clothes_of_a_film_does_not_bring_a_local_file(
    site: Site, ytdlp: YtDlp, ctx: FakeContext, clip: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes((clip.parent / "clip0.ts").read_bytes())
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    site.file("/film.ts", text.encode(), kind="video/mp2t")
    stream = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfilm.ts\n#EXT-X-ENDLIST\n"
    site.says("/list.m3u8", text=stream, kind="application/vnd.apple.mpegurl")
    error = await failing(ytdlp, ctx, site.url("/list.m3u8"))
    assert isinstance(error, Deterministic) and error.type == "not_media"


async def test_a_cancelled_download_ends_at_once(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    begun = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        begun.set()
        while True:
            await response.write(b"\0" * 1000)
            await asyncio.sleep(0.05)

    site.routes["/slow.mp4"] = slow
    fetching = asyncio.create_task(ytdlp.fetch(VideoWish(site.url("/slow.mp4"), MOST), ctx))
    async with asyncio.timeout(30):
        await begun.wait()
    fetching.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await fetching


async def test_what_came_before_the_end_of_a_run_is_kept(site: Site, ytdlp: YtDlp, ctx: FakeContext) -> None:
    film = site.file("/film.mp4", bytes(range(256)) * 8192)
    film.hold = asyncio.Event()

    async def stopping(request: web.Request) -> web.StreamResponse:
        film.cut = 1_500_000 if len(site.requests) == 2 else None  # the first is yt-dlp's look at what it is
        return await film(request)

    site.routes["/film.mp4"] = stopping
    fetching = asyncio.create_task(ytdlp.fetch(VideoWish(site.url("/film.mp4"), MOST), ctx))
    async with asyncio.timeout(30):
        while not (have := sum(part.stat().st_size for part in ctx.workspace.kept.glob("*.part"))):
            await asyncio.sleep(0.02)
    fetching.cancel()
    await asyncio.wait([fetching])
    film.hold.set()
    got = await ytdlp.fetch(VideoWish(site.url("/film.mp4"), MOST), await ctx.rerun())
    assert got.path.read_bytes() == film.content
    resumed = int(site.requests[-1].headers["Range"].removeprefix("bytes=").rstrip("-"))
    assert have <= resumed <= 1_500_000


JAILED = """
import json, os, runpy, socket, subprocess, sys
child = runpy.run_path(sys.argv[1], run_name="child")
sys.addaudithook(child["Jail"]("http://job:x@127.0.0.1:1", ["/bin/true", "/opt/ffmpeg"]))
try:
    exec(sys.argv[2])
except BaseException as error:
    print(type(error).__name__)
else:
    print("free")
"""


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        ("socket.create_connection(('127.0.0.1', PORT))", "PermissionError"),
        ("socket.create_connection(('127.0.0.1', 1))", "ConnectionRefusedError"),
        ("socket.getaddrinfo('name.example', 80)", "PermissionError"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))", "PermissionError"),
        ("subprocess.run(['curl', 'http://127.0.0.1:PORT/'])", "PermissionError"),
        ("subprocess.run('true', shell=True)", "PermissionError"),
        ("subprocess.run(['true'], executable='/bin/sh')", "PermissionError"),
        ("os.system('true')", "PermissionError"),
        ("os.execv('/bin/true', ['true'])", "PermissionError"),
        ("os.posix_spawn('/bin/sh', ['sh'], {})", "PermissionError"),
        ("subprocess.run(['/opt/ffmpeg', '-i', 'http://127.0.0.1:PORT/'])", "DownloadRefused"),
        ("subprocess.run(['/opt/ffmpeg', '-i', 'file:/x', '-i', 'http://127.0.0.1:PORT/'])", "DownloadRefused"),
        ("subprocess.run(['/bin/true'])", "free"),
    ],
)
async def test_the_child_can_go_nowhere_but_to_the_proxy(site: Site, attempt: str, outcome: str) -> None:
    port = site.base.rpartition(":")[2]
    argv: Sequence[str] = [sys.executable, "-I", "-c", JAILED, str(CHILD), attempt.replace("PORT", port)]
    ran = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    out, _ = await ran.communicate()
    assert out.decode().strip() == outcome
    assert site.requests == []
