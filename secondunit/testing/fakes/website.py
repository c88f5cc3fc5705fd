"""Fake web server for tests of what fetches: it counts what it is asked and sends, and breaks off when told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Site:
    """A web server of the test's own: routes are added by path; every request and every byte of a file is counted."""

    base: str = ""
    sent: int = 0
    requests: list[web.Request] = field(default_factory=list)
    routes: dict[str, Handler] = field(default_factory=dict)

    def url(self, path: str) -> str:
        """Where this path is."""
        return self.base + path

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """By the path's route; 404 where there is none."""
        self.requests.append(request)
        handler = self.routes.get(request.path)
        return await handler(request) if handler else web.Response(status=404, text="nothing")

    def says(self, path: str, status: int = 200, *, text: str = "", kind: str = "text/plain", **headers: str) -> None:
        """Answer with a text; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def handler(_: web.Request) -> web.Response:
            return web.Response(status=status, text=text, content_type=kind, headers=named)

        self.routes[path] = handler

    def file(self, path: str, content: bytes, *, etag: str | None = '"v1"', kind: str = "video/mp4") -> "Served":
        """Serve bytes as a good server does."""
        served = Served(self, content, etag, kind)
        self.routes[path] = served
        return served


@dataclass
class Served:
    """A file with ranges (RFC 9110); the next answer is broken off after `cut` bytes, once `hold` is set."""

    site: Site
    content: bytes
    etag: str | None
    kind: str
    cut: int | None = None
    hold: asyncio.Event | None = None

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        total, wanted = len(self.content), request.headers.get("Range")
        start, end = 0, total
        condition = request.headers.get("If-Range")
        if wanted and (condition is None or condition == self.etag):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, total) if last else total
        if start >= total > 0:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{total}"})
        headers = {"Content-Type": self.kind, "Content-Length": str(end - start), "Accept-Ranges": "bytes"}
        if self.etag:
            headers["ETag"] = self.etag
        rest = (start, end) != (0, total)
        if rest:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
        response = web.StreamResponse(status=206 if rest else 200, headers=headers)
        await response.prepare(request)
        await self._send(request, response, self.content[start:end])
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, body: bytes) -> None:
        cut, self.cut = self.cut, None
        now = body if cut is None else body[:cut]
        for at in range(0, len(now), 65536):
            piece = now[at : at + 65536]
            await response.write(piece)
            self.site.sent += len(piece)
        if cut is not None:
            if self.hold:
                await self.hold.wait()
            assert request.transport is not None
            request.transport.close()


@asynccontextmanager
async def serving(host: str = "127.0.0.1") -> AsyncIterator[Site]:
    """A site on this address, on any free port."""
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", site.answer)
    async with TestServer(app, host=host) as server:
        site.base = f"http://{host}:{server.port}"
        yield site
