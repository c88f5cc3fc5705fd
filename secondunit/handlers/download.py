"""Job type `download`: a file from the web, or the video behind a page, under a name beneath the roots."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.download_router import Downloads, DownloadWish, Way
from secondunit.handlers.tools.payload import FILE, payload_like
from secondunit.handlers.tools.storage.ports import StagedFile
from secondunit.handlers.tools.toolbox import Tools
from secondunit.queue.errors import BadPayload, FieldError, TypeUnavailable
from secondunit.queue.handler import HandlerSpec, JobContext, no_inputs
from secondunit.queue.outcome import Deterministic, Transient
from secondunit.queue.payloads.redaction import redacted

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Ours to set, or of the connection: given by a caller they would make a different request than the one that is judged.
OURS = frozenset("host connection keep-alive te trailer transfer-encoding upgrade expect range accept-encoding".split())
OURS_BY_BEGINNING = ("content-", "proxy-", "if-", "webhook-", "secondunit-", "x-forwarded-", "forwarded")
MOST_HEADERS, LONGEST_VALUE = 50, 8192
PIECE, UNKNOWN_SIZE = 64 << 20, 1 << 30
SECRETS = ("headers", "cookies")


class DownloadPayload(BaseModel):
    """What a client asks for; `cookies` is a Cookie header's value."""

    model_config = payload_like(url="https://example.com/film.mp4", outputPath="/srv/media/film.mp4")

    url: str = Field(description="http or https, without a user name or password in it")
    output_path: str = Field(description=f"the file: {FILE}; its suffix says whether media are expected")
    headers: Mapping[str, str] = Field(default_factory=dict, description="sent as given, never shown or logged")
    cookies: str | None = Field(None, description="the value of a Cookie header, never shown or logged")
    use_puppeteer: bool = Field(False, description="the same as mode browser")
    mode: Literal["auto", "http", "ytdlp", "browser"] = Field(
        "auto",
        description="the file, the video behind a page, or what a page in a browser downloads; auto: the first two",
    )
    max_bytes: Annotated[int, Field(ge=1)] | None = Field(None, description="no larger; default MAX_DOWNLOAD_MB")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = Field(
        None, description="the digest that the file must have"
    )


def build(tools: Tools) -> HandlerSpec:
    """The job type, over these tools."""

    def check(payload: DownloadPayload) -> None:
        _downloads(tools).check("url", payload.url, _way(payload))
        tools.files.check("outputPath", payload.output_path)
        faults = [*_header_faults(payload.headers), *_cookie_faults(payload)]
        if faults:
            raise BadPayload(*faults)

    async def run(ctx: JobContext, payload: DownloadPayload) -> Mapping[str, Any]:
        async with tools.files.target(payload.output_path, ctx) as target:
            got = await ctx.step("fetch", lambda: _fetch(tools, ctx, payload), keeps=lambda got: [Path(got["path"])])
            await _place(Path(got["path"]), target, ctx)
            size = await target.publish()
        await ctx.progress(1.0, "done")
        return {
            "outputPath": payload.output_path,
            "size": size,
            "contentType": got["content_type"],
            "sha256": got["sha256"],
            "finalUrl": got["url"],
            "resumed": got["resumed"],
        }

    return HandlerSpec(
        type="download",
        programs=("ffmpeg", "yt-dlp", "deno"),
        payload=DownloadPayload,
        run=run,
        check=check,
        inputs=no_inputs,
        concurrency=5,
        reserve=lambda payload: payload.max_bytes or UNKNOWN_SIZE,
        secrets=SECRETS,
    )


def _downloads(tools: Tools) -> Downloads:
    if tools.downloads is None:
        raise TypeUnavailable("download", "this process was started without a way to the network")
    return tools.downloads


async def _fetch(tools: Tools, ctx: JobContext, payload: DownloadPayload) -> Mapping[str, Any]:
    """The file in the job's own folder, with the digest that was asked for."""
    wish = DownloadWish(
        url=payload.url,
        most_bytes=min(payload.max_bytes or tools.max_download, tools.max_download),
        suffix=PurePosixPath(payload.output_path).suffix,
        way=_way(payload),
        headers=payload.headers,
        cookies=payload.cookies,
    )
    got = await _downloads(tools).get(wish, ctx)
    if payload.sha256 and payload.sha256.lower() != got.sha256:
        await in_thread(got.path.unlink)
        message = f"{payload.url}: the file's SHA-256 is {got.sha256}, not {payload.sha256.lower()}"
        if got.resumed:
            raise Transient(f"{message}; it came in parts, so it is fetched anew", type="digest_mismatch")
        raise Deterministic(message, type="digest_mismatch")
    return {**asdict(got), "path": str(got.path), "url": redacted(got.url)}


def _way(payload: DownloadPayload) -> Way:
    return "browser" if payload.use_puppeteer else payload.mode


async def _place(kept: Path, target: StagedFile, ctx: JobContext) -> None:
    """Put the file where it is published from; what is kept stays, in case that fails."""
    if await in_thread(_linked, kept, target.path):
        return
    offset = 0
    while copied := await in_thread(_copied, kept, target.path, offset):
        offset += copied
        ctx.beat()


def _linked(kept: Path, path: Path) -> bool:
    try:
        path.hardlink_to(kept)
    except OSError:  # another file system, or one without links
        return False
    return True


def _copied(kept: Path, path: Path, offset: int) -> int:
    with kept.open("rb") as source, path.open("r+b" if offset else "wb") as sink:
        sink.seek(offset)
        return os.sendfile(sink.fileno(), source.fileno(), offset, PIECE)


def _header_faults(headers: Mapping[str, str]) -> list[FieldError]:
    faults = [_header_fault(name, value) for name, value in headers.items()]
    if len(headers) > MOST_HEADERS:
        faults.append(f"at most {MOST_HEADERS} headers are sent")
    return [FieldError("headers", fault) for fault in faults if fault]


def _header_fault(name: str, value: str) -> str | None:
    if not HEADER_NAME.fullmatch(name):
        return f"{name[:60]!r} is not a header's name"
    if name.lower() in OURS or name.lower().startswith(OURS_BY_BEGINNING):
        return f"{name} can't be set by a caller"
    return f"the value of {name} {fault}" if (fault := _value_fault(value)) else None


def _cookie_faults(payload: DownloadPayload) -> list[FieldError]:
    if payload.cookies is None:
        return []
    if any(name.lower() == "cookie" for name in payload.headers):
        return [FieldError("cookies", "give cookies here or as a header, not both")]
    fault = _value_fault(payload.cookies)
    return [FieldError("cookies", f"the value {fault}")] if fault else []


def _value_fault(value: str) -> str | None:
    if UNPRINTABLE.search(value):
        return "holds a control character"
    if not value.isascii():
        return "holds a character that is not ASCII"
    return f"has more than {LONGEST_VALUE} characters" if len(value) > LONGEST_VALUE else None
