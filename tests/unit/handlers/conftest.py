"""Tools that fetch, over the one address that is allowed, and the site that they fetch from."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import ClientTimeout

from secondunit.handlers.tools.fetching.browser.client import ChromiumMissing
from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.media.ffmpeg import Media, find_media
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.handlers.tools.network.session import guarded_session
from secondunit.handlers.tools.programs.runner import SEARCH_PATH, ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.website import Site, serving
from secondunit.testing.handler_kit import FakeContext

HERE = AddressRule((ip_network("127.0.0.1/32"),))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def ctx(tmp_path: Path) -> FakeContext:
    return await FakeContext.open(tmp_path / "job")


@pytest.fixture
async def transfer(clock: ManualClock) -> AsyncIterator[Transfer]:
    async with guarded_session(HERE, user_agent="test/1", timeout=ClientTimeout(sock_read=5)) as session:
        yield Transfer(session, HERE, clock)


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder = tmp_path_factory.mktemp("probe")
    found = asyncio.run(find_media(ProcessRunner(sys.executable, sandbox=available()), None, None, SEARCH_PATH, folder))
    assert isinstance(found, Media), found
    return found


@pytest.fixture(scope="session")
def clip(media: Media, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of film with sound, `clip.mp4`, and beside it the same as an HLS stream, `clip.m3u8`."""
    folder = tmp_path_factory.mktemp("clip")
    quiet = [media.ffmpeg, "-nostdin", "-loglevel", "error"]
    sources = ["-f", "lavfi", "-i", "testsrc=d=2:s=160x90:r=10", "-f", "lavfi", "-i", "sine=d=2"]
    film = folder / "clip.mp4"
    subprocess.run([*quiet, *sources, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", film], check=True)
    cut = ["-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    subprocess.run([*quiet, "-i", film, *cut, folder / "clip.m3u8"], check=True)
    return film


@pytest.fixture
def film(clip: Path) -> bytes:
    return clip.read_bytes()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with Egress(HERE) as egress:
        yield egress


@pytest.fixture
def ytdlp(egress: Egress, media: Media, clock: ManualClock) -> YtDlp:
    return YtDlp(ProcessRunner(sys.executable, sandbox=available()), egress, clock, media, sys.executable)


@pytest.fixture
def downloads(transfer: Transfer, ytdlp: YtDlp) -> Downloads:
    return Downloads(HERE, transfer, ytdlp, ChromiumMissing("apt install chromium"))
