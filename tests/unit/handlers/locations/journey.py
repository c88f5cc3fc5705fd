"""A journey for tests of locations: made-up subtitles, scripted answers of Gemini, a geocoder that a test can break."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from secondunit.daemon.wiring.caches import CachedResults, CachedSpending
from secondunit.handlers.locations import handler as locations
from secondunit.handlers.tools.fetching.ports import Captions
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.gemini.transport import Question
from secondunit.handlers.tools.geocoding.client import Geocoder, PlaceSought
from secondunit.handlers.tools.geocoding.matching import GeocodingHit
from secondunit.handlers.tools.geocoding.nominatim import Limited, Unreached
from secondunit.handlers.tools.media.ffmpeg import MediaMissing
from secondunit.handlers.tools.storage.local import LocalFiles
from secondunit.handlers.tools.subtitles.cue import Cue
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import Fact
from secondunit.queue.stores.memory import MemoryStore
from secondunit.queue.validation import validated
from secondunit.testing.clock import ManualClock
from secondunit.testing.handler_kit import FakeContext
from secondunit.testing.rig import SteadyRandom

URL = "https://videos.test/taipei.mp4"
FIVE = ("Taipei 101", "Shilin Night Market", "Longshan Temple", "Elephant Mountain", "Beitou Hot Springs")
AT = {name: (25.0 + n / 100, 121.5 + n / 100) for n, name in enumerate(FIVE)}
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 50, "totalTokenCount": 1250}


class Spoken:
    """Subtitles: one cue every 40 seconds for each place."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.cues: Sequence[Cue] = [Cue(40.0 * n, 40.0 * n + 5, f"This is {name}.") for n, name in enumerate(FIVE)]
        self.trouble: Exception | None = None

    def check(self, field: str, url: str) -> None:
        if not url.startswith("https://"):
            raise BadPayload(FieldError(field, "not an address"))

    async def captions(self, url: str, ctx: JobContext, *, language: str | None) -> Captions:
        self.asked.append((url, language))
        if self.trouble:
            raise self.trouble
        return Captions("A day in Taipei", 240.0, "What we saw.", language or "en", "manual", self.cues)


class Reader:
    """A transport to Gemini: it names the places whose names stand in the transcript, or does what the script says."""

    def __init__(self, *script: str | BaseException) -> None:
        self.script = list(script)
        self.asked: list[Question] = []
        self.known: Sequence[str] = FIVE
        self.arrive = asyncio.Event()
        self.arrive.set()

    async def send(self, question: Question) -> str:
        self.asked.append(question)
        await self.arrive.wait()
        told = self.script.pop(0) if self.script else self._named(str(question.parts[2]))
        if isinstance(told, BaseException):
            raise told
        candidate = {"finishReason": "STOP", "content": {"role": "model", "parts": [{"text": told}]}}
        return json.dumps({"candidates": [candidate], "usageMetadata": USAGE})

    def _named(self, transcript: str) -> str:
        lines = json.loads(transcript.partition(": ")[2]).splitlines()
        return answer(*((name, line[1:6]) for line in lines for name in self.known if name in line))

    async def close(self) -> None: ...


def answer(*named: tuple[str, str], **more: Any) -> str:
    """What Gemini says when it found these, each at its time."""
    places = [
        {"name": name, "timecode": at, "kind": "poi", "description": f"At {name}.", "tags": ["sight"]} | more
        for name, at in named
    ]
    return json.dumps({"places": places})


class Atlas:
    """A transport to a geocoder: it knows AT; `faults` are raised by query, `down` for all, each for good or once."""

    name = "atlas"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known: dict[str, Sequence[GeocodingHit]] = {name: [GeocodingHit(*at, 0.5)] for name, at in AT.items()}
        self.faults: dict[str, list[Exception]] = {}
        self.broken: dict[str, Exception] = {}
        self.down: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()

    async def open(self) -> None: ...

    async def ask(self, query: str, language: str | None) -> Sequence[GeocodingHit]:
        self.asked.append(query)
        await asyncio.sleep(0)
        error = self.down or self.broken.get(query) or next(iter(self.faults.get(query, ())), None)
        if self.faults.get(query):
            self.faults[query].pop(0)
        if error:
            raise error
        await self.hold.wait()
        return self.known.get(query, [])

    async def close(self) -> None: ...


class Drawer:
    """A PlaceCache in memory that never forgets by itself."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.days: dict[str, int] = {}

    async def get(self, key: str) -> Any | None:
        return self.kept.get(key)

    async def put(self, key: str, value: Any, days: int) -> None:
        self.kept[key] = json.loads(json.dumps(value))
        self.days[key] = days


@dataclass
class Journey:
    """Everything a search for places needs."""

    root: Path
    clock: ManualClock
    reader: Reader
    spoken: Spoken
    atlas: Atlas
    drawer: Drawer
    tools: Tools
    facts: list[Fact]

    @property
    def told(self) -> list[str]:
        """How each question to the geocoder ended."""
        return [fact.outcome for fact in self.facts if isinstance(fact, PlaceSought)]

    async def find(self, ctx: Any, url: str = URL, **params: Any) -> Any:
        spec = locations.build(self.tools)
        payload = {"videoUrl": url, **({"params": params} if params else {})}
        return await spec.run(ctx, validated(spec, payload))

    async def context(self, name: str = "job_a") -> FakeContext:
        folder = self.root / "work" / name
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        return await FakeContext.open(folder, job_id=name)

    async def stored(self, key: str) -> Any:
        assert self.tools.results
        found = await self.tools.results.get(key)
        return found and found[0]

    def without(self, **tools: Any) -> "Journey":
        return replace(self, tools=replace(self.tools, **tools))


def unreached() -> Unreached:
    return Unreached("the geocoder failed (503)")


def limited(seconds: float | None) -> Limited:
    return Limited(None if seconds is None else timedelta(seconds=seconds))


def made(root: Path, *script: str | BaseException, model: str = "gemini-x", **options: Any) -> Journey:
    """A journey whose Gemini follows the script, then names what it knows."""
    clock, reader, store = ManualClock(), Reader(*script), MemoryStore()
    spoken, atlas, drawer = Spoken(), Atlas(), Drawer()
    gemini = Gemini(reader, model, clock=clock, random=SteadyRandom(), spending=CachedSpending(store.cache), **options)
    facts: list[Fact] = []
    geocoder = Geocoder(atlas, clock=clock, cache=drawer, every=timedelta(milliseconds=1), emit=facts.append)
    tools = Tools(
        clock=clock,
        programs=None,  # type: ignore[arg-type]  # nothing here runs a program
        files=LocalFiles([]),
        media=MediaMissing(""),
        python="python",
        gemini=gemini,
        geocoder=geocoder,
        results=CachedResults(store.cache, clock, timedelta(hours=168)),
        subtitled=spoken,
    )
    return Journey(root, clock, reader, spoken, atlas, drawer, tools, facts)
