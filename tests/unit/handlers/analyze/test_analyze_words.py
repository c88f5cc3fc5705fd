"""A whole analysis of a page with a film and its subtitles: real yt-dlp and ffmpeg, our stand-in for Gemini."""

import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from secondunit.daemon.wiring.caches import CachedResults, CachedSpending
from secondunit.handlers.analyze import handler as analyze
from secondunit.handlers.tools.fetching.http_download import Transfer
from secondunit.handlers.tools.fetching.video_router import WebVideos
from secondunit.handlers.tools.fetching.ytdlp.client import YtDlp
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import GoogleTransport
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.programs.runner import ProcessRunner
from secondunit.handlers.tools.programs.sandbox.measuring import available
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.website import Site
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import SteadyRandom

pytestmark = [pytest.mark.slow, pytest.mark.media]
FRENCH = "WEBVTT\n\n00:00.500 --> 00:01.500\n<v Anne>Faire fondre le beurre &amp; les poireaux.\n"


@pytest.fixture
def tools(transfer: Transfer, ytdlp: YtDlp, media: Media, clock: ManualClock, tmp_path: Path) -> Tools:
    rule = AddressRule((ip_network("127.0.0.1/32"),))
    return Tools(
        clock=clock,
        programs=ProcessRunner(sys.executable, sandbox=available()),
        files=LocalFiles([tmp_path]),
        media=media,
        python=sys.executable,
        results=CachedResults(MemoryStore().cache, clock, timedelta(hours=1)),
        videos=WebVideos(rule, transfer, ytdlp),
    )


async def test_the_words_of_a_film_reach_the_model(
    site: Site, tools: Tools, clock: ManualClock, ctx: FakeContext, film: bytes
) -> None:
    site.file("/clip.mp4", film)
    site.says("/fr.vtt", text=FRENCH, kind="text/vtt")
    track = '<track kind="captions" srclang="fr" src="/fr.vtt">'
    page = f'<html><title>Soup</title><video src="/clip.mp4">{track}</video></html>'
    site.says("/page", text=page, kind="text/html")
    stand_in = StandIn()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(stand_in.serving())
        transport = GoogleTransport("key", "gemini-2.5-flash", clock, base_url=url, limit=timedelta(seconds=30))
        spending = CachedSpending(MemoryStore().cache)
        gemini = Gemini(transport, "gemini-2.5-flash", clock=clock, random=SteadyRandom(), spending=spending)
        stack.push_async_callback(gemini.close)
        spec = analyze.build(replace(tools, gemini=gemini))
        payload = validated(spec, {"videoUrl": site.url("/page"), "frames": 2, "language": "fr"})
        await spec.run(ctx, payload)
    [asked] = stand_in.asked
    assert 'What is said in the video (data): ["00:00 Faire fondre le beurre & les poireaux."]' in asked.texts
    assert ctx.steps["download"]["said"] == [[0.5, "Faire fondre le beurre & les poireaux."]]
