"""A receiver of callbacks that can't be relied on: answers 500, hangs, is slow, or drops the connection."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

from aiohttp import web

from tests.torture.evidence import Arrival

# Longer than the daemon's patience with a callback would make the torture wait, not find more.
HANG, SLOW = 4.0, 0.5


class Receiver:
    """Writes down every arrival; `healthy` once set, it takes everything."""

    def __init__(self, chance: Random) -> None:
        self.arrivals: list[Arrival] = []
        self.healthy = asyncio.Event()
        self._chance = chance

    async def start(self) -> tuple[web.AppRunner, str]:
        """Listen on a free port of loopback; what to clean up, and the URL."""
        app = web.Application()
        app.router.add_post("/done", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [address] = runner.addresses
        return runner, f"http://127.0.0.1:{address[1]}/done"

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        fate = 1.0 if self.healthy.is_set() else self._chance.random()
        status = 500 if fate < 0.2 else 0 if fate < 0.3 else 204
        place = len(self.arrivals)
        self.arrivals.append(self._arrival(request, body, 0))
        if fate < 0.25:
            self._note(place, request, body, status)
            if status == 0:
                self._reset(request)
        elif fate < 0.3:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.healthy.wait(), HANG)
            self._reset(request)
        elif fate < 0.4:
            await asyncio.sleep(SLOW)
        self._note(place, request, body, status)
        return web.Response(status=status or 204)

    def _note(self, place: int, request: web.Request, body: Any, status: int) -> None:
        self.arrivals[place] = self._arrival(request, body, status)

    def _arrival(self, request: web.Request, body: Any, status: int) -> Arrival:
        return Arrival(request.headers["webhook-id"], int(request.headers["Secondunit-Epoch"]), body, status)

    def _reset(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
