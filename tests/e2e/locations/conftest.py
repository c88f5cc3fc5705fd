"""What a search for places stands on, all on loopback: pages with subtitles, and stand-ins for Gemini and Nominatim."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from secondunit.testing.fakes.gemini import StandIn
from secondunit.testing.fakes.nominatim import Nominatim
from secondunit.testing.fakes.website import Site, serving
from tests.e2e.conftest import Answer, Daemon, beside

ANALYZE = "/api/videos/analyze"


@dataclass(frozen=True)
class Told:
    """One event of a job's stream, and when it came."""

    event: str
    data: Any
    at: float
    id: str = ""


@dataclass
class Town:
    """The servers around the daemon, in a thread of their own; each counts what it is asked."""

    site: Site
    gemini: StandIn
    nominatim: Nominatim
    environ: dict[str, str]
    held: dict[str, threading.Event] = field(default_factory=dict)

    def video(self, title: str, *places: str, filler: Sequence[str] = ()) -> str:
        """A page with a video whose subtitles name these places, a minute apart, or between the lines of filler.

        Gemini knows them; Nominatim knows those of Taipei, and what it is told.
        """
        self.gemini.places = list(dict.fromkeys([*self.gemini.places, *places]))
        lines = [f"Now we come to {place}." for place in places]
        every = max(len(filler) // max(len(lines), 1), 1)
        said = list(filler)
        for n, line in enumerate(lines):
            said.insert(min(n * every, len(said)) + n, line)
        seconds = 60 if not filler else 5
        cues = [f"{_time(n * seconds)} --> {_time(n * seconds + 4)}\n{line}\n" for n, line in enumerate(said)]
        vtt = "\n".join(["WEBVTT", "", *cues])
        track = f'<track kind="subtitles" srclang="en" src="/{title}.vtt">'
        html = f'<html><head><title>{title}</title></head><body><video src="/{title}.mp4">{track}</video></body></html>'
        self.site.says(f"/{title}", text=html, kind="text/html")
        self.site.file(f"/{title}.mp4", b"", kind="video/mp4")

        async def subtitles(_: web.Request) -> web.Response:
            while title in self.held:
                self.held[title].set()
                await asyncio.sleep(0.02)
            return web.Response(text=vtt, content_type="text/vtt")

        self.site.routes[f"/{title}.vtt"] = subtitles
        return self.site.url(f"/{title}")

    def questions(self, title: str) -> list[str]:
        """The transcripts that Gemini was asked about, of this video; yt-dlp numbers the videos of a page."""
        return [asked.texts[-1] for asked in self.gemini.asked if asked.video == f"{title} (1)"]


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """The servers, until the module's tests are over."""

    async def opened(stack: AsyncExitStack) -> Town:
        gemini, nominatim = StandIn(), Nominatim()
        site = await stack.enter_async_context(serving())
        environ = {
            "ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "GEMINI_API_KEY": "no-key",
            "GEMINI_BASE_URL": await stack.enter_async_context(gemini.serving()),
            "GEOCODER_URL": await stack.enter_async_context(nominatim.serving()),
        }
        return Town(site, gemini, nominatim, environ)

    with beside(opened) as town:
        yield town


@dataclass(frozen=True)
class Client:
    """TrailTag's client."""

    daemon: Daemon

    def analyze(self, url: str, status: int = 202, **params: str) -> Any:
        """The answer to the question for a video's places."""
        answer = self.daemon.call("POST", ANALYZE, {"url": url, **({"params": params} if params else {})})
        assert answer.status == status, answer
        return answer.body

    def known(self, url: str) -> str:
        """The id of the job that found the places of this video, now or before."""
        answer = self.daemon.call("POST", ANALYZE, {"url": url})
        if answer.status == 202:
            assert self.ended(answer.body["job_id"])["status"] == "done"
        return str(answer.body["job_id"])

    def places(self, video_id: str, query: str = "") -> Answer:
        """The map of a video."""
        return self.daemon.call("GET", f"/api/videos/{video_id}/locations{query}")

    def retry(self, video_id: str) -> Answer:
        """What failed, asked for again."""
        return self.daemon.call("POST", f"/api/videos/{video_id}/locations/retry")

    def ended(self, job_id: str, within: float = 30.0) -> Any:
        """The job, once it is over."""
        return self.daemon.until(job_id, "done", "partial", "failed", "canceled", within=within)

    def stream(self, job_id: str) -> list[Told]:
        """Everything that the job's stream tells, to its end."""
        return list(self.events(job_id))

    def events(self, job_id: str) -> Iterator[Told]:
        """The events of the job's stream, as they come."""
        with EventSource(self.daemon.port, job_id).opened() as told:
            yield from told


@dataclass
class EventSource:
    """A browser's reader of a job's stream, and the map that TrailTag's client puts together: each place it is told."""

    port: int
    job_id: str
    last_id: str = ""
    map: list[Any] = field(default_factory=list)

    @contextmanager
    def opened(self) -> Iterator[Iterator[Told]]:
        """The events of the stream, as they come, after the last one seen; HTTPException where it is not to be read."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
            connection.request("GET", f"/api/jobs/{self.job_id}/stream", headers=headers)
            stream = connection.getresponse()
            if stream.status != 200:
                raise http.client.HTTPException(f"{stream.status}: an EventSource stops here")
            yield self._told(stream)

    def _told(self, stream: Any) -> Iterator[Told]:
        fields: dict[str, str] = {}
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
            if name == "id":
                self.last_id = value
            elif name == "data":
                told = Told(fields["event"], json.loads(value), time.monotonic(), fields.get("id", ""))
                if told.event == "partial_locations":
                    self.map += told.data["locations"]
                yield told


def _time(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000"
