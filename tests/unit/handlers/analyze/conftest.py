"""A kitchen for tests of analyze: a made-up ffmpeg, a made-up downloader, scripted answers of Gemini."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.wiring.caches import CachedResults, CachedSpending
from secondunit.handlers.analyze import handler as analyze
from secondunit.handlers.tools.fetching.ports import FetchedVideo
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.handlers.tools.media.ffmpeg import Media
from secondunit.handlers.tools.media.pictures import CHILD
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import JobContext
from secondunit.queue.outcome import Deterministic, Postponed, Transient
from secondunit.queue.store import Store
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.fakes.gemini import answer
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import SteadyRandom

URL = "https://videos.test/soup.mp4"
REPORT = {
    "format": {"format_name": "mov,mp4", "duration": "20.0"},
    "streams": [
        {
            "index": 0,
            "codec_type": "video",
            "codec_name": "h264",
            "width": 1920,
            "height": 1080,
            "avg_frame_rate": "25/1",
        }
    ],
}


class Studio:
    """Programs: an ffprobe that reports REPORT, an ffmpeg whose every picture is another one, the picture encoder."""

    def __init__(self) -> None:
        self.shot = 0
        self.complaint = ""

    async def run(
        self, argv: Sequence[str], *, cwd: Path, on_line: Any = None, stdin: bytes | None = None, **_: Any
    ) -> Finished:
        if self.complaint:
            return Finished(1, self.complaint)
        if argv[-1] == str(CHILD):
            for line in await asyncio.to_thread(encoded, stdin or b""):
                await on_line(line)
            return Finished(0, "")
        if argv[0] == "ffprobe":
            await on_line(json.dumps(REPORT))
            return Finished(0, "")
        self.shot += 1
        wanted = re.search(r"trim=end=(\d+)\.(\d+)", " ".join(argv))
        for microseconds in (0, int(f"{wanted[1]}{wanted[2]}000") - 1000 if wanted else 0):
            await on_line(f"frame:0    pts:{microseconds}  pts_time:0")
            await on_line("lavfi.signalstats.YMIN=16")
            await on_line("lavfi.signalstats.YAVG=100")
            await on_line("lavfi.signalstats.YMAX=235")
        [name] = [word for word in argv if word.endswith(".ppm")]
        await asyncio.to_thread(paint, cwd / name, self.shot)
        return Finished(0, "")


def encoded(wish: bytes) -> list[str]:
    """What the encoder's program does, here: each picture written, and what is said of it."""
    from secondunit.handlers.tools.media.picture_child import answer

    asked = json.loads(wish)
    return [json.dumps(answer(picture, asked["most_bytes"])) for picture in asked["pictures"]]


def paint(path: Path, seed: int) -> None:
    from PIL import Image

    picture = Image.effect_noise((9, 8), 60 + seed)
    picture.resize((768, 432), Image.Resampling.NEAREST).convert("RGB").save(path)


class Shelf:
    """Videos that are downloaded by writing a file; counts how often."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.trouble: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.cues: Sequence[Cue] = ()
        self.languages: list[str | None] = []

    def check(self, field: str, url: str) -> None:
        if not url.startswith("https://"):
            raise BadPayload(FieldError(field, "not an address"))

    async def fetch(self, url: str, ctx: JobContext, *, max_bytes: int, language: str | None = None) -> FetchedVideo:
        self.fetched.append(url)
        self.languages.append(language)
        await self.hold.wait()
        if self.trouble:
            raise self.trouble
        await ctx.progress(1, "downloaded")
        path = ctx.workspace.kept / "video.mp4"
        await asyncio.to_thread(path.write_bytes, b"video")
        return FetchedVideo(path, 5, "Soup in a minute", url, self.cues)


class Script:
    """A transport that answers by script: words of the stand-in's `answer`, or exceptions to raise."""

    def __init__(self, *script: str | BaseException) -> None:
        self.script = list(script)
        self.asked: list[Question] = []
        self.arrive = asyncio.Event()
        self.arrive.set()

    async def send(self, question: Question) -> str:
        self.asked.append(question)
        await self.arrive.wait()
        behaviour = self.script.pop(0) if self.script else "answer"
        if isinstance(behaviour, BaseException):
            raise behaviour
        return "no JSON {" if behaviour == "broken" else json.dumps(answer(behaviour, "gemini-2.5-flash"))

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Kitchen:
    """Everything an analysis needs."""

    root: Path
    clock: ManualClock
    transport: Script
    videos: Shelf
    studio: Studio
    store: Store
    tools: Tools

    async def analyze(self, ctx: Any, **payload: Any) -> Any:
        spec = analyze.build(self.tools)
        return await spec.run(ctx, validated(spec, payload or {"videoUrl": URL}))

    async def context(self, name: str = "job_a") -> FakeContext:
        folder = self.root / "work" / name
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        return await FakeContext.open(folder, job_id=name)

    async def fails(self, **payload: Any) -> Any:
        with pytest.raises((Transient, Deterministic, Postponed)) as caught:
            await self.analyze(await self.context(), **payload)
        return caught.value

    def spent(self) -> Any:
        return CachedSpending(self.store.cache).used(self.clock.now().date())


@pytest.fixture
def kitchen(tmp_path: Path) -> Callable[..., Kitchen]:
    media_root = tmp_path / "media"
    media_root.mkdir()

    def make(*script: str | BaseException, store: Store | None = None, **options: Any) -> Kitchen:
        clock, transport, store = ManualClock(), Script(*script), store or MemoryStore()
        videos, studio = Shelf(), Studio()
        gemini = Gemini(
            transport,
            "gemini-2.5-flash",
            clock=clock,
            random=SteadyRandom(),
            spending=CachedSpending(store.cache),
            **options,
        )
        tools = Tools(
            clock=clock,
            programs=studio,
            files=LocalFiles([media_root]),
            media=Media("ffmpeg", "ffprobe", "9", frozenset(analyze.ENCODERS), frozenset(analyze.FILTERS), False),
            python="python",
            gemini=gemini,
            results=CachedResults(store.cache, clock, timedelta(hours=1)),
            videos=videos,
        )
        return Kitchen(tmp_path, clock, transport, videos, studio, store, tools)

    return make
