"""The job type `download`: what it refuses at submit, and what stands at the output's name in the end."""

import hashlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from secondunit.handlers.download import DownloadPayload, build
from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, TypeUnavailable
from secondunit.queue.handler import HandlerSpec
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext

FILM = bytes(range(256)) * 4096


@dataclass
class Desk:
    """The job type over real tools, and the root that it writes beneath."""

    spec: HandlerSpec
    root: Path

    def payload(self, url: str, **fields: Any) -> DownloadPayload:
        return DownloadPayload.model_validate({"url": url, "outputPath": str(self.root / "film.mp4"), **fields})

    async def run(self, ctx: FakeContext, url: str, **fields: Any) -> Mapping[str, Any]:
        result: Mapping[str, Any] = await self.spec.run(ctx, self.payload(url, **fields))
        return result

    def files(self) -> list[str]:
        return [str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()]


@pytest.fixture
async def desk(tmp_path: Path, downloads: Downloads, clock: ManualClock) -> AsyncIterator[Desk]:
    root = tmp_path / "root"
    root.mkdir()
    files = LocalFiles([root])
    tools = Tools(
        clock,
        ProcessRunner(sys.executable, sandbox=available()),
        files,
        MediaMissing("-"),
        sys.executable,
        downloads=downloads,
    )
    yield Desk(build(tools), root)
    files.close()


async def test_the_file_stands_whole_at_its_name(site: Site, desk: Desk, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    result = await desk.run(ctx, site.url("/film.mp4"))
    assert (desk.root / "film.mp4").read_bytes() == FILM
    assert result == {
        "outputPath": str(desk.root / "film.mp4"),
        "size": len(FILM),
        "contentType": "video/mp4",
        "sha256": hashlib.sha256(FILM).hexdigest(),
        "finalUrl": site.url("/film.mp4"),
        "resumed": False,
    }


async def test_headers_and_cookies_go_out_as_given(site: Site, desk: Desk, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    headers = {"Referer": "https://example.com", "Authorization": "Bearer t"}
    await desk.run(ctx, site.url("/film.mp4"), headers=headers, cookies="a=b; c=d")
    sent = site.requests[0].headers
    assert (sent["Referer"], sent["Authorization"], sent["Cookie"]) == ("https://example.com", "Bearer t", "a=b; c=d")
    assert set(desk.spec.secrets) == {"headers", "cookies"}


async def test_a_failed_download_leaves_nothing_beneath_the_root(site: Site, desk: Desk, ctx: FakeContext) -> None:
    film = site.file("/film.mp4", FILM)
    film.cut = 600_000
    with pytest.raises(Transient):
        await desk.run(ctx, site.url("/film.mp4"))
    assert desk.files() == []
    assert (await desk.run(await ctx.rerun(), site.url("/film.mp4")))["resumed"] is True
    assert site.sent == len(FILM) and desk.files() == ["film.mp4"]


async def test_a_file_that_came_is_not_fetched_again_to_be_published(site: Site, desk: Desk, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    await desk.run(ctx, site.url("/film.mp4"))
    (desk.root / "film.mp4").unlink()
    await desk.run(await ctx.rerun(), site.url("/film.mp4"))
    assert (desk.root / "film.mp4").read_bytes() == FILM and len(site.requests) == 1


async def test_on_another_file_system_it_is_copied(
    site: Site, desk: Desk, ctx: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(self: Path, target: Path) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    monkeypatch.setattr("secondunit.handlers.download.PIECE", 100_000)
    site.file("/film.mp4", FILM)
    await desk.run(ctx, site.url("/film.mp4"))
    assert (desk.root / "film.mp4").read_bytes() == FILM


async def test_the_digest_is_checked(site: Site, desk: Desk, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    right = hashlib.sha256(FILM).hexdigest()
    with pytest.raises(Deterministic) as caught:
        await desk.run(ctx, site.url("/film.mp4"), sha256="0" * 64)
    assert caught.value.type == "digest_mismatch" and right in str(caught.value)
    assert desk.files() == []
    await desk.run(await ctx.rerun(), site.url("/film.mp4"), sha256=right.upper())
    assert desk.files() == ["film.mp4"]


async def test_a_page_under_a_media_name_is_refused_and_under_its_own_saved(
    site: Site, desk: Desk, ctx: FakeContext
) -> None:
    site.says("/page", text="<html></html>", kind="text/html")
    with pytest.raises(Deterministic) as caught:
        await desk.run(ctx, site.url("/page"), mode="http")
    assert caught.value.type == "not_media"
    await desk.run(await ctx.rerun(), site.url("/page"), outputPath=str(desk.root / "page.html"))
    assert desk.files() == ["page.html"]


@pytest.mark.slow
@pytest.mark.media
async def test_a_page_that_shows_a_video_gives_the_video(site: Site, desk: Desk, ctx: FakeContext, film: bytes) -> None:
    site.file("/clip.mp4", film)
    site.says("/page", text='<html><video src="/clip.mp4"></video></html>', kind="text/html")
    result = await desk.run(ctx, site.url("/page"))
    assert (desk.root / "film.mp4").read_bytes()[4:8] == b"ftyp"
    assert result["contentType"] == "video/mp4" and result["size"] == (desk.root / "film.mp4").stat().st_size


async def test_the_smaller_limit_counts(site: Site, desk: Desk, ctx: FakeContext) -> None:
    site.file("/film.mp4", FILM)
    with pytest.raises(Deterministic) as caught:
        await desk.run(ctx, site.url("/film.mp4"), maxBytes=1000)
    assert caught.value.type == "too_large"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://10.0.0.1/x"}, "url"),
        ({"url": "http://2130706434/x"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/x"}, "url"),
        ({"url": "http://user:pw@8.8.8.8/x"}, "url"),
        ({"url": "--batch-file=/etc/hostname"}, "url"),
        ({"outputPath": "/etc/passwd"}, "outputPath"),
        ({"headers": {"X": "a\r\nHost: b"}}, "headers"),
        ({"headers": {"X": "a\0"}}, "headers"),
        ({"headers": {"X\r\nY": "a"}}, "headers"),
        ({"headers": {"": "a"}}, "headers"),
        ({"headers": {"host": "a"}}, "headers"),
        ({"headers": {"Content-Length": "1"}}, "headers"),
        ({"headers": {"Webhook-Id": "1"}}, "headers"),
        ({"headers": {"Range": "bytes=0-1"}}, "headers"),
        ({"headers": {f"X-{number}": "a" for number in range(51)}}, "headers"),
        ({"cookies": "a=b\r\nX: y"}, "cookies"),
        ({"cookies": "a=b", "headers": {"Cookie": "c=d"}}, "cookies"),
    ],
)
async def test_what_can_be_seen_to_be_wrong_is_refused_at_submit(
    desk: Desk, fields: Mapping[str, Any], field: str
) -> None:
    assert desk.spec.check is not None
    with pytest.raises(BadPayload) as caught:
        desk.spec.check(desk.payload(**{"url": "http://127.0.0.1/film.mp4", **fields}))
    assert {error.field for error in caught.value.errors} == {field}
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("fields", [{"maxBytes": 0}, {"sha256": "abc"}, {"mode": "ftp"}, {"extra": 1}])
async def test_fields_outside_of_the_contract_do_not_fit(desk: Desk, fields: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        desk.payload("http://127.0.0.1/", **fields)
    assert [fault["loc"] for fault in refused.value.errors()] == [tuple(fields)]


@pytest.mark.parametrize("fields", [{"usePuppeteer": True}, {"mode": "browser"}])
async def test_without_the_extra_the_browser_is_refused_by_name(desk: Desk, fields: Mapping[str, Any]) -> None:
    assert desk.spec.check is not None
    with pytest.raises(TypeUnavailable, match="apt install chromium"):
        desk.spec.check(desk.payload("http://127.0.0.1/film.mp4", **fields))


async def test_the_seeds_own_body_fits(desk: Desk) -> None:
    assert desk.spec.check is not None
    body = {"headers": {"Referer": "https://example.com"}, "cookies": "...", "usePuppeteer": False}
    desk.spec.check(desk.payload("https://example.com/file.mp4", **body))
