"""What the real yt-dlp goes on with after a run that ended in the middle: the same version of a file, and no other."""

import asyncio
import gc
import json
import warnings
from pathlib import Path

import pytest
from aiohttp import web

from secondunit.testing.fakes.website import Site
from tests.unit.handlers.tools.fetching.ytdlp.versions import CUT, NEW, OLD, RESTREAMED, SIZE, STREAMED, offer, stream

pytestmark = pytest.mark.slow
CHUNK = 400_000


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
