"""Bulkhead for large bodies: one at a time is in memory, from its second megabyte to its answer."""

import asyncio
from collections.abc import Callable

from aiohttp import web

LARGE = 1 << 20
COMES_WITHIN = 30.0  # seconds: who sends slowly holds up those who wait


class LargeBodies:
    """The turns of one application; `tidy` gives memory back between two of them, on a thread.

    A body whose turn it is has `within` seconds to come.
    """

    def __init__(self, tidy: Callable[[], object], within: float = COMES_WITHIN) -> None:
        self.within = within
        self._tidy = tidy
        self._turn = asyncio.Lock()

    async def begin(self, request: web.Request) -> None:
        """Wait for the turn of this request, and have it until its end."""
        if TURN not in request:
            await self._turn.acquire()
            request[TURN] = self

    async def end(self) -> None:
        """The turn of a request is over."""
        try:
            await asyncio.shield(asyncio.to_thread(self._tidy))
        finally:
            self._turn.release()


LARGE_BODIES = web.RequestKey("large bodies", LargeBodies)
TURN = web.RequestKey("its turn", LargeBodies)
