"""Stills of real media for a model, and a whole analysis of a real film by our stand-in for Gemini."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.wiring.caches import CachedResults, CachedSpending
from secondunit.handlers.analyze import handler as analyze
from secondunit.handlers.analyze.stills import Still, moments, telling
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import GoogleTransport
from secondunit.queue.outcome import Deterministic
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import SteadyRandom

pytestmark = pytest.mark.media


def look(path: Path) -> tuple[str | None, tuple[int, int]]:
    from PIL import Image

    with Image.open(path) as picture:
        return picture.format, picture.size


async def test_a_film_is_seen_in_small_pictures_from_all_of_it(studio: Any, bunny: Path) -> None:
    taken = await studio.stills(bunny, 5)
    assert [still.at for still in taken] == sorted(still.at for still in taken)
    assert 2 <= len(taken) <= 5 and taken[-1].at > 2.5
    assert {look(still.path) for still in taken} == {("JPEG", (768, 432))}
    assert all(still.path.stat().st_size < 200_000 for still in taken)
    assert list((studio.scratch / "run-1").iterdir()) == [], "the raw frames are gone"


async def test_many_pictures_are_key_frames_with_their_times(studio: Any, clips: Callable[[str], Path]) -> None:
    taken = await studio.stills(clips("keys.mp4"), 40)
    assert len(taken) > 2 and {still.at % 0.5 for still in taken} == {0.0}
    assert {look(still.path) for still in taken} == {("JPEG", (320, 180))}


@pytest.mark.parametrize(("every", "times"), [(0.3, 24), (0.5, 24), (0.9, 12), (5.0, 3)])
async def test_key_frames_are_thinned(studio: Any, clips: Callable[[str], Path], every: float, times: int) -> None:
    async with studio.camera(clips("keys.mp4")) as looking:
        taken = await looking.take_key_frames((64, 36), every, 100, looking.info.duration or 0.0)
    apart = 12 / times if times > 3 else 5.0
    assert [frame.at for frame in taken] == [i * apart for i in range(times)]
    assert all(frame.path.exists() and not frame.black for frame in taken)


async def test_a_source_that_is_longer_than_it_says_gives_no_more_key_frames_than_were_asked_for(
    studio: Any, clips: Callable[[str], Path]
) -> None:
    async with studio.camera(clips("keys.mp4")) as looking:
        taken = await looking.take_key_frames((64, 36), 0.01, 5, 0.1)
    assert len(taken) == 5 == len(list(looking.ctx.workspace.run.glob("key-*.ppm")))


@pytest.mark.parametrize(("clip", "size"), [("portrait.mp4", (432, 768)), ("tiny.mp4", (176, 144))])
async def test_the_longer_side_is_at_most_768_and_nothing_is_enlarged(
    studio: Any, clips: Callable[[str], Path], clip: str, size: tuple[int, int]
) -> None:
    assert {look(still.path)[1] for still in await studio.stills(clips(clip), 2)} == {size}


async def test_black_pictures_are_left_out(studio: Any, clips: Callable[[str], Path]) -> None:
    taken = await studio.stills(clips("black start.mp4"), 8)
    assert taken and all(still.at >= 3 for still in taken)


async def test_of_nothing_but_black_one_picture_is_left(studio: Any, clips: Callable[[str], Path]) -> None:
    assert len(await studio.stills(clips("all black.mp4"), 4)) == 1


async def test_a_file_without_pictures_is_no_video(studio: Any, clips: Callable[[str], Path]) -> None:
    with pytest.raises(Deterministic) as caught:
        await studio.stills(clips("sound only.m4a"))
    assert caught.value.type == "audio_only"


async def test_a_film_is_analysed_over_http(studio: Any, bunny: Path) -> None:
    stand_in, store, clock = StandIn(), MemoryStore(), studio.tools.clock
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(stand_in.serving())
        transport = GoogleTransport("key", "gemini-2.5-flash", clock, base_url=url, limit=timedelta(seconds=30))
        gemini = Gemini(
            transport, "gemini-2.5-flash", clock=clock, random=SteadyRandom(), spending=CachedSpending(store.cache)
        )
        stack.push_async_callback(gemini.close)
        results = CachedResults(store.cache, clock, timedelta(hours=1))
        spec = analyze.build(replace(studio.tools, gemini=gemini, results=results, videos=NoVideos()))
        payload = validated(spec, {"videoPath": str(studio.put(bunny)), "frames": 6})
        result = await spec.run(await FakeContext.open(studio.scratch), payload)
    assert result["recipe"]["name"] == "Stand-in soup"
    info = result["metadata"]["video_info"]
    assert (info["width"], info["height"], info["source"]) == (1280, 720, "bigbuckbunny.mp4")
    assert info["duration"] == pytest.approx(5.3, abs=0.1)
    [asked] = stand_in.asked
    assert len(asked.pictures) >= 2 and all(picture.startswith(b"\xff\xd8") for picture in asked.pictures)


class NoVideos:
    """A downloader that is not asked."""

    def check(self, field: str, url: str) -> None:
        raise AssertionError

    async def fetch(self, url: str, ctx: Any, *, max_bytes: int, language: str | None = None) -> Any:
        raise AssertionError


def test_moments_are_spread_over_the_whole() -> None:
    assert moments(10, 5) == [1, 3, 5, 7, 9]
    assert [len(moments(seconds, None)) for seconds in (0.5, 20, 60, 3600)] == [4, 5, 15, 30]
    assert moments(None, 3) == [0, 2, 4]


def test_what_looks_alike_is_shown_once() -> None:
    def still(at: float, look: int, black: bool = False) -> Still:
        return Still(at, Path(f"{at}"), look, black, at)

    shown = [still(1, 0), still(2, 0b111), still(3, 0b1111), still(4, 0b1111, black=True), still(5, 0b11111111)]
    assert [picture.at for picture in telling(shown)] == [1, 3, 5]
    assert [picture.at for picture in telling([still(1, 0, black=True), still(2, 0, black=True)])] == [2]
