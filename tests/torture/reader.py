"""A reader of the event stream that comes back with the last id it saw, however often the daemon dies."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

import aiohttp

from tests.torture.evidence import Reading

PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=20)


class Reader:
    """Follows all jobs, or those of one type; runs until cancelled."""

    def __init__(self, name: str, url: str, type: str | None = None) -> None:
        self._name = name
        self._url = f"{url}/api/events" + (f"?type={type}" if type else "")
        self._type = type
        self._last: str | None = None
        self._start = -1
        self._seqs: list[int] = []
        self._resets = 0

    @property
    def reading(self) -> Reading:
        """What it got so far."""
        return Reading(self._name, self._type, self._start, tuple(self._seqs), self._resets)

    async def run(self) -> None:
        """Read, and come back after every loss."""
        async with aiohttp.ClientSession(timeout=PATIENCE, read_bufsize=2**20) as session:
            while True:
                with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                    await self._read(session)
                await asyncio.sleep(0.05)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        async with session.get(self._url, headers=headers) as response:
            block: dict[str, str] = {}
            async for raw in response.content:
                line = raw.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    block[name] = value
                else:
                    self._hear(block)
                    block = {}

    def _hear(self, block: Mapping[str, str]) -> None:
        """One whole block; a cut-off one is never heard, as with a browser."""
        if "data" in block:
            self._resets += json.loads(block["data"])["type"] == "reset"
        if "id" not in block:
            return
        self._last = block["id"]
        seq = int(self._last.rpartition("-")[2])
        if self._start < 0:
            self._start = seq
        if "data" in block:
            self._seqs.append(seq)
