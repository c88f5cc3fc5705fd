"""For operators: how the daemon is, what it measured, and pausing job types."""

from typing import Any

from aiohttp import web

from secondunit.daemon.http.context import Api
from secondunit.daemon.http.transport.auth import CALLER
from secondunit.daemon.http.transport.replies import reply


async def health(api: Api, request: web.Request) -> web.Response:
    """How the daemon is: 503 while it drains or fails; reasons and figures for callers with a key."""
    found = await api.health()
    answer: dict[str, Any] = {"status": found.status}
    if CALLER in request:
        answer |= {"reasons": list(found.reasons), **(found.figures or {})}
    return reply(answer, 503 if found.status in ("draining", "failing") else 200)


async def metrics(api: Api, _: web.Request) -> web.Response:
    """Metrics as Prometheus text."""
    await api.health()  # so that `degraded` is of now
    return web.Response(body=await api.metrics.render(), headers={"Content-Type": api.metrics.content_type})


async def pause(api: Api, request: web.Request) -> web.Response:
    """Start no more jobs of a type; running ones go on."""
    type = request.match_info["type"]
    await api.queue.pause(type)
    return reply({"type": type, "paused": True})


async def resume(api: Api, request: web.Request) -> web.Response:
    """Start jobs of a type again."""
    type = request.match_info["type"]
    await api.queue.resume(type)
    return reply({"type": type, "paused": False})
