"""Loopback web server: serves an application of a test or of a fake for as long as it is needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def listening(app: web.Application, port: int = 0, *, handler_cancellation: bool = False) -> AsyncIterator[str]:
    """Serve on loopback, by default on a free port; the base URL."""
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=handler_cancellation)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
