"""Job type `analyze`: the recipe that a cooking video shows."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, model_validator

from secondunit.handlers.analyze.extraction import FilmExcerpt, ask_for_recipe
from secondunit.handlers.analyze.passages import passages
from secondunit.handlers.analyze.stills import MOST, take_stills
from secondunit.handlers.analyze.strategy import as_cached, cache_key, strategy
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.ports import Videos
from secondunit.handlers.tools.fetching.video_urls import url_identity
from secondunit.handlers.tools.gemini.client import Gemini
from secondunit.handlers.tools.media.ffmpeg import require
from secondunit.handlers.tools.media.frames import Camera
from secondunit.handlers.tools.media.pictures import PictureWriter
from secondunit.handlers.tools.media.probe import pictures, probe
from secondunit.handlers.tools.payload import FILE, LanguageTag, payload_like
from secondunit.handlers.tools.ports import Results
from secondunit.handlers.tools.storage.free_space import size_of
from secondunit.handlers.tools.storage.ports import Files, Source
from secondunit.handlers.tools.storage.workspace import open_kept
from secondunit.handlers.tools.toolbox import Tools
from secondunit.handlers.tools.waiting import waiting
from secondunit.queue.errors import BadPayload, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext
from secondunit.queue.payloads.redaction import redacted

ENCODERS = ("ppm",)
FILTERS = ("scale", "select", "trim", "settb", "format", "setsar", "setparams", "signalstats", "metadata", "yadif")
BLOCK = 32 << 20
UPLOADED = "the uploaded video"  # what its sender knows it as: the file is named by its content
Json = Mapping[str, Any]


class AnalyzePayload(BaseModel):
    """What a client asks for: the video by its address or by its path."""

    model_config = payload_like(videoUrl="https://www.youtube.com/watch?v=dQw4w9WgXcQ", language="en")

    video_url: str | None = Field(None, description="the video's public address; this or videoPath")
    video_path: str | None = Field(None, description=f"the video: {FILE}; this or videoUrl")
    language: LanguageTag | None = Field(None, description="of the recipe; default the video's")
    frames: Annotated[int, Field(ge=1, le=MOST)] | None = Field(
        None, description="how many pictures the model is shown; default as many as fit the video"
    )

    @model_validator(mode="after")
    def _one_video(self) -> Self:
        if (self.video_url is None) == (self.video_path is None):
            raise ValueError("give exactly one of videoUrl and videoPath")
        return self


@dataclass(frozen=True, slots=True)
class AnalysisTools:
    """The tools that an analysis can't do without."""

    gemini: Gemini
    results: Results
    videos: Videos


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: AnalyzePayload) -> None:
        required = _required(tools)
        require(tools.media, "analyze", ENCODERS, FILTERS)
        if payload.video_url is not None:
            required.videos.check("videoUrl", payload.video_url)
        if payload.video_path is not None:
            _files(tools, payload.video_path).check("videoPath", payload.video_path)

    async def run(ctx: JobContext, payload: AnalyzePayload) -> Json:
        return await Analysis(tools, _required(tools), ctx, payload).run()

    return HandlerSpec(
        type="analyze",
        programs=("ffmpeg", "yt-dlp", "deno"),
        payload=AnalyzePayload,
        run=run,
        check=check,
        concurrency=3,
        paid=True,
        uploads=_uploads,
        reserve=lambda payload: size_of(payload.video_path),
        size=lambda payload: size_of(payload.get("videoPath")),
    )


def _uploads(payload: Json) -> Sequence[str]:
    path = payload.get("videoPath")
    return [path] if isinstance(path, str) else []


def _required(tools: Tools) -> AnalysisTools:
    if tools.gemini is None:
        raise TypeUnavailable("analyze", "set GEMINI_API_KEY to a key for the Gemini API")
    if tools.results is None or tools.videos is None:
        raise TypeUnavailable("analyze", "this daemon was built without a result cache or a downloader")
    return AnalysisTools(tools.gemini, tools.results, tools.videos)


def _files(tools: Tools, path: str) -> Files:
    """Where the path leads: among the uploads, else beneath the roots."""
    if tools.uploads is None:
        return tools.files
    try:
        tools.uploads.check("videoPath", path)
    except BadPayload:
        return tools.files
    return tools.uploads


@dataclass(frozen=True, slots=True)
class Analysis:
    """One run."""

    tools: Tools
    required: AnalysisTools
    ctx: JobContext
    payload: AnalyzePayload

    async def run(self) -> Json:
        """The result: one that was made before, or a new one."""
        if self.payload.video_url is not None:
            return await self._once(url_identity(self.payload.video_url), None)
        path = self.payload.video_path or ""
        files = _files(self.tools, path)
        async with files.source(path, self.ctx) as found:
            source = replace(found, name=UPLOADED) if files is self.tools.uploads else found
            async with self.ctx.phase("identify", 0.35):
                content = await self._digest(source)
            return await self._once(f"sha256:{content}", source)

    async def _once(self, identity: str, source: Source | None) -> Json:
        """The stored result of this video, or a new one that is stored; two jobs never make the same at once."""
        how = strategy(self.required.gemini.model, self.payload.frames, self.payload.language)
        key = cache_key(identity, how)
        async with AsyncExitStack() as stack:
            async with waiting(self.ctx, self.tools.clock, "another job analyses this video; waiting for its result"):
                await stack.enter_async_context(self.required.results.alone(key))
            stored = await self.required.results.get(key)
            if stored is not None:
                result, _ = stored
                await self.ctx.progress(1, "taken from another job, which analysed the same video")
                return as_cached(result, self._name if source is None else source.name)
            result = await self._made(how, source)
            await self.required.results.put(key, result, self.ctx.job_id)
            return result

    async def _made(self, how: str, source: Source | None) -> Json:
        film = await self._film(source)
        async with self.ctx.phase("gemini", 0.45):
            found = await ask_for_recipe(self.required.gemini, self.tools.clock, self.ctx, film, self.payload.language)
        usage = found.usage
        await self.ctx.stats(tokens_in=usage.prompt, tokens_out=usage.answered, frames=len(film.stills))
        metadata = {
            "gemini_tokens": {
                "prompt": usage.prompt,
                "output": usage.output,
                "thoughts": usage.thoughts,
                "total": usage.total,
            },
            "video_info": film.info,
            "model": self.required.gemini.model,
            "strategy": how,
            "cached": False,
            "cost": found.cost,
        }
        return {"recipe": found.recipe, "metadata": metadata}

    async def _film(self, source: Source | None) -> FilmExcerpt:
        """What the video shows: its frames, as files of this job, and what is known of it."""
        async with AsyncExitStack() as stack:
            title, said = None, []
            if source is None:
                async with self.ctx.phase("download", 0.35):
                    fetched = await self.ctx.step("download", self._download, keeps=lambda got: [Path(got["path"])])
                title, said = fetched["title"], fetched.get("said", [])
                source = await stack.enter_async_context(open_kept(Path(fetched["path"]), self._name))
            video = source
            async with self.ctx.phase("frames", 0.2):
                seen = await self.ctx.step("frames", lambda: self._look(video), keeps=_pictures)
        info = {"title": title, **seen["info"], "source": self._name}
        stills = [(at, Path(path)) for at, path in seen["stills"]]
        return FilmExcerpt(info, stills, [(at, text) for at, text in said])

    @property
    def _name(self) -> str:
        """What the caller calls the video."""
        return redacted(self.payload.video_url or Path(self.payload.video_path or "").name)

    async def _download(self) -> Json:
        """No download while Gemini can't be asked anyway: what waits for hours should not fill the disk."""
        await self.required.gemini.admit()
        url = self.payload.video_url or ""
        fetched = await self.required.videos.fetch(
            url, self.ctx, max_bytes=self.tools.max_download, language=self.payload.language
        )
        said = await in_thread(passages, fetched.cues)
        return {"path": str(fetched.path), "title": fetched.title, "size": fetched.size, "said": said}

    async def _look(self, source: Source) -> Json:
        media = require(self.tools.media, "analyze", ENCODERS, FILTERS)
        found = await probe(self.tools.programs, media, source, self.ctx)
        video = pictures(found, source.name)
        camera = Camera(self.tools.programs, media, source, found, video, self.ctx)
        writer = PictureWriter(self.tools.programs, self.tools.python, self.ctx)
        folder = self.ctx.workspace.kept / "frames"
        stills = await take_stills(camera, writer, self.payload.frames, folder)
        across, down = video.display
        info = {"duration": found.duration, "width": round(across), "height": round(down)}
        return {"info": info, "stills": [[still.at, str(still.path)] for still in stills]}

    async def _digest(self, source: Source) -> str:
        """The SHA-256 of the file's content."""
        digest, done = hashlib.sha256(), 0
        with await in_thread(source.path.open, "rb") as file:
            while block := await in_thread(file.read, BLOCK):
                await in_thread(digest.update, block)
                done += len(block)
                await self.ctx.progress(done / max(source.size, done), "reading the file")
        return digest.hexdigest()


def _pictures(seen: Json) -> list[Path]:
    return [Path(path) for _, path in seen["stills"]]
