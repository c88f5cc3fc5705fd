"""A daemon whose analyses are made by a stand-in."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import FormData
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from secondunit.daemon.files.uploads import Uploads
from secondunit.daemon.http.context import Analyses
from secondunit.daemon.wiring.caches import CachedResults
from secondunit.handlers.analyze.strategy import cache_key, strategy
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.model import Filter, Job, Status
from secondunit.queue.retry import RetryPolicy

URL = "https://videos.example/soup.mp4"
TOKENS = {"prompt": 1000, "output": 200, "thoughts": 50, "total": 1250}
PAID = {"gemini_tokens": TOKENS, "cost": 0.01}
RECIPE = {"name": "Soup", "steps": []}
LIMIT = 4 << 20
WAIT = 900.0
VIDEO = b"not much of a video" * 1000


class Payload(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    video_url: str | None = None
    video_path: str | None = None
    language: str | None = None


def check(payload: Payload) -> None:
    if payload.video_url and "10.0.0.1" in payload.video_url:
        raise BadPayload(FieldError("videoUrl", "10.0.0.1 is a private address (ALLOW_PRIVATE_ADDRESSES)"))


def _uploads(payload: Mapping[str, Any]) -> Sequence[str]:
    return [payload["videoPath"]] if "videoPath" in payload else []


class Kitchen:
    """A daemon whose analyses are made by a stand-in: each waits until it is `told` how to end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[tuple[str, Payload]] = []
        self.endings: asyncio.Queue[Any] = asyncio.Queue()
        self.refusal: Exception | None = None
        self.harness: Any = None
        self.uploads: Any = None
        self.worker: Any = None

    @property
    def spec(self) -> HandlerSpec:
        day = timedelta(days=1)
        return HandlerSpec("analyze", Payload, self._run, 3, day, day, RetryPolicy(0), check=check, uploads=_uploads)

    def analyses(self, harness: Any) -> Analyses:
        self.uploads = Uploads(self.folder, LIMIT, harness.clock, {"analyze": self.spec, **harness.queue.registry})
        harness.hub.tap(self.uploads.hear)
        self.results = CachedResults(harness.store.cache, harness.clock, timedelta(hours=1))
        return Analyses(self.uploads, self.results, "gemini-test", WAIT, self._admit)

    async def _run(self, ctx: JobContext, payload: Payload) -> Any:
        self.started.append((ctx.job_id, payload))
        ending = await self.endings.get()
        if isinstance(ending, Exception):
            raise ending
        result = {"recipe": RECIPE, "metadata": {"cached": False, "language": payload.language, **PAID}}
        if payload.video_url is None:
            content = await asyncio.to_thread(Path(payload.video_path or "").read_bytes)
            digest = hashlib.sha256(content).hexdigest()
            key = cache_key(f"sha256:{digest}", strategy("gemini-test", None, payload.language))
            await self.results.put(key, result, ctx.job_id)
        return result

    def _admit(self) -> None:
        if self.refusal:
            raise self.refusal

    async def post(self, path: str = "/analyze", *, status: int = 200, data: Any = None, **more: Any) -> Any:
        """The JSON of an answer, held to its status and to the document."""
        form = video() if data is None and "json" not in more else data
        return await self.harness.answered(await self.harness.raw("POST", path, data=form, **more), path, status)

    def asking(self, path: str = "/analyze", **more: Any) -> asyncio.Task[Any]:
        """A caller that waits."""
        return asyncio.ensure_future(self.post(path, **more))

    async def running(self, count: int = 1) -> None:
        """Return once so many runs have begun."""
        await self.harness.until(lambda: len(self.started) >= count)

    async def settled(self, status: Status) -> Job:
        """The one job there is, once it has this status."""
        async with asyncio.timeout(30):
            while True:
                jobs: Sequence[Job] = (await self.harness.store.find(ANY, None, 10)).jobs
                if len(jobs) == 1 and jobs[0].status is status:
                    return jobs[0]
                await asyncio.sleep(0.002)

    def kept(self) -> list[str]:
        """The names of the files among the uploads."""
        return sorted(path.name for path in self.folder.iterdir())


ANY = Filter()


def video(content: Any = VIDEO, field: str = "video", **fields: str) -> FormData:
    form = FormData(fields)
    form.add_field(field, content, filename="soup.mp4", content_type="video/mp4")
    return form


Open = Callable[..., Awaitable[Kitchen]]


class running:  # noqa: N801  reads as a sentence
    """A task that lives as long as the block."""

    def __init__(self, work: Any) -> None:
        self.task = asyncio.ensure_future(work)

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


class raw_request:  # noqa: N801
    """A request of which a test writes the bytes itself; closed at the end."""

    def __init__(self, kitchen: Kitchen, *headers: str, path: str = "/analyze") -> None:
        self.path = path
        self.port = kitchen.harness.client.port
        self.headers = ["Host: localhost", "Content-Type: multipart/form-data; boundary=a", *headers]

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write("\r\n".join([f"POST {self.path} HTTP/1.1", *self.headers, "", ""]).encode())
        return reader, self.writer

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()
