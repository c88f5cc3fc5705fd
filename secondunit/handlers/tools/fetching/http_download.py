"""Resumable HTTP download: goes on where an earlier run stopped if it is still the same file."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorSSLError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ServerTimeoutError,
)

from secondunit.handlers.tools.byte_progress import ByteProgress, amount
from secondunit.handlers.tools.cancellation import in_thread
from secondunit.handlers.tools.fetching.sniffing import ENOUGH, not_media
from secondunit.handlers.tools.http_statuses import passing, word
from secondunit.handlers.tools.network.addresses import AddressRule
from secondunit.handlers.tools.network.connection_errors import sentence_of
from secondunit.handlers.tools.network.session import open_following, retry_after
from secondunit.handlers.tools.storage.partial_file import STRONG_ETAG, Origin, PartialFile
from secondunit.queue.clock import Clock
from secondunit.queue.handler import JobContext
from secondunit.queue.instrumentation import piece
from secondunit.queue.outcome import Deterministic, Transient

NAME = "transfer"
PIECE = 1 << 20
SLOWEST, SLOW_FOR = 1024, 60.0  # bytes a second, over so many seconds
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
UNSATISFIED = re.compile(r"bytes \*/([0-9]{1,18})")
PAGES = ("text/html", "application/xhtml+xml")
PLAYLISTS = ("application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl",
             "application/dash+xml", "application/vnd.ms-sstr+xml")  # fmt: skip
FINAL = {
    401: "wants a login",
    403: "does not let us have it",
    404: "has nothing there",
    410: "has it no more",
    451: "may not give it to us, for legal reasons",
}


@dataclass(frozen=True, slots=True)
class TransferWish:
    """What to download; a page or a playlist in the place of a `media` file is refused."""

    url: str
    most_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    media: bool = False


@dataclass(frozen=True, slots=True)
class Transferred:
    """A whole file in the job's `kept` folder; `resumed` says that part of it came in an earlier run."""

    path: Path
    size: int
    content_type: str | None
    sha256: str
    url: str
    resumed: bool


class PageInstead(Deterministic):
    """Where a media file was looked for there is a page, or a playlist of a stream: those are not files to save."""


class Transfer:
    """Downloads over `session`, which judges addresses, undoes compression and gives up on a silent server."""

    def __init__(self, session: ClientSession, rule: AddressRule, clock: Clock) -> None:
        self._session = session
        self._rule = rule
        self._clock = clock

    async def fetch(self, wish: TransferWish, ctx: JobContext) -> Transferred:
        """The file, whole. What it is refused for is Deterministic; Transient leaves a part to go on from."""
        partial = await in_thread(PartialFile, ctx.workspace.kept, NAME)
        try:
            with_rest = await in_thread(partial.resume, wish.url, ctx.beat)
            done = await self._ask(wish, ctx, partial, with_rest) if with_rest else None
            return done or await self._whole(wish, ctx, partial)
        finally:
            await in_thread(partial.close)

    async def _whole(self, wish: TransferWish, ctx: JobContext, partial: PartialFile) -> Transferred:
        await in_thread(partial.begin, None)
        done = await self._ask(wish, ctx, partial, None)
        if done is None:
            raise Transient(f"{wish.url}: the server's answers contradict each other", type="incomplete_body")
        return done

    async def _ask(
        self, wish: TransferWish, ctx: JobContext, partial: PartialFile, origin: Origin | None
    ) -> Transferred | None:
        """The file, or None if what is there does not fit what the server has now."""
        headers = {**wish.headers, "Accept-Encoding": "identity"}
        if origin is not None:
            headers |= {"Range": f"bytes={partial.have}-", "If-Range": origin.etag}
        async with self._answer(wish, headers) as response:
            began_with = partial.have
            if response.status == 416 and origin is not None:
                if not _is_all_there(response, partial, origin):
                    return None
                return Transferred(
                    partial.path, partial.have, origin.content_type, partial.sha256, wish.url, resumed=True
                )
            if response.status == 206 and origin is not None:
                if not _is_the_rest(response, partial, origin):
                    return None
                total = origin.length
            else:
                self._refuse(response, wish)
                began_with, total = 0, response.content_length if not _encoded(response) else None
                await in_thread(partial.begin, _origin(wish.url, response, total))
            await self._receive(response, wish, ctx, partial, total)
            kind = response.headers.get("Content-Type")
            return Transferred(
                partial.path, partial.have, kind, partial.sha256, str(response.url), resumed=began_with > 0
            )

    @asynccontextmanager
    async def _answer(self, wish: TransferWish, headers: Mapping[str, str]) -> AsyncIterator[ClientResponse]:
        """The response; everything that goes wrong with it, while its body is read too, means something to the job."""
        url = wish.url
        try:
            with piece("call", "http") as told:
                async with open_following(self._session, url, self._rule, headers) as response:
                    told |= {"host": response.url.host or "", "status": response.status}
                    yield response
        except ClientPayloadError as error:
            raise Transient(f"{url}: the connection ended before the file did", type="incomplete_body") from error
        except (ClientConnectorCertificateError, ClientConnectorSSLError) as error:
            raise Deterministic(f"{url}: no safe connection: {error}", type="bad_certificate") from error
        except (ServerTimeoutError, TimeoutError) as error:
            raise Transient(f"{url}: the server did not answer in time", type="server_timeout") from error
        except ClientError as error:
            raise Transient(f"{url}: {sentence_of(error, 'the server')}", type="connection_failed") from error

    def _refuse(self, response: ClientResponse, wish: TransferWish) -> None:
        """Raise unless this is the whole of something that is wanted."""
        status, host = response.status, response.url.host
        if passing(status):
            wait = retry_after(response, self._clock.now())
            raise Transient(f"{wish.url}: {host} answers HTTP {status}", type=word(status), delay=wait)
        page = wish.media and response.content_type in PAGES
        if status != 200:
            meaning = FINAL.get(status, "answers in a way that is not a file")
            refusal = PageInstead if page and status == 403 else Deterministic  # a site may just not like our name
            raise refusal(f"{wish.url}: {host} {meaning} (HTTP {status})", type=word(status))
        if page:
            raise PageInstead(f"{wish.url} is a page, not a media file", type="not_media")
        if wish.media and response.content_type in PLAYLISTS:
            raise PageInstead(f"{wish.url} is the playlist of a stream, not a media file", type="not_media")

    async def _receive(
        self, response: ClientResponse, wish: TransferWish, ctx: JobContext, partial: PartialFile, total: int | None
    ) -> None:
        _refuse_size(wish, total or 0)
        await in_thread(partial.reserve, (total or partial.have) - partial.have)
        progress, watch = ByteProgress(ctx, self._clock), _Watch(self._clock)
        await progress.tell(partial.have, total)
        while data := await response.content.read(PIECE):
            if partial.have == 0 and wish.media:
                _refuse_text(data, wish.url)
            _refuse_size(wish, partial.have + len(data))
            await in_thread(partial.write, data)
            watch.note(len(data), wish.url)
            await progress.tell(partial.have, total)
        if total is not None and partial.have != total:
            raise Transient(f"{wish.url}: {partial.have} of {total} bytes came", type="incomplete_body")


class _Watch:
    """Refuses a server that dribbles."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()
        self._got = 0

    def note(self, size: int, url: str) -> None:
        self._got += size
        span = self._clock.monotonic() - self._since
        if span < SLOW_FOR:
            return
        if self._got < SLOWEST * span:
            raise Transient(f"{url}: only {self._got / span:.0f} bytes a second come", type="too_slow")
        self._since, self._got = self._clock.monotonic(), 0


def _origin(url: str, response: ClientResponse, total: int | None) -> Origin | None:
    """What to ask for the rest by, or None if it can't be asked for."""
    etag = response.headers.get("ETag", "").strip()
    ranges = response.headers.get("Accept-Ranges", "").strip().lower()
    if not STRONG_ETAG.fullmatch(etag) or ranges == "none" or _encoded(response):
        return None
    return Origin(url, etag, total, response.headers.get("Content-Type"))


def _is_the_rest(response: ClientResponse, partial: PartialFile, origin: Origin) -> bool:
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if not found or int(found[1]) != partial.have or _encoded(response):
        return False
    same_length = found[2] == "*" or origin.length is None or int(found[2]) == origin.length
    return same_length and _same_file(response, origin)


def _is_all_there(response: ClientResponse, partial: PartialFile, origin: Origin) -> bool:
    """Whether nothing is left to come, as the server says who can't satisfy the range."""
    found = UNSATISFIED.fullmatch(response.headers.get("Content-Range", "").strip())
    return found is not None and int(found[1]) == partial.have == origin.length and _same_file(response, origin)


def _same_file(response: ClientResponse, origin: Origin) -> bool:
    return response.headers.get("ETag", origin.etag).strip() == origin.etag


def _encoded(response: ClientResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").strip().lower() != "identity"


def _refuse_size(wish: TransferWish, size: int) -> None:
    if size > wish.most_bytes:
        raise Deterministic(f"{wish.url}: more than the {amount(wish.most_bytes)} that are allowed", type="too_large")


def _refuse_text(beginning: bytes, url: str) -> None:
    instead = not_media(beginning[:ENOUGH])
    if instead:
        raise PageInstead(f"{url} is {instead}, whatever its server calls it", type="not_media")
